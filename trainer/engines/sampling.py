"""Draws next tokens, vectorised over requests with settings of their own. Pure functions.

Shapes: B requests, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Settings", "draw", "sampling_logprobs"]


class Settings(NamedTuple):
    """Sampling settings of B requests."""

    temperature_B: torch.Tensor
    """float; 0 is greedy."""
    top_p_B: torch.Tensor
    top_k_B: torch.Tensor
    """int; 0 keeps all."""


def sampling_logprobs(logits_B_V: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Return log-probabilities [B, V], nats, of the distribution that is sampled from.

    Temperature first, then top-k, then top-p over what top-k left, as vLLM orders them. For a
    greedy request it is the model's own distribution (temperature 1, nothing cut).
    """
    greedy_B = settings.temperature_B == 0
    scale_B = torch.where(greedy_B, torch.ones_like(settings.temperature_B), settings.temperature_B)
    scaled_B_V = logits_B_V.float() / scale_B[:, None]
    top_k_B = settings.top_k_B.masked_fill(greedy_B, 0)
    top_p_B = settings.top_p_B.masked_fill(greedy_B, 1.0)
    if bool((top_k_B > 0).any()) or bool((top_p_B < 1).any()):
        scaled_B_V = _truncated(scaled_B_V, top_k_B, top_p_B)
    return scaled_B_V.log_softmax(-1)


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
    """Return the next token of each request and its log-probability, both [B].

    Args:
        logits_B_V: the model's logits.
        settings: of the B requests.
        uniform_B: float64 numbers in (0, 1), one per request: the only source of chance. Each
            picks a token by the inverse of the cumulative distribution, so a request's sample
            depends on its own numbers and logits alone.
    """
    logprobs_B_V = sampling_logprobs(logits_B_V, settings)
    cdf_B_V = logprobs_B_V.double().exp().cumsum(-1)
    target_B_1 = uniform_B[:, None] * cdf_B_V[:, -1:]
    sampled_B = torch.searchsorted(cdf_B_V, target_B_1, right=True)[:, 0]
    token_B = torch.where(settings.temperature_B == 0, logits_B_V.argmax(-1), sampled_B)
    return token_B, logprobs_B_V.gather(-1, token_B[:, None])[:, 0]
