"""Scores of a whole task that are no mean over its problems: win rates, points, ratings.

Such a metric is one function of all samples. Its error bar for new questions comes from drawing the
problems again with replacement, each with all of its samples: games, turns or gradings of one
question are not independent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, stdev

from cascade.errors import ConfigError
from cascade.evals.records import Record

__all__ = ["Draws", "Problems", "SetMetric", "percentiles", "redraw"]

Problems = Sequence[Sequence[Record]]
"""[problem][sample] judged samples, faults left out."""
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class SetMetric:
    """A named score of a whole task."""

    name: str
    """As it is published: "win rate", "points", …"""
    meaning: str
    """One line for a person."""
    compute: Callable[[Problems], float]
    """The score in `unit` from at least one problem with at least one sample."""
    unit: str = "points"
    redrawn: bool = True
    """Whether drawing the problems again makes sense: a contest's points have fixed problems."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What a score does when the problems are drawn again."""

    interval: tuple[float, float]
    standard_error: float


def percentiles(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the central interval that holds `level` of `values`, interpolating linearly.

    The same rule as numpy's default: position q (n - 1) in the sorted values.

    Raises:
        ConfigError: no values, or a level outside (0, 1).
    """
    if not values or not 0 < level < 1:
        raise ConfigError(f"no {level:.0%} interval of {len(values)} values")
    ordered = sorted(values)

    def at(share: float) -> float:
        position = share * (len(ordered) - 1)
        below = int(position)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (position - below) * (ordered[above] - ordered[below])

    return at((1 - level) / 2), at((1 + level) / 2)


def redraw(
    problems: Problems,
    compute: Callable[[Problems], float],
    *,
    rounds: int = ROUNDS,
    level: float = 0.95,
    seed: int = 0,
) -> Draws | None:
    """Draw the problems again `rounds` times.

    None if there is only one problem, or if all score alike: no draw then shows any doubt.
    """
    if len(problems) < 2:
        return None
    rng = random.Random(f"redraw/{seed}")
    values = [compute(rng.choices(problems, k=len(problems))) for _ in range(rounds)]
    spread = stdev(values)
    return Draws(percentiles(values, level), spread) if spread > 0 else None


def half_width(draws: Draws, level: float = 0.95) -> float:
    """Half width of the interval that the draws' standard error gives."""
    return NormalDist().inv_cdf((1 + level) / 2) * draws.standard_error
