"""Time limits that follow from the slowest accepted submission, as Kattis packages have them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from cascade.errors import DataError, SandboxError
from cascade.verifiers.code.problem import Problem
from cascade.verifiers.code.scoring import AllTests
from cascade.verifiers.code.verifier import CodeVerifier

__all__ = ["calibrated"]


def calibrated(
    problem: Problem,
    verifier: CodeVerifier,
    *,
    languages: Collection[str] | None = None,
    cap_seconds: float = 20.0,
) -> Problem:
    """Return the problem with a time limit measured in the verifier's sandbox.

    The rule of problemtools: the slowest test of any accepted submission, times the problem's
    `time_multiplier`, rounded up to whole seconds. A problem with a stated limit is returned as
    it is.

    Args:
        problem: with its submissions.
        verifier: judges them; its time factor is left out of account.
        languages: of the submissions to measure; None: those that the sandbox has.
        cap_seconds: time limit while measuring.

    Raises:
        DataError: an accepted submission fails, or none can be run here.
        SandboxError: the sandbox failed.
    """
    if problem.time_multiplier is None:
        return problem
    usable = verifier.sandbox.languages() if languages is None else languages
    generous = replace(
        problem,
        limits=replace(problem.limits, cpu_seconds=cap_seconds / verifier.time_factor),
        scoring=None,
    )
    judge = replace(verifier, scoring=AllTests())
    slowest = 0.0
    measured = 0
    for submission in problem.submissions:
        if submission.expected != "accepted" or submission.language not in usable:
            continue
        report = judge.report(generous, submission)
        if report.status.is_fault:
            raise SandboxError(f"{problem.id}, {submission.name}: {report.reason}")
        if not report.accepted:
            raise DataError(
                f"{problem.id}: the accepted submission {submission.name} is "
                f"{report.status.value}: {report.reason}"
            )
        slowest = max(slowest, *(outcome.cpu_seconds for outcome in report.outcomes))
        measured += 1
    if not measured:
        raise DataError(f"{problem.id}: no accepted submission can be run here to set its limit")
    limit = float(max(1, math.ceil(slowest * problem.time_multiplier)))
    return replace(problem, limits=replace(problem.limits, cpu_seconds=limit), time_multiplier=None)
