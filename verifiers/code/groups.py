"""Points of test groups: subtasks of olympiads (CMS) and of Kattis' scoring problems.

One recursive form serves both: a group combines the values of its tests and subgroups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Combine", "Group"]

Combine = Literal["sum", "min", "max", "avg"]


@dataclass(frozen=True, slots=True)
class Group:
    """Tests and subgroups whose points are combined.

    A test is worth `accept` × its score (1 if accepted, a checker's fraction if partial), or
    `reject` if it failed.
    """

    name: str
    tests: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    combine: Combine = "sum"
    accept: float = 1.0
    reject: float = 0.0
    ceiling: float | None = None
    """Points that the group cannot exceed."""

    def all_tests(self) -> Iterator[str]:
        """Names of the tests in the group and below; a test may be in several groups."""
        yield from self.tests
        for group in self.groups:
            yield from group.all_tests()

    def points(self, scores: Mapping[str, float]) -> float:
        """Return the group's points, from the score in [0, 1] of every test."""
        values = [self.accept * scores[t] if scores[t] > 0 else self.reject for t in self.tests]
        values += [group.points(scores) for group in self.groups]
        if not values:
            return 0.0
        total = {
            "sum": sum(values), "min": min(values), "max": max(values),
            "avg": sum(values) / len(values),
        }[self.combine]  # fmt: skip
        return total if self.ceiling is None else min(total, self.ceiling)

    def full(self) -> float:
        """Return the points of a program that passes every test."""
        return self.points(dict.fromkeys(self.all_tests(), 1.0))
