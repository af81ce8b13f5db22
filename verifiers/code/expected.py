"""What a package expects of its submissions, and whether a report meets it."""

from __future__ import annotations

from collections.abc import Mapping

from cascade.sandboxes.verdicts import Report, Status
from cascade.verifiers.code.problem import Problem
from cascade.verifiers.code.scoring import WeightedGroups

__all__ = ["meets"]

_TIME = frozenset({Status.TIME_LIMIT, Status.WALL_LIMIT})
_CRASH = frozenset(
    {Status.RUNTIME_ERROR, Status.MEMORY_LIMIT, Status.FILE_LIMIT, Status.SECURITY_VIOLATION}
)
_WRONG = frozenset({Status.WRONG_ANSWER, Status.PRESENTATION_ERROR, Status.OUTPUT_LIMIT})
_STATUSES: Mapping[str, frozenset[Status]] = {
    "accepted": frozenset({Status.ACCEPTED}),
    "slow_accepted": frozenset({Status.ACCEPTED}) | _TIME,
    "wrong_answer": _WRONG,
    "time_limit_exceeded": _TIME,
    "run_time_error": _CRASH,
    "model_solution": frozenset({Status.ACCEPTED}),
    "correct": frozenset({Status.ACCEPTED}),
    "incorrect": _WRONG,
    "protocol_violation": _WRONG,
    "time_limit": _TIME,
    "runtime_error": _CRASH,
    "memory_limit": frozenset({Status.MEMORY_LIMIT}),
}
"""Folder of a Kattis or CMS package -> statuses that a submission in it may end with.

``slow_accepted`` (problemtools no longer knows it) may exceed the limit, but must not be wrong.
"""


def meets(expected: str, problem: Problem, report: Report) -> bool:
    """Whether a report fits the folder that the submission came from.

    A partially accepted one (Kattis) or partially correct one (CMS) must earn some of the points
    and not all; its report must cover all tests.
    """
    if expected in ("partially_accepted", "partially_correct"):
        return 0.0 < WeightedGroups()(problem, report.outcomes).reward < 1.0
    return report.status in _STATUSES.get(expected, frozenset())
