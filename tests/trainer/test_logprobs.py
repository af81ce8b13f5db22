"""The chunked output layer: equal to whole logits in value and gradient, in less memory."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cascade.trainer.logprobs import CHUNK_BYTES, likeliest, token_logprobs
from cascade.trainer.losses import Grpo
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig, TrainSample
from drawn_samples import drawn
from tiny_models import random_qwen3_moe


def problem(dtype: torch.dtype, tokens: int = 23, vocabulary: int = 57) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    hidden = torch.randn(tokens, 12, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, 12, dtype=dtype, requires_grad=True)
    bias = torch.randn(vocabulary, dtype=dtype, requires_grad=True)
    return hidden, weight, bias, torch.randint(vocabulary, (tokens, 3))


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_values_and_gradients_are_those_of_whole_logits_in_float64(temperature: float) -> None:
    hidden, weight, bias, ids = problem(torch.float64)
    coefficients = torch.randn(ids.shape, dtype=torch.float64)
    logprobs = ((hidden @ weight.T + bias) / temperature).log_softmax(-1)
    torch.autograd.backward((logprobs.gather(-1, ids) * coefficients).sum())
    expected = [t.grad.clone() for t in (hidden, weight, bias) if t.grad is not None]
    for t in (hidden, weight, bias):
        t.grad = None
    out = token_logprobs(
        hidden, weight, ids, bias_V=bias, temperature=temperature, chunk_bytes=57 * 8 * 5
    )
    torch.autograd.backward((out.logprob_N_K * coefficients).sum())
    assert torch.allclose(out.logprob_N_K, logprobs.gather(-1, ids), atol=1e-12)
    assert torch.allclose(out.entropy_N, -(logprobs.exp() * logprobs).sum(-1), atol=1e-12)
    assert not out.entropy_N.requires_grad
    for t, grad in zip((hidden, weight, bias), expected, strict=True):
        assert t.grad is not None
        assert torch.allclose(t.grad, grad, atol=1e-12)


def test_the_size_of_a_chunk_changes_nothing_that_matters() -> None:
    hidden, weight, _, ids = problem(torch.float32)
    one = token_logprobs(hidden, weight, ids, chunk_bytes=1)
    all_at_once = token_logprobs(hidden, weight, ids, chunk_bytes=1 << 30)
    assert torch.allclose(one.logprob_N_K, all_at_once.logprob_N_K, atol=1e-6)
    assert torch.allclose(one.entropy_N, all_at_once.entropy_N, atol=1e-6)


def test_bfloat16_weights_are_summed_in_float32() -> None:
    """Logits rounded to bfloat16 would be off by up to 0.06 nats here."""
    hidden, weight, _, ids = problem(torch.bfloat16)
    out = token_logprobs(hidden, weight, ids)
    exact = (hidden.double() @ weight.double().T).log_softmax(-1)
    assert out.logprob_N_K.dtype == torch.float32
    assert (out.logprob_N_K - exact.gather(-1, ids)).abs().max() < 1e-5
    torch.autograd.backward(out.logprob_N_K.sum())
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16


def test_the_likeliest_ids_and_no_tokens_at_all() -> None:
    hidden, weight, _, _ = problem(torch.float64)
    found = likeliest(hidden, weight, 4, chunk_bytes=57 * 8 * 5)
    expected = (hidden @ weight.T).log_softmax(-1).topk(4)
    assert torch.equal(found.ids_N_K, expected.indices)
    assert torch.allclose(found.logprob_N_K, expected.values)
    assert likeliest(hidden[:0], weight, 4).ids_N_K.shape == (0, 4)
    none = token_logprobs(hidden[:0], weight, torch.zeros((0, 1), dtype=torch.long))
    torch.autograd.backward(none.logprob_N_K.sum())
    assert weight.grad is not None
    assert not weight.grad.any()


class _LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the number of elements of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_tokens_times_vocabulary_never_exists() -> None:
    """Neither forward nor backward makes a tensor larger than a chunk or the weight."""
    tokens, vocabulary = 256, 5000
    hidden = torch.randn(tokens, 8, requires_grad=True)
    weight = torch.randn(vocabulary, 8, requires_grad=True)
    ids = torch.randint(vocabulary, (tokens, 1))
    chunk = 16 * vocabulary * 4
    with _LargestTensor() as seen:
        torch.autograd.backward(
            token_logprobs(hidden, weight, ids, chunk_bytes=chunk).logprob_N_K.sum()
        )
    assert 0 < seen.elements <= 16 * vocabulary
    with _LargestTensor() as seen:  # the check can fail
        torch.autograd.backward((hidden @ weight.T).log_softmax(-1).gather(-1, ids).sum())
    assert seen.elements == tokens * vocabulary


def test_a_whole_update_never_holds_tokens_times_vocabulary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vocabulary = 6000
    monkeypatch.setitem(CHUNK_BYTES, "cpu", 8 * vocabulary * 4)
    model = random_qwen3_moe(vocab_size=vocabulary)
    policy = Policy(model, PolicyConfig(), OptimizerConfig())
    samples = drawn(24)
    with _LargestTensor() as seen:
        metrics = policy.update([TrainSample(s, 1.0) for s in samples], Grpo())
    assert metrics["tokens"] > 100
    weight = vocabulary * model.config.hidden_size
    assert seen.elements == weight < metrics["tokens"] * vocabulary
