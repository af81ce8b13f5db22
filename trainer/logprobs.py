"""Log-probabilities and entropies straight from hidden states: logits exist one chunk at a time.

A batch of N tokens over a vocabulary of V has N x V logits; at 64,000 tokens and 150,000 words they
alone are 38 GB in float32. Here a chunk of rows is multiplied with the output matrix, reduced to a
few numbers a token and forgotten; the backward pass computes it again. Sums are in float32 (in
float64 for float64 input) whatever the weights are in.

Shapes: N tokens, C tokens of a chunk, D hidden size, V vocabulary, K ids asked for per token.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

__all__ = ["CHUNK_BYTES", "Likeliest", "TokenLogprobs", "likeliest", "token_logprobs"]

CHUNK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}
"""Size of one chunk of logits by kind of device: a CPU's cache, what keeps a GPU busy."""


class TokenLogprobs(NamedTuple):
    """What `token_logprobs` returns."""

    logprob_N_K: torch.Tensor
    """Nats, differentiable in the hidden states and the weight."""
    entropy_N: torch.Tensor
    """Nats, of the whole distribution; a measurement, without gradient."""


class Likeliest(NamedTuple):
    """What `likeliest` returns, best first."""

    ids_N_K: torch.Tensor
    logprob_N_K: torch.Tensor
    """Nats, without gradient."""


def token_logprobs(
    hidden_N_D: torch.Tensor,
    weight_V_D: torch.Tensor,
    ids_N_K: torch.Tensor,
    *,
    bias_V: torch.Tensor | None = None,
    temperature: float = 1.0,
    chunk_bytes: int | None = None,
) -> TokenLogprobs:
    """Return log softmax(hidden @ weight.T + bias, over temperature) at K ids a token.

    Args:
        hidden_N_D: the decoder's last hidden states, after its final norm.
        weight_V_D: the output matrix.
        ids_N_K: ids whose log-probability is wanted; K is 1 for the sampled token alone.
        bias_V: the output layer's bias.
        temperature: what the logits are divided by, as in sampling.
        chunk_bytes: most bytes that a chunk of logits takes; None: as `CHUNK_BYTES` says.
    """
    logprob_N_K, entropy_N = _TokenLogprobs.apply(
        hidden_N_D, weight_V_D, bias_V, ids_N_K, temperature, chunk_bytes
    )  # type: ignore[no-untyped-call]
    return TokenLogprobs(logprob_N_K, entropy_N)


@torch.no_grad()
def likeliest(
    hidden_N_D: torch.Tensor,
    weight_V_D: torch.Tensor,
    k: int,
    *,
    bias_V: torch.Tensor | None = None,
    temperature: float = 1.0,
    chunk_bytes: int | None = None,
) -> Likeliest:
    """Return the K likeliest ids of each token and their log-probabilities."""
    chunks = []
    for rows in _chunks(hidden_N_D, weight_V_D, chunk_bytes):
        logits_C_V = _logits(hidden_N_D[rows], weight_V_D, bias_V, temperature)
        chunks.append(logits_C_V.log_softmax(-1).topk(k, dim=-1))
    if not chunks:
        empty = hidden_N_D.new_zeros((0, k), dtype=_sum_dtype(hidden_N_D))
        return Likeliest(empty.long(), empty)
    return Likeliest(
        torch.cat([chunk.indices for chunk in chunks]),
        torch.cat([chunk.values for chunk in chunks]),
    )


