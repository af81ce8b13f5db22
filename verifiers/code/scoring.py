"""What a program's tests are worth: all of them, the passed fraction, or weighted groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cascade.sandboxes.verdicts import Outcome
from cascade.verifiers.code.problem import Problem

__all__ = ["AllTests", "Fraction", "Score", "Scoring", "WeightedGroups"]


@dataclass(frozen=True, slots=True)
class Score:
    """A reward in [0, 1] and its components."""

    reward: float
    parts: Mapping[str, float] = field(default_factory=dict)


class Scoring(Protocol):
    """Turns the outcomes of a problem's tests, one for each in order, into a reward."""

    @property
    def stops_early(self) -> bool:
        """Whether tests behind the first failure cannot change the reward."""
        ...

    def __call__(self, problem: Problem, outcomes: Sequence[Outcome]) -> Score:
        """Return the reward."""
        ...


@dataclass(frozen=True, slots=True)
class AllTests:
    """1 if every test passed in full, else 0: the published reward of code RL."""

    stops_early: bool = True

    def __call__(self, problem: Problem, outcomes: Sequence[Outcome]) -> Score:
        """Return the reward."""
        full = all(outcome.accepted for outcome in outcomes)
        return Score(float(full))


@dataclass(frozen=True, slots=True)
class Fraction:
    """The mean score of the tests."""

    stops_early: bool = False

    def __call__(self, problem: Problem, outcomes: Sequence[Outcome]) -> Score:
        """Return the reward."""
        return Score(sum(outcome.score for outcome in outcomes) / len(outcomes))


@dataclass(frozen=True, slots=True)
class WeightedGroups:
    """The points of the problem's groups (subtasks), as a fraction of full points.

    The parts hold the points of each top group and, as ``points``, of the whole. A problem without
    groups is scored by the fraction of its tests.
    """

    stops_early: bool = False

    def __call__(self, problem: Problem, outcomes: Sequence[Outcome]) -> Score:
        """Return the reward."""
        group = problem.scoring
        if group is None:
            return Fraction()(problem, outcomes)
        scores = {
            test.name: outcome.score for test, outcome in zip(problem.tests, outcomes, strict=True)
        }
        points, full = group.points(scores), group.full()
        parts = {part.name: part.points(scores) for part in group.groups}
        reward = points / full if full > 0 else 0.0
        return Score(min(1.0, max(0.0, reward)), {**parts, "points": points})
