"""Held-out scores with intervals, and whether one is clearly below another.

Two checkpoints are compared task by task on the same tasks: the difference of means has a far
smaller error than either mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cascade.errors import ConfigError

__all__ = ["Score", "score_of"]

_Z = 1.959963984540054
"""The normal distribution's 97.5 % point: two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Score:
    """Mean reward of a model on the held-out tasks of a domain."""

    mean: float
    """In [0, 1]."""
    low: float
    """Lower end of the 95 % interval for new tasks."""
    high: float
    """Upper end."""
    rewards: tuple[float, ...] = ()
    """Mean reward of each task, in the order of the task set."""
    faults: int = 0
    """Episodes that could not be judged; they are in no mean."""

    def __post_init__(self) -> None:
        """JSON has lists only."""
        object.__setattr__(self, "rewards", tuple(self.rewards))

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"

    def clearly_below(self, other: Score) -> bool:
        """Whether the drop from `other` to this one is significant (paired, two-sided 5 %).

        Raises:
            ConfigError: the two were measured on different numbers of tasks.
        """
        return change(other, self)[2] < 0


def score_of(rewards: Sequence[float], faults: int = 0) -> Score:
    """Return the score of tasks with these mean rewards.

    The interval is Wilson's, with the variance of the rewards in place of p(1 - p) where tasks have
    several samples: it stays inside [0, 1] and is not empty at 0 or 1.

    Raises:
        ConfigError: no task could be judged.
    """
    count = len(rewards)
    if not count:
        raise ConfigError(f"a score needs at least one judged task, got none ({faults} faults)")
    mean = sum(rewards) / count
    spread = _Z * _Z / count
    variance = sum((reward - mean) ** 2 for reward in rewards) / count
    centre = (mean + spread / 2) / (1 + spread)
    half = math.sqrt(variance * spread + spread * spread / 4) / (1 + spread)
    return Score(mean, max(0.0, centre - half), min(1.0, centre + half), tuple(rewards), faults)


def change(before: Score, after: Score) -> tuple[float, float, float]:
    """Return the mean difference and its 95 % interval (difference, low, high), task by task.

    The interval is that of the normal approximation with one more task that moved all the way
    against the mean: a few equal differences would otherwise have no spread, and no error.

    Raises:
        ConfigError: the two were measured on different numbers of tasks.
    """
    if len(before.rewards) != len(after.rewards) or not before.rewards:
        raise ConfigError(
            f"scores on {len(before.rewards)} and {len(after.rewards)} tasks cannot be compared "
            "task by task; evaluate both on the same set"
        )
    gaps = [b - a for a, b in zip(before.rewards, after.rewards, strict=True)]
    mean = sum(gaps) / len(gaps)
    if not any(gaps):
        return 0.0, 0.0, 0.0
    padded = [*gaps, -math.copysign(1.0, mean)]
    centre = sum(padded) / len(padded)
    variance = sum((gap - centre) ** 2 for gap in padded) / (len(padded) - 1)
    half = _Z * math.sqrt(variance / len(padded))
    return mean, mean - half, mean + half
