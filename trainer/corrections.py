"""Importance weights for tokens that were sampled with other numerics than they are trained with.

With rho_t = exp(old_logprob_t - sampler_logprob_t), the ratio of the trainer's probability at the
start of the batch to the engine's, each correction gives a weight w_t >= 0 without gradient.
Shapes: N sampled tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from cascade.errors import ConfigError
from cascade.trainer.tokens import Tokens, Totals, mean_of_sample

__all__ = ["Correction", "IcePop", "SequenceMask", "Tis", "no_correction"]

Correction = Callable[[Tokens, Totals], torch.Tensor]
"""Weights [N] of a micro-batch's tokens; 0 takes a token out of the loss, not out of the mean."""


def no_correction(tokens: Tokens, totals: Totals) -> torch.Tensor:
    """w_t = 1: sampler and trainer are taken to agree."""
    return torch.ones_like(tokens.old_logprob_N)


@dataclass(frozen=True, slots=True)
class Tis:
    """Truncated importance sampling: w_t = rho_t clamped to [floor, cap].

    Published with a cap of 2, with 5, and with 0.2 to 5 (Nemotron 3 Ultra).
    """

    cap: float = 2.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        """Refuse bounds that do not enclose 1."""
        _check_bounds(self.floor, self.cap)

    def __call__(self, tokens: Tokens, totals: Totals) -> torch.Tensor:
        """Return w [N]."""
        return _ratio(tokens).clamp(self.floor, self.cap)


@dataclass(frozen=True, slots=True)
class IcePop:
    """IcePop: w_t = rho_t where low <= rho_t <= high, else 0. Published with 0.5 and 5."""

    low: float = 0.5
    high: float = 5.0

    def __post_init__(self) -> None:
        """Refuse bounds that do not enclose 1."""
        _check_bounds(self.low, self.high)

    def __call__(self, tokens: Tokens, totals: Totals) -> torch.Tensor:
        """Return w [N]."""
        ratio_N = _ratio(tokens)
        return ratio_N * ((ratio_N >= self.low) & (ratio_N <= self.high))


@dataclass(frozen=True, slots=True)
class SequenceMask:
    """Drops samples whose geometric mean of rho_t lies outside; w_t = rho_t in the others.

    Published with 0.999 and 1.002 for long responses; short ones need wider bounds.
    """

    low: float = 0.999
    high: float = 1.002

    def __post_init__(self) -> None:
        """Refuse bounds that do not enclose 1."""
        _check_bounds(self.low, self.high)

    def __call__(self, tokens: Tokens, totals: Totals) -> torch.Tensor:
        """Return w [N]."""
        mean_N = mean_of_sample(
            tokens.old_logprob_N - tokens.sampler_logprob_N, tokens, totals
        ).exp()
        return _ratio(tokens) * ((mean_N >= self.low) & (mean_N <= self.high))


def _ratio(tokens: Tokens) -> torch.Tensor:
    return (tokens.old_logprob_N - tokens.sampler_logprob_N).exp()


def _check_bounds(low: float, high: float) -> None:
    if not 0 <= low <= 1 <= high:
        raise ConfigError(f"low and high must enclose 1, got low={low!r}, high={high!r}")
