"""What a contest says of a submission, and what all submissions to a problem are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cascade.sandboxes import Report, Status
from cascade.types import Verdict, VerdictStatus
from cascade.verifiers.code import AllTests, Problem, Scoring, WeightedGroups

__all__ = ["RULES", "Attempt", "ContestRules", "Icpc", "Ioi"]

_WORDS = {
    Status.ACCEPTED: "accepted", Status.WRONG_ANSWER: "wrong answer",
    Status.TIME_LIMIT: "time limit exceeded", Status.MEMORY_LIMIT: "memory limit exceeded",
    Status.OUTPUT_LIMIT: "output limit exceeded", Status.RUNTIME_ERROR: "run-time error",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission, judged."""

    verdict: str
    """The word that contestants see."""
    points: Mapping[str, float] = field(default_factory=dict)
    """Points of each subtask."""
    accepted: bool = False
    """Whether nothing is left to gain."""


class ContestRules(Protocol):
    """A kind of contest."""

    @property
    def scoring(self) -> Scoring:
        """How the tests of one submission are run and scored."""
        ...

    def attempt(self, problem: Problem, report: Report) -> Attempt:
        """Return what contestants learn of a submission; nothing of the hidden tests."""
        ...

    def verdict(self, problem: Problem, attempts: Sequence[Attempt]) -> Verdict:
        """Return what the submissions are worth together."""
        ...


def _word(report: Report) -> str:
    if report.status.value.startswith("compile"):
        return "compile error"
    return _WORDS.get(report.status, report.status.value.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Icpc:
    """A problem is solved or not; each rejected submission before costs 20 minutes.

    The penalty counts only for solved problems. Time of solving is not part of it: a model has no
    contest clock. Source: ICPC World Finals rules, scoring of the contest.
    """

    penalty_minutes: float = 20.0

    @property
    def scoring(self) -> Scoring:
        """All tests must pass; the first failure decides the word."""
        return AllTests()

    def attempt(self, problem: Problem, report: Report) -> Attempt:
        """Return the verdict's word."""
        return Attempt(_word(report), accepted=report.accepted)

    def verdict(self, problem: Problem, attempts: Sequence[Attempt]) -> Verdict:
        """1 if a submission was accepted; parts: `solved`, `rejected`, `penalty_minutes`."""
        solved = bool(attempts) and attempts[-1].accepted
        # A program that does not compile costs nothing.
        rejected = sum(not a.accepted and a.verdict != "compile error" for a in attempts)
        penalty = self.penalty_minutes * rejected if solved else 0.0
        parts = {"solved": float(solved), "rejected": float(rejected), "penalty_minutes": penalty}
        tries = f"{len(attempts)} submission{'s' if len(attempts) != 1 else ''}"
        if solved:
            return Verdict(1.0, VerdictStatus.CORRECT, None, parts, f"solved with {tries}")
        last = attempts[-1].verdict if attempts else "none"
        reason = f"not solved with {tries}, the last: {last}"
        return Verdict(0.0, VerdictStatus.WRONG, None, parts, reason)


@dataclass(frozen=True, slots=True)
class Ioi:
    """Each subtask counts its best submission (IOI rules since 2017)."""

    @property
    def scoring(self) -> Scoring:
        """Points of the subtasks."""
        return WeightedGroups()

    def attempt(self, problem: Problem, report: Report) -> Attempt:
        """Return the points of every subtask."""
        word = _word(report)
        if word == "compile error" or report.status is Status.TAMPERED:
            return Attempt(word, dict.fromkeys(_full(problem), 0.0))
        score = WeightedGroups()(problem, report.outcomes)
        points = {k: v for k, v in score.parts.items() if k != "points"}
        if not points:
            points = {"all": 100.0 * score.reward}
        return Attempt(word, points, accepted=score.reward >= 1.0)

    def verdict(self, problem: Problem, attempts: Sequence[Attempt]) -> Verdict:
        """Share of full points; parts: each subtask's best points, and `points`."""
        full = _full(problem)
        best = {
            name: max((a.points.get(name, 0.0) for a in attempts), default=0.0) for name in full
        }
        points, whole = sum(best.values()), sum(full.values())
        reward = min(1.0, max(0.0, points / whole)) if whole else 0.0
        status = {0.0: VerdictStatus.WRONG, 1.0: VerdictStatus.CORRECT}.get(
            reward, VerdictStatus.PARTIAL
        )
        reason = f"{points:g} of {whole:g} points with {len(attempts)} submissions"
        return Verdict(reward, status, None, {**best, "points": points}, reason)


def _full(problem: Problem) -> dict[str, float]:
    """Full points of every subtask."""
    if problem.scoring is None or not problem.scoring.groups:
        return {"all": 100.0}
    return {group.name: group.full() for group in problem.scoring.groups}


RULES: Mapping[str, ContestRules] = {"ioi": Ioi(), "icpc": Icpc()}
