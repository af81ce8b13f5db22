"""Judging where more than one program takes part: interactors, managers, unit tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cascade.errors import SandboxError
from cascade.sandboxes.build import Builder, Built
from cascade.sandboxes.classify import classify, outcome_of
from cascade.sandboxes.duet import Ended, Part, converse
from cascade.sandboxes.inside.drivers import SERVE, TESTER
from cascade.sandboxes.inside.tester import CODES
from cascade.sandboxes.judges import Checker, Interactor, Manager, Ruling
from cascade.sandboxes.pool import Pool
from cascade.sandboxes.programs import COMPILE_LIMITS, Case, Limits, Program, as_bytes
from cascade.sandboxes.slot import Raw, Run, Slot
from cascade.sandboxes.verdicts import Outcome, Status

__all__ = ["Company"]

_FEEDBACK = ("feedback/judgemessage.txt", "feedback/score.txt")
_PATIENCE = 20
"""How many times its wall limit a program may wait for the others."""
_CONTROL = Program("python", "def __getattr__(name):\n    return lambda *a, **k: '\\0control'\n")


@dataclass(frozen=True)
class Company:
    """Runs programs together: the judged one in its slot, the task's own in slots of `helpers`."""

    helpers: Callable[[], Pool]
    builder: Builder
    several: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever borrows more than one helper, lest two wait for each other."""

    def _build(self, slot: Slot, program: Program) -> Built:
        """Build a program of the task; its failure is the task's."""
        built, outcome = self.builder.build(slot, program, COMPILE_LIMITS)
        if built is None:
            text = outcome.stderr[:500].decode("utf-8", "replace") if outcome else ""
            raise BadTaskError(f"a program of the task does not compile: {text}")
        built.place(slot)
        return built

    def check(self, checker: Checker, case: Case, raw: Raw, outcome: Outcome) -> Outcome:
        """Let a checker judge an output."""
        with self.helpers().slot() as slot:
            built = self._build(slot, checker.program)
            args, stdin, files = checker.command(case, raw.stdout)
            run = Run(
                (*built.command(checker.limits), *checker.program.args, *args),
                checker.limits,
                stdin=stdin,
                driver=built.driver,
                files=files,
                collect=_FEEDBACK if checker.style == "icpc" else (),
                extra_processes=built.extra_processes,
            )
            return _ruled(outcome, checker.rule(slot.run(run)))

    def interact(self, slot: Slot, run: Run, interactor: Interactor, case: Case) -> Outcome:
        """Let an interactor talk with a program."""
        with self.helpers().slot() as helper:
            built = self._build(helper, interactor.program)
            args, files = interactor.command(case)
            judge = Run(
                (*built.command(interactor.limits), *interactor.program.args, *args),
                interactor.limits,
                driver=built.driver,
                files=files,
                collect=_FEEDBACK,
                channels=(None,),
                extra_processes=built.extra_processes,
            )
            parts = _trial([Part(slot, replace(run, channels=(None,)))], Part(helper, judge))
            *ends, last = converse(parts, [((0, 0), (1, 0))])
        return _together(ends, last, run.limits, interactor.rule(last.raw))

    def manage(self, slot: Slot, built: Built, run: Run, manager: Manager, case: Case) -> Outcome:
        """Let a manager talk with copies of a program."""
        count = manager.processes
        with contextlib.ExitStack() as stack:
            if count > 1:
                stack.enter_context(self.several)
            helper = stack.enter_context(self.helpers().slot())
            others = [stack.enter_context(self.helpers().slot()) for _ in range(count - 1)]
            judge = self._build(helper, manager.program)
            names = [(f"u{i}", f"m{i}") for i in range(count)]
            args = tuple(f"/tmp/{name}" for pair in names for name in pair)
            data = as_bytes(case.stdin)
            chief = Run(
                (*judge.command(manager.limits), *manager.program.args, *args),
                manager.limits,
                stdin=data,
                driver=judge.driver,
                files=(("input.txt", data),),
                channels=tuple(names),
                extra_processes=judge.extra_processes,
            )
            copies = []
            for i, place in enumerate([slot, *others]):
                built.place(place)
                copies.append(Part(place, _copy(run, manager, i)))
            wires = [((i, 0), (count, i)) for i in range(count)]
            *ends, last = converse(_trial(copies, Part(helper, chief)), wires)
        return _together(ends, last, run.limits, manager.rule(last.raw))

    def test(self, slot: Slot, run: Run, tests: str, limits: Limits) -> Outcome:
        """Run unit tests in another slot against a Python program in this one."""
        served = replace(run, driver=SERVE, served=True)
        with self.helpers().slot() as helper:
            built = self._build(helper, Program("python", tests))
            longer = replace(
                limits, cpu_seconds=limits.cpu_seconds + 10, wall_seconds=limits.wall + 10
            )
            tester = Run(built.argv, longer, driver=TESTER, served=True)
            ends = converse([Part(slot, served), Part(helper, tester)], [((0, 0), (1, 0))])
        return _tested(limits, *(end.raw for end in ends))

    def control(self, tests: str, limits: Limits) -> str:
        """Run the tests against a program that answers nonsense; say what is wrong with them."""
        with self.several, _two(self.helpers()) as (first, second):
            built = self._build(first, _CONTROL)
            tested = self._build(second, Program("python", tests))
            tester = Run(tested.argv, limits, driver=TESTER, served=True)
            program = Run(built.argv, limits, driver=SERVE, served=True)
            ends = converse([Part(first, program), Part(second, tester)], [((0, 0), (1, 0))])
        outcome = _tested(limits, *(end.raw for end in ends))
        if outcome.status is Status.ACCEPTED:
            return "the tests accept a program that answers nonsense"
        return outcome.reason if outcome.status is Status.BAD_TASK else ""


