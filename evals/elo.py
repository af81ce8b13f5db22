"""Codeforces-style ratings from contest standings.

A model tries each problem N times and solves it in k of them. In a random order of its tries it
would be rejected (N - k) / (k + 1) times before the first success; with that expected penalty it is
placed among the human contestants, and its rating is the one whose expected place equals the place
(Nemotron-Cascade 1, arXiv:2512.13607, appendix E; Codeforces' rating system by Mirzayanov).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cascade.errors import ConfigError, DataError

__all__ = ["Human", "Tries", "average_rating", "contest_rating", "expected_rejections", "place_of",
           "rating_of_place"]  # fmt: skip

LOWEST, HIGHEST = 0.0, 5000.0
"""Bounds of a rating: nobody is placed so badly or so well that there would be no other."""


@dataclass(frozen=True, slots=True)
class Human:
    """One line of the standings."""

    rating: float
    """Before the contest."""
    points: float
    penalty: float = 0.0
    """Breaks ties: less is better (minutes, in ICPC style)."""


@dataclass(frozen=True, slots=True)
class Tries:
    """A model's tries at one problem.

    Raises:
        ConfigError: no try, or more successes than tries.
    """

    points: float
    """What the problem is worth at once; 1 in ICPC style."""
    tries: int
    solved: int

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.tries < 1 or not 0 <= self.solved <= self.tries:
            raise ConfigError(f"{self.solved} of {self.tries} tries cannot have solved a problem")


def expected_rejections(tries: int, solved: int) -> float:
    """Return how many of the tries come before the first success, on average over all orders.

    Raises:
        ConfigError: no success.
    """
    if solved < 1:
        raise ConfigError("a problem that was never solved has no first success")
    return (tries - solved) / (solved + 1)


def standing(problems: Sequence[Tries], *, icpc: bool) -> tuple[float, float]:
    """Return the model's points and penalty.

    A rejection costs 50 points of the problem, or in ICPC style 10 minutes.
    """
    points = penalty = 0.0
    for problem in problems:
        if problem.solved:
            rejections = expected_rejections(problem.tries, problem.solved)
            points += problem.points if icpc else max(0.0, problem.points - 50.0 * rejections)
            penalty += 10.0 * rejections if icpc else 0.0
    return points, penalty


def place_of(points: float, penalty: float, humans: Sequence[Human]) -> float:
    """Return the place among the humans, 1 the best; those that are equal share the mean place."""
    mine = (points, -penalty)
    better = sum((h.points, -h.penalty) > mine for h in humans)
    equal = sum((h.points, -h.penalty) == mine for h in humans)
    return 1.0 + better + equal / 2.0


def rating_of_place(place: float, ratings: Sequence[float]) -> float:
    """Return the rating r with 1 + Σ P(human i beats r) = place, P = 1 / (1 + 10^((r - rᵢ)/400)).

    Raises:
        DataError: no human, or a place outside 1 to their number and one.
    """
    if not ratings:
        raise DataError("a rating needs human contestants to compare with")
    if not 1.0 <= place <= len(ratings) + 1.0:
        raise DataError(f"place {place:g} among {len(ratings)} contestants cannot be")

    def expected(rating: float) -> float:
        return 1.0 + sum(1.0 / (1.0 + math.pow(10.0, (rating - r) / 400.0)) for r in ratings)

    low, high = LOWEST, HIGHEST
    for _ in range(60):
        middle = (low + high) / 2.0
        if expected(middle) > place:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def contest_rating(
    problems: Sequence[Tries], humans: Sequence[Human], *, icpc: bool = False
) -> float:
    """Return the rating that one contest gives.

    Raises:
        DataError: no problem, or no human.
    """
    if not problems:
        raise DataError("a contest has at least one problem")
    points, penalty = standing(problems, icpc=icpc)
    return rating_of_place(place_of(points, penalty, humans), [h.rating for h in humans])


def average_rating(ratings: Sequence[float]) -> float:
    """Return the mean of the contests' ratings.

    Raises:
        DataError: no contest.
    """
    if not ratings:
        raise DataError("a mean rating needs at least one contest")
    return fmean(ratings)
