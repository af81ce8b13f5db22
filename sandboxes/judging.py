"""One program over its tests: build, run, compare outside, repeat what the infrastructure broke."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cascade.sandboxes.build import Builder, Built
from cascade.sandboxes.classify import classify, outcome_of
from cascade.sandboxes.inside.drivers import CALL
from cascade.sandboxes.inside.plain import NotPlainError, decode, encode
from cascade.sandboxes.link import SlotLostError
from cascade.sandboxes.pool import Pool
from cascade.sandboxes.programs import Call, Case, Limits, Program, as_bytes
from cascade.sandboxes.slot import Raw, Run, Slot
from cascade.sandboxes.verdicts import Isolation, Outcome, Report, Status, worst

__all__ = [
    "Judging",
    "Outcomes",
    "Perform",
    "call_runs",
    "case_runs",
    "judge_value",
    "perform_runs",
]

SKIPPED = Outcome(Status.SKIPPED, reason="an earlier test decided")
Judge = Callable[[int, Raw], Outcome]
"""Turns what was observed of test number i into its outcome; runs outside the sandbox."""


@dataclass
class Attempt:
    """A program under way: what is known so far, over all slots that were used."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    compilation: Outcome | None = None
    isolation: Isolation = field(default_factory=lambda: Isolation("none"))
    retries: int = 0

    def is_decided(self, count: int, stop_early: bool) -> bool:
        """Whether no further run could change the report: only the slot was lost behind it."""
        failed = any(not outcome.accepted for outcome in self.outcomes.values())
        return len(self.outcomes) == count or (stop_early and failed)

    def report(self, count: int, versions: dict[str, str]) -> Report:
        """Sum up."""
        failed = self.compilation
        if failed is not None and failed.status is not Status.ACCEPTED:
            skipped = tuple([SKIPPED] * count)
            return Report(
                failed.status, skipped, failed, self.isolation, versions, self.retries,
                failed.describe(),
            )  # fmt: skip
        outcomes = tuple(self.outcomes.get(i, SKIPPED) for i in range(count))
        status = worst(outcomes)
        reason = ""
        if status is not Status.ACCEPTED:
            number, first = next(
                (i, outcome) for i, outcome in enumerate(outcomes) if outcome.status is status
            )
            reason = f"test {number + 1}: {first.describe()}"
        return Report(
            status, outcomes, self.compilation, self.isolation, versions, self.retries, reason
        )


Outcomes = Generator[tuple[int, Outcome], None, None]
Perform = Callable[[Slot, Built, list[int]], Outcomes]
"""Runs the tests of the given numbers in a slot that holds the program, one after another."""


@dataclass(frozen=True)
class Judging:
    """Runs the tests of programs on the slots of a pool."""

    pool: Pool
    builder: Builder
    versions: dict[str, str]
    retries: int

    def judge(
        self,
        program: Program,
        count: int,
        perform: Perform,
        limits: tuple[Limits, Limits],
        stop_early: bool,
    ) -> Report:
        """Build the program and run tests 0 … count - 1 of it.

        Args:
            program: what is judged.
            count: number of tests.
            perform: runs tests and gives their outcomes.
            limits: of a run, and of the compiler.
            stop_early: skip the tests behind the first that fails.
        """
        attempt = Attempt()
        lost = ""
        while attempt.retries <= self.retries:
            try:
                with self.pool.slot() as slot:
                    slot.check(limits[0])
                    attempt.isolation = slot.isolation
                    self._go_on(slot, program, count, perform, limits[1], stop_early, attempt)
                return attempt.report(count, self.versions)
            except SlotLostError as error:
                attempt.retries += 1
                lost = str(error)
                if attempt.is_decided(count, stop_early):
                    return attempt.report(count, self.versions)
        left = [i for i in range(count) if i not in attempt.outcomes]
        attempt.outcomes[left[0]] = Outcome(Status.FAULT, reason=lost)
        return attempt.report(count, self.versions)

    def _go_on(
        self,
        slot: Slot,
        program: Program,
        count: int,
        perform: Perform,
        compile_limits: Limits,
        stop_early: bool,
        attempt: Attempt,
    ) -> None:
        """Run the tests that have no outcome yet."""
        built, compilation = self.builder.build(slot, program, compile_limits)
        attempt.compilation = compilation or attempt.compilation
        if built is None:
            return
        left = [i for i in range(count) if i not in attempt.outcomes]
        built.place(slot)
        with contextlib.closing(perform(slot, built, left)) as results:
            for i, outcome in results:
                attempt.outcomes[i] = outcome
                if stop_early and not outcome.accepted:
                    return


def perform_runs(make_run: Callable[[Built, int], Run], judge: Judge) -> Perform:
    """Perform runs that need nothing but the slot, sending ahead; judge each outside."""

    def perform(slot: Slot, built: Built, left: list[int]) -> Outcomes:
        with contextlib.closing(slot.run_many(_runs(slot, built, make_run, left))) as results:
            for i, raw in zip(left, results, strict=False):
                yield i, judge(i, raw)

    return perform


def _runs(
    slot: Slot, built: Built, make_run: Callable[[Built, int], Run], left: Sequence[int]
) -> Iterator[Run]:
    for i in left:
        built.place(slot)
        yield make_run(built, i)


def case_runs(
    program: Program, cases: Sequence[Case], limits: Limits, collect: tuple[str, ...] = ()
) -> Callable[[Built, int], Run]:
    """Runs of a program that reads standard input."""

    def make_run(built: Built, index: int) -> Run:
        case = cases[index]
        return Run(
            (*built.command(limits), *program.args, *case.args),
            limits,
            stdin=as_bytes(case.stdin),
            driver=built.driver,
            files=tuple((name, as_bytes(body)) for name, body in case.files.items()),
            collect=collect,
            extra_processes=built.extra_processes,
        )

    return make_run


def call_runs(
    program: Program, function: str, calls: Sequence[Call], limits: Limits, module: str
) -> Callable[[Built, int], Run]:
    """Runs that call one function of a Python program."""

    def make_run(built: Built, index: int) -> Run:
        call = calls[index]
        spec = {
            "function": function,
            "args": list(call.args),
            "kwargs": dict(call.kwargs),
            "module": module,
        }
        return Run((*built.argv, *program.args), limits, driver=CALL, spec=encode(spec))

    return make_run


def judge_value(raw: Raw, limits: Limits, compare: Callable[[object], bool]) -> Outcome:
    """Judge one call by the value that came back."""
    status, reason = classify(raw, limits)
    if status is not Status.ACCEPTED:
        return outcome_of(raw, status, reason)
    if not raw.result:
        return outcome_of(raw, Status.RUNTIME_ERROR, "ended before the function returned")
    if raw.result[:1] == b"x":
        text = raw.result[1:200].decode("utf-8", "replace")
        return outcome_of(raw, Status.WRONG_ANSWER, f"returned what is no plain data: {text}")
    try:
        value = decode(raw.result[1:])
    except NotPlainError as error:
        return outcome_of(raw, Status.TAMPERED, f"a forged result: {error}")
    good = Status.ACCEPTED if compare(value) else Status.WRONG_ANSWER
    return replace(outcome_of(raw, good), value=value)
