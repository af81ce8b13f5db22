"""The verifier: an answer in, its program judged in a sandbox, a verdict out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from cascade.errors import ConfigError, DataError, SandboxError
from cascade.sandboxes import Sandbox
from cascade.sandboxes.verdicts import Report, Status
from cascade.types import Verdict, VerdictStatus
from cascade.verifiers.code.fences import Found, find_program
from cascade.verifiers.code.judge import run_tests
from cascade.verifiers.code.problem import Problem, Submission
from cascade.verifiers.code.programs import program_of
from cascade.verifiers.code.reference import problem_of
from cascade.verifiers.code.scoring import AllTests, Scoring

__all__ = ["NO_PROGRAM", "CodeVerifier", "verdict_of", "verify", "verify_many"]


_COMPILATION = (
    Status.COMPILE_ERROR,
    Status.COMPILE_TIME_LIMIT,
    Status.COMPILE_MEMORY_LIMIT,
)
NO_PROGRAM = "no closed code block in an accepted language"


@dataclass(frozen=True)
class CodeVerifier:
    """Judges answers to code problems; a callable `(response, reference) -> Verdict`.

    Any thread may call it. The sandbox is the caller's: it is neither opened nor closed here.

    Raises:
        ConfigError: a factor that is not positive.
    """

    sandbox: Sandbox
    scoring: Scoring = field(default_factory=AllTests)
    """`AllTests()` (the published binary reward), `Fraction()` or `WeightedGroups()`."""
    time_factor: float = 1.0
    """Time limits of the problems are multiplied by it: above 1 for machines slower than the
    judges', or in the container tiers that cost time. It belongs into every report."""
    languages: tuple[str, ...] | None = None
    """Languages that an answer may be in; None: those of the problem."""

    def __post_init__(self) -> None:
        """Refuse factors that mean nothing."""
        if not 0 < self.time_factor < 1000:
            raise ConfigError(f"time_factor must be positive, got {self.time_factor!r}")

    def __call__(self, response: str, reference: Any, /) -> Verdict:
        """Judge the program in `response` (the assistant's whole message).

        A failure of the sandbox or of the problem's own checker is returned as a FAULT.

        Raises:
            DataError: the reference cannot be judged, whatever the response.
            ConfigError: the sandbox was opened with less than the problem's limits need.
        """
        problem = problem_of(reference)
        found = find_program(response, self.languages or problem.languages)
        if found is None:
            return Verdict.no_answer(NO_PROGRAM)
        return self.judge(problem, found)

    def judge(self, problem: Problem, program: Found | Submission) -> Verdict:
        """Judge a program that has already been found."""
        report = self.report(problem, program)
        return verdict_of(problem, report, self.scoring, program.source)

    def report(self, problem: Problem, program: Found | Submission) -> Report:
        """Run a program on the problem's tests and report every outcome.

        A sandbox that cannot run at all gives a report with the status FAULT.
        """
        files = program.files if isinstance(program, Submission) else {}
        scaled = self.fitted(problem)
        built = program_of(scaled, program.source, program.language, files)
        try:
            return run_tests(self.sandbox, scaled, built, stop_early=self.scoring.stops_early)
        except (ConfigError, DataError):
            raise
        except SandboxError as error:
            return Report(Status.FAULT, reason=str(error))

    def fitted(self, problem: Problem) -> Problem:
        """Return the problem with its limits scaled, and no more memory than the sandbox has."""
        scaled = problem.scaled(self.time_factor)
        memory = min(scaled.limits.memory_bytes, self.sandbox.config.memory_bytes)
        return replace(scaled, limits=replace(scaled.limits, memory_bytes=memory))


def verdict_of(
    problem: Problem, report: Report, scoring: Scoring, extracted: str | None = None
) -> Verdict:
    """Return the verdict that a report means.

    FAULT and BAD_TASK (a checker that crashed) say nothing about the program: FAULT. TAMPERED,
    a compile error and a reward of 0 are WRONG, with the reason.
    """
    words = report.status.value.replace("_", " ")
    reason = f"{words}: {report.reason}"[:500]
    if report.status.is_fault:
        return Verdict.fault(reason, extracted)
    if report.status is Status.TAMPERED or report.status in _COMPILATION:
        return Verdict.wrong(extracted, reason)
    score = scoring(problem, report.outcomes)
    if report.status is Status.ACCEPTED:
        reason = f"{len(report.outcomes)} tests passed"
    status = VerdictStatus.PARTIAL
    if score.reward >= 1.0:
        status = VerdictStatus.CORRECT
    elif score.reward <= 0.0:
        status = VerdictStatus.WRONG
    return Verdict(score.reward, status, extracted, score.parts, reason)


def verify(
    response: str, reference: Any, *, sandbox: Sandbox, scoring: Scoring | None = None
) -> Verdict:
    """Judge the program in `response`; see `CodeVerifier` for more settings.

    Args:
        response: the assistant's whole message.
        reference: a form of `cascade.verifiers.code.problem_of`.
        sandbox: an open sandbox.
        scoring: what the tests are worth; None: all must pass.

    Raises:
        DataError: the reference cannot be judged.
    """
    return CodeVerifier(sandbox, scoring or AllTests())(response, reference)


def verify_many(
    pairs: Iterable[tuple[str, Any]],
    *,
    verifier: CodeVerifier,
) -> Iterator[Verdict]:
    """Judge many (response, reference) pairs on all workers of the sandbox, in order.

    Takes from `pairs` only as much ahead as keeps the workers busy.

    Raises:
        DataError: a reference cannot be judged.
    """
    workers = verifier.sandbox.config.workers
    source = iter(pairs)
    with ThreadPoolExecutor(workers, thread_name_prefix="cascade-code") as threads:
        flight = deque(threads.submit(verifier, *pair) for pair in islice(source, 2 * workers))
        while flight:
            yield flight.popleft().result()
            flight.extend(threads.submit(verifier, *pair) for pair in islice(source, 1))
