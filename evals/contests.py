"""Scores of whole contests: the samples of a problem are submissions of one contestant."""

from __future__ import annotations

from collections.abc import Iterable

from cascade.evals.records import Record
from cascade.evals.setmetrics import Problems, SetMetric

__all__ = ["IOI_POINTS", "SOLVED", "points", "solved"]


def points(problems: Problems) -> float:
    """Sum over problems of each subtask's best points in any sample."""
    return sum(_best(samples) for samples in problems)


def _best(samples: Iterable[Record]) -> float:
    best: dict[str, float] = {}
    for record in samples:
        for name, value in record.parts.items():
            if name != "points":
                best[name] = max(best.get(name, 0.0), value)
    return sum(best.values())


def solved(problems: Problems) -> float:
    """Problems that any sample solved."""
    return float(sum(any(record.reward >= 1.0 for record in samples) for samples in problems))


IOI_POINTS = SetMetric(
    "points", "each subtask's best points over all samples, summed (IOI rules)", points,
    redrawn=False,
)  # fmt: skip
SOLVED = SetMetric(
    "solved", "problems that any sample solves", solved, unit="problems", redrawn=False
)
