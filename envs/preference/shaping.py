"""What is added to a response's base score because of its length, within its group.

Both rules are those of the RLHF stage of Nemotron 3 Nano (section 3.3), which Nemotron-Cascade 2
uses unchanged. Lengths are counted in characters: the rules compare within a group, so the unit
cancels out, and no tokenizer is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cascade.errors import ConfigError

__all__ = ["ConcisenessBonus", "Judged", "LengthControl", "Shaping"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A response of a group with its base score."""

    base: float
    """Mean points over its matches."""
    reasoning_length: int
    """Characters."""
    answer_length: int
    """Characters."""


class Shaping(Protocol):
    """One rule; several are summed."""

    def __call__(self, group: Sequence[Judged], /) -> list[float]:
        """Return what each response gains, in points of the base score."""
        ...


@dataclass(frozen=True, slots=True)
class LengthControl:
    """Shorter than the group gains, longer loses; reasoning and answer apart.

    ``w_i = 1 - (l_i - l_min) / (l_max - l_min)``, centred on the group's mean, times the weight.
    """

    reasoning: float = 0.5
    """Weight of the reasoning's length, points."""
    answer: float = 0.5
    """Weight of the answer's length, points."""

    def __call__(self, group: Sequence[Judged]) -> list[float]:
        """Return the gains; they sum to zero."""
        reasoning = _brevity([judged.reasoning_length for judged in group])
        answer = _brevity([judged.answer_length for judged in group])
        return [
            self.reasoning * r + self.answer * a for r, a in zip(reasoning, answer, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class ConcisenessBonus:
    """The shortest response gains, but only if it is among the best: brevity must not pay alone.

    Raises:
        ConfigError: a percentile outside 0 to 100.
    """

    reasoning: float = 0.5
    """Points for the shortest reasoning."""
    answer: float = 0.5
    """Points for the shortest answer."""
    percentile: float = 80.0
    """The base score must reach this percentile of the group (linear interpolation)."""

    def __post_init__(self) -> None:
        """Refuse percentiles that are none."""
        if not 0 <= self.percentile <= 100:
            raise ConfigError(f"percentile must lie in 0 to 100, got {self.percentile!r}")

    def __call__(self, group: Sequence[Judged]) -> list[float]:
        """Return the gains; responses of equal length that pass share none: each gets it whole."""
        if not group:
            return []
        import numpy as np

        gate = float(np.percentile([judged.base for judged in group], self.percentile))
        least_reasoning = min(judged.reasoning_length for judged in group)
        least_answer = min(judged.answer_length for judged in group)
        return [
            (judged.base >= gate)
            * (
                self.reasoning * (judged.reasoning_length == least_reasoning)
                + self.answer * (judged.answer_length == least_answer)
            )
            for judged in group
        ]


def _brevity(lengths: Sequence[int]) -> list[float]:
    """Return 1 for the shortest to 0 for the longest, less the mean; zeros if all are equal."""
    if not lengths or min(lengths) == max(lengths):
        return [0.0] * len(lengths)
    span = max(lengths) - min(lengths)
    weights = [1 - (length - min(lengths)) / span for length in lengths]
    mean = sum(weights) / len(weights)
    return [weight - mean for weight in weights]