class _TokenLogprobs(torch.autograd.Function):
    """With p = softmax(z): d logprob_k / d z = onehot(k) - p, per chunk of rows."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_N_D: torch.Tensor,
        weight_V_D: torch.Tensor,
        bias_V: torch.Tensor | None,
        ids_N_K: torch.Tensor,
        temperature: float,
        chunk_bytes: int | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count, dtype = len(hidden_N_D), _sum_dtype(hidden_N_D)
        logprob_N_K = hidden_N_D.new_empty(ids_N_K.shape, dtype=dtype)
        entropy_N = hidden_N_D.new_empty(count, dtype=dtype)
        normaliser_N = torch.empty_like(entropy_N)
        for rows in _chunks(hidden_N_D, weight_V_D, chunk_bytes):
            logits_C_V = _logits(hidden_N_D[rows], weight_V_D, bias_V, temperature)
            taken_C_K = logits_C_V.gather(-1, ids_N_K[rows])
            normaliser_C = logits_C_V.logsumexp(-1)
            logprobs_C_V = logits_C_V.sub_(normaliser_C[:, None])
            entropy_N[rows] = -torch.linalg.vecdot(logprobs_C_V.exp(), logprobs_C_V)
            logprob_N_K[rows] = taken_C_K - normaliser_C[:, None]
            normaliser_N[rows] = normaliser_C
        ctx.save_for_backward(hidden_N_D, weight_V_D, bias_V, ids_N_K, normaliser_N)
        ctx.temperature, ctx.chunk_bytes = temperature, chunk_bytes
        ctx.mark_non_differentiable(entropy_N)
        return logprob_N_K, entropy_N

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        hidden_N_D, weight_V_D, bias_V, ids_N_K, normaliser_N = ctx.saved_tensors
        grad_N_K = grads[0] / ctx.temperature
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        dtype = grad_N_K.dtype
        grad_hidden_N_D = torch.empty_like(hidden_N_D) if needs_hidden else None
        grad_weight_V_D = torch.zeros_like(weight_V_D, dtype=dtype) if needs_weight else None
        grad_bias_V = torch.zeros_like(bias_V, dtype=dtype) if needs_bias else None
        for rows in _chunks(hidden_N_D, weight_V_D, ctx.chunk_bytes):
            hidden_C_D, grad_C_K = hidden_N_D[rows], grad_N_K[rows]
            logits_C_V = _logits(hidden_C_D, weight_V_D, bias_V, ctx.temperature)
            probs_C_V = logits_C_V.sub_(normaliser_N[rows, None]).exp_()
            grad_C_V = probs_C_V.mul_(-grad_C_K.sum(-1, keepdim=True))
            grad_C_V.scatter_add_(-1, ids_N_K[rows], grad_C_K)
            if grad_hidden_N_D is not None:
                grad_hidden_N_D[rows] = grad_C_V.to(weight_V_D.dtype) @ weight_V_D
            if grad_weight_V_D is not None:
                grad_weight_V_D.addmm_(grad_C_V.T, hidden_C_D.to(dtype))
            if grad_bias_V is not None:
                grad_bias_V += grad_C_V.sum(0)
        return (
            grad_hidden_N_D,
            None if grad_weight_V_D is None else grad_weight_V_D.to(weight_V_D.dtype),
            None if grad_bias_V is None else grad_bias_V.to(bias_V.dtype),
            None,
            None,
            None,
        )


def _chunks(
    hidden_N_D: torch.Tensor, weight_V_D: torch.Tensor, chunk_bytes: int | None
) -> list[slice]:
    """Split N rows into slices whose logits take about `chunk_bytes`."""
    if chunk_bytes is None:
        chunk_bytes = CHUNK_BYTES.get(hidden_N_D.device.type, CHUNK_BYTES["cuda"])
    row_bytes = len(weight_V_D) * _sum_dtype(hidden_N_D).itemsize
    rows = max(1, chunk_bytes // row_bytes)
    return [slice(start, start + rows) for start in range(0, len(hidden_N_D), rows)]


def _logits(
    hidden_C_D: torch.Tensor,
    weight_V_D: torch.Tensor,
    bias_V: torch.Tensor | None,
    temperature: float,
) -> torch.Tensor:
    """Logits of a chunk [C, V], never rounded to fewer bits than float32; a fresh tensor."""
    dtype = _sum_dtype(hidden_C_D)
    if hidden_C_D.dtype == dtype:
        logits_C_V = hidden_C_D @ weight_V_D.T
    elif hidden_C_D.is_cuda:
        logits_C_V = torch.mm(hidden_C_D, weight_V_D.T, out_dtype=dtype)
    else:
        logits_C_V = hidden_C_D.to(dtype) @ weight_V_D.T.to(dtype)
    if bias_V is not None:
        logits_C_V += bias_V
    if temperature != 1.0:
        logits_C_V /= temperature
    return logits_C_V


def _sum_dtype(tensor: torch.Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
