"""Draws next tokens, vectorised over requests with settings of their own. Pure functions.

Shapes: B requests, V vocabulary, K blocks of the vocabulary, J tokens of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Settings", "draw", "sampling_logits"]

_BLOCK = 64


class Settings(NamedTuple):
    """Sampling settings of B requests."""

    temperature_B: torch.Tensor
    """float; 0 is greedy."""
    top_p_B: torch.Tensor
    top_k_B: torch.Tensor
    """int; 0 keeps all."""


def sampling_logits(logits_B_V: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Return logits [B, V] whose softmax is the distribution that is sampled from.

    Temperature first, then top-k, then top-p over what top-k left, as vLLM orders them. For a
    greedy request it is the model's own distribution (temperature 1, nothing cut).
    """
    greedy_B = settings.temperature_B == 0
    scaled_B_V = logits_B_V.float()
    if bool((settings.temperature_B != 1).any()):
        scaled_B_V = scaled_B_V / settings.temperature_B.masked_fill(greedy_B, 1.0)[:, None]
    top_k_B = settings.top_k_B.masked_fill(greedy_B, 0)
    top_p_B = settings.top_p_B.masked_fill(greedy_B, 1.0)
    if bool((top_k_B > 0).any()) or bool((top_p_B < 1).any()):
        scaled_B_V = _truncated(scaled_B_V, top_k_B, top_p_B)
    return scaled_B_V


def _truncated(
    logits_B_V: torch.Tensor, top_k_B: torch.Tensor, top_p_B: torch.Tensor
) -> torch.Tensor:
    """Set to -inf all but the likeliest k tokens, then all behind the first mass of top-p."""
    sorted_B_V, order_B_V = logits_B_V.sort(dim=-1, descending=True, stable=True)
    vocabulary = logits_B_V.shape[-1]
    rank_V = torch.arange(vocabulary, device=logits_B_V.device)
    kept_B = torch.where(top_k_B > 0, top_k_B, vocabulary)
    sorted_B_V = sorted_B_V.masked_fill(rank_V[None] >= kept_B[:, None], -torch.inf)
    probs_B_V = sorted_B_V.softmax(-1)
    before_B_V = probs_B_V.cumsum(-1) - probs_B_V
    outside_B_V = (before_B_V >= top_p_B[:, None]) & (rank_V[None] > 0)
    sorted_B_V = sorted_B_V.masked_fill(outside_B_V, -torch.inf)
    return torch.empty_like(logits_B_V).scatter_(-1, order_B_V, sorted_B_V)


def draw(
    logits_B_V: torch.Tensor, settings: Settings, uniform_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the next token of each request and its log-probability in nats, both [B].

    Args:
        logits_B_V: the model's logits.
        settings: of the B requests.
        uniform_B: float64 numbers in (0, 1), one per request: the only source of chance. Each
            picks a token by the inverse of the cumulative distribution, so a request's sample
            depends on its own numbers and logits alone.
    """
    probs_B_V = sampling_logits(logits_B_V, settings).softmax(-1)
    token_B = _inverse_cdf(probs_B_V, uniform_B)
    greedy_B = settings.temperature_B == 0
    if bool(greedy_B.any()):
        token_B = torch.where(greedy_B, logits_B_V.argmax(-1), token_B)
    return token_B, probs_B_V.gather(-1, token_B[:, None])[:, 0].log()


def _inverse_cdf(probs_B_V: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """Find the token [B] at which the cumulative probability passes `uniform_B`.

    First the block of the vocabulary, then the token in it: float64 sums of every token would
    take longer than the model's own output layer.
    """
    rows, vocabulary = probs_B_V.shape
    if missing := -vocabulary % _BLOCK:
        probs_B_V = torch.nn.functional.pad(probs_B_V, (0, missing))
    blocks_B_K_J = probs_B_V.view(rows, -1, _BLOCK)
    cdf_B_K = blocks_B_K_J.sum(-1).double().cumsum(-1)
    target_B_1 = uniform_B[:, None] * cdf_B_K[:, -1:]
    block_B_1 = torch.searchsorted(cdf_B_K, target_B_1, right=True)
    below_B_K = torch.nn.functional.pad(cdf_B_K, (1, 0))
    below_B_1 = below_B_K.gather(-1, block_B_1)
    part_B_1 = (target_B_1 - below_B_1) / (below_B_K.gather(-1, block_B_1 + 1) - below_B_1)
    row_B = torch.arange(rows, device=probs_B_V.device)
    cdf_B_J = blocks_B_K_J[row_B, block_B_1[:, 0]].double().cumsum(-1)
    target_B_1 = part_B_1.clamp(max=1 - 2.0**-40) * cdf_B_J[:, -1:]
    return (block_B_1 * _BLOCK + torch.searchsorted(cdf_B_J, target_B_1, right=True))[:, 0]