class BadTaskError(SandboxError):
    """The task cannot be judged by anyone; the message says why."""


@contextlib.contextmanager
def _two(pool: Pool) -> Iterator[tuple[Slot, Slot]]:
    with pool.slot() as first, pool.slot() as second:
        yield first, second


def _copy(run: Run, manager: Manager, index: int) -> Run:
    number = () if manager.processes == 1 else (str(index),)
    if manager.io == "std":
        return replace(run, argv=(*run.argv, *number), stdin=b"", channels=(None,))
    argv = (*run.argv, "/tmp/from", "/tmp/to", *number)
    return replace(run, argv=argv, stdin=b"", channels=(("from", "to"),))


def _trial(parts: Sequence[Part], judge: Part) -> list[Part]:
    """Let the programs and their judge wait for each other without a charge.

    A program's wall limit holds for the time in which it is its turn, and for the time in which
    nothing happens. What the runners let it wait beyond that bounds those who keep a judge busy for
    ever; the judge is given more, so that it is never stopped before them.
    """
    most = max(_PATIENCE * parts[0].run.limits.wall, judge.run.limits.wall)
    tried = [replace(p, run=replace(p.run, waits=most), idle=p.run.limits.wall) for p in parts]
    limits = judge.run.limits
    patient = replace(limits, wall_seconds=2 * most + limits.wall)
    run = replace(judge.run, limits=patient, waits=most)
    return [*tried, replace(judge, run=run, judges=True, idle=limits.wall)]


def _ruled(outcome: Outcome, ruling: Ruling) -> Outcome:
    return replace(outcome, status=ruling.status, score=ruling.score, reason=ruling.message)


def _together(ends: list[Ended], judge: Ended, limits: Limits, ruling: Ruling) -> Outcome:
    """Weigh the ends of the judged programs against the ruling of the judge.

    A rejection stands if the judge stopped first: what a program does afterwards, crash for want of
    an answer or run on, does not matter. Otherwise a crash or an exceeded limit is the verdict.
    A judge that breaks down after it saw the end of the program's stream was left without an
    answer, which is the program's fault and not the task's.
    """
    rejected = ruling.status in (Status.WRONG_ANSWER, Status.PARTIAL)
    for end in ends:
        status, reason = classify(end.raw, limits)
        if status is not Status.ACCEPTED and not (rejected and judge.place < end.place):
            if status is Status.WALL_LIMIT:
                reason = (
                    f"kept the judge waiting for {limits.wall:g} s: asleep, its output not "
                    "flushed, or waiting for what the judge does not send"
                )
            return outcome_of(end.raw, status, reason)
    outcome = outcome_of(ends[0].raw, Status.ACCEPTED)
    if ruling.status is Status.BAD_TASK and judge.raw.heard_end:
        return replace(
            outcome,
            status=Status.WRONG_ANSWER,
            score=0.0,
            reason=f"ended while the judge waited for it: {ruling.message[-200:]}",
        )
    return _ruled(outcome, ruling)


_ENDS = {
    CODES["failed"]: Status.WRONG_ANSWER,
    CODES["no_calls"]: Status.BAD_TASK,
    CODES["not_plain"]: Status.BAD_TASK,
    CODES["broken"]: Status.BAD_TASK,
    CODES["tampered"]: Status.TAMPERED,
    CODES["ended"]: Status.RUNTIME_ERROR,
}


def _tested(limits: Limits, raw: Raw, verdict: Raw) -> Outcome:
    """Combine the ends of a program and of its tests."""
    status, reason = classify(raw, limits)
    code = verdict.status >> 8 if verdict.status & 0x7F == 0 else -1
    text = verdict.stderr.decode("utf-8", "replace").strip()
    if verdict.killed_by or (code != 0 and code not in _ENDS):
        if status not in (Status.ACCEPTED, Status.RUNTIME_ERROR):
            return outcome_of(raw, status, reason)
        what = (
            f"exceeded the limit of {verdict.killed_by}"
            if verdict.killed_by
            else f"ended with {code}"
        )
        return outcome_of(raw, Status.BAD_TASK, f"the tests {what}: {text[-200:]}")
    if code == CODES["ended"] and status is not Status.ACCEPTED:
        return outcome_of(raw, status, reason)
    if status not in (Status.ACCEPTED, Status.RUNTIME_ERROR) and code != CODES["tampered"]:
        return outcome_of(raw, status, reason)
    found = _ENDS.get(code, Status.ACCEPTED)
    return outcome_of(raw, found, "" if found is Status.ACCEPTED else text[-500:])
