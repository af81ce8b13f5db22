"""The public face: open a sandbox, judge programs in it."""

from __future__ import annotations

import functools
import hashlib
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from cascade.errors import ConfigError, SandboxError
from cascade.sandboxes.build import Builder, Built
from cascade.sandboxes.classify import classify, outcome_of
from cascade.sandboxes.compare import Same, TextCompare, Tokens
from cascade.sandboxes.inprocess import run_in_process
from cascade.sandboxes.interaction import BadTaskError, Company
from cascade.sandboxes.judges import Checker, Interactor, Manager
from cascade.sandboxes.judging import (
    Judging,
    Outcomes,
    Perform,
    call_runs,
    case_runs,
    judge_value,
    perform_runs,
)
from cascade.sandboxes.languages import LANGUAGES, find_language
from cascade.sandboxes.link import SlotLostError
from cascade.sandboxes.pool import Backend, Pool
from cascade.sandboxes.programs import COMPILE_LIMITS, Call, Case, Limits, Program, as_bytes
from cascade.sandboxes.sessions import SESSION_LIMITS, Session, open_session
from cascade.sandboxes.slot import Raw, Run, Slot
from cascade.sandboxes.verdicts import Isolation, Outcome, Report, Status

__all__ = ["Job", "Sandbox"]

NO_TESTS = Report(Status.BAD_TASK, reason="no tests: an empty list proves nothing")


@dataclass(frozen=True, slots=True)
class Job:
    """One program for `judge_many`."""

    program: Program
    cases: Sequence[Case]
    limits: Limits = field(default_factory=Limits)
    compare: TextCompare = field(default_factory=Tokens)
    stop_early: bool = True
    key: object = None
    """Anything that tells the caller which job a report belongs to."""


class Sandbox:
    """Slots in which untrusted programs run. Any number of threads may use it at once.

    Use `open_sandbox`. Closing it ends every slot; leaving a `with` block does so.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.config = backend.config
        self._pool = Pool(backend, self.config.workers, self.config.spare)
        self._helpers: Pool | None = None
        self._lock = threading.Lock()
        builder = Builder(backend.versions)
        self._judging = Judging(self._pool, builder, backend.versions, self.config.retries)
        self._company = Company(self._helper_pool, builder)
        self._good_tests: set[bytes] = set()
        try:
            self._pool.start()
        except BaseException:
            backend.close()
            raise

    @property
    def kind(self) -> str:
        """Name of the back end: "docker" or "local"."""
        return self._backend.name

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the image and its languages, as every report names them."""
        return dict(self._backend.versions)

    def languages(self) -> tuple[str, ...]:
        """Names of the languages that can run here."""
        with self._pool.slot() as slot:
            tools = slot.hello["tools"]
        return tuple(name for name, known in LANGUAGES.items() if not known.missing(tools))

    def isolation(self) -> Isolation:
        """What stands between a program and the machine."""
        with self._pool.slot() as slot:
            return slot.isolation

    def judge(
        self,
        program: Program,
        cases: Sequence[Case],
        limits: Limits | None = None,
        *,
        compare: TextCompare | None = None,
        stop_early: bool = True,
        compile_limits: Limits = COMPILE_LIMITS,
        checker: Checker | None = None,
        collect: tuple[str, ...] = (),
    ) -> Report:
        """Compile the program once, run it on each case, compare the outputs outside.

        Args:
            program: what is judged.
            cases: its tests; none give BAD_TASK. A case without `expected` passes if it runs.
            limits: of each run; None: the defaults of `Limits`.
            compare: of the outputs; None: `Tokens()`.
            stop_early: skip the tests behind the first that fails.
            compile_limits: of the compiler.
            checker: a program of the task that judges the output, in a slot of its own, instead
                of `compare`.
            collect: files to bring back from the working folder after each run.

        Raises:
            SandboxError: no slot could be opened, or the language is missing.
            ConfigError: the limits are more than the sandbox was opened with.
        """
        limits, compare = limits or Limits(), compare or Tokens()
        if not cases:
            return NO_TESTS

        def judge_raw(index: int, raw: Raw) -> Outcome:
            case = cases[index]
            if checker is None:
                return judge_output(raw, limits, case.expected, compare)
            ended = judge_output(raw, limits, None, compare)
            return self._company.check(checker, case, raw, ended) if ended.accepted else ended

        perform = perform_runs(case_runs(program, cases, limits, collect), judge_raw)
        return self._judge(program, len(cases), perform, (limits, compile_limits), stop_early)

    def _judge(
        self,
        program: Program,
        count: int,
        perform: Perform,
        limits: tuple[Limits, Limits],
        stop_early: bool,
    ) -> Report:
        try:
            return self._judging.judge(program, count, perform, limits, stop_early)
        except BadTaskError as error:
            return Report(Status.BAD_TASK, reason=str(error), versions=self.versions)

    def judge_interactive(
        self,
        program: Program,
        cases: Sequence[Case],
        judge: Interactor | Manager,
        limits: Limits | None = None,
        *,
        stop_early: bool = True,
        compile_limits: Limits = COMPILE_LIMITS,
    ) -> Report:
        """Judge a program that talks with a program of the task, which runs in another slot.

        Args:
            program: what is judged; for a `Manager`, linked with the task's stub.
            cases: its tests; `stdin` is what the interactor or manager is given.
            judge: the interactor or manager.
            limits: of each run of the judged program.
            stop_early: skip the tests behind the first that fails.
            compile_limits: of the compiler.
        """
        limits = limits or Limits()
        if not cases:
            return NO_TESTS
        make_run = case_runs(program, [replace(case, stdin="") for case in cases], limits)

        def perform(slot: Slot, built: Built, left: list[int]) -> Outcomes:
            for i in left:
                built.place(slot)
                run = make_run(built, i)
                if isinstance(judge, Interactor):
                    yield i, self._company.interact(slot, run, judge, cases[i])
                else:
                    yield i, self._company.manage(slot, built, run, judge, cases[i])

        return self._judge(program, len(cases), perform, (limits, compile_limits), stop_early)

    def unit_tests(
        self,
        program: Program,
        tests: str | Sequence[str],
        limits: Limits | None = None,
        *,
        in_process: bool = False,
        stop_early: bool = True,
        control: bool = True,
    ) -> Report:
        """Run Python test code (assertions) against a Python program.

        By default the tests run in another slot and reach the program's functions by messages of
        plain data, so nothing of the program is near them: names that the tests use and do not
        define are the program's functions. Tests that need more than functions (classes,
        callbacks, arguments changed in place) need `in_process`, which is guarded by a negative
        control for each group: see `cascade.sandboxes.inprocess`.

        Args:
            program: what is tested.
            tests: source of the tests; several groups are judged as several tests.
            limits: of each group.
            in_process: run the tests in the program's own process.
            stop_early: skip the groups behind the first that fails.
            control: make sure, once for each text of tests, that they do not accept nonsense.
        """
        limits = limits or Limits()
        groups = [tests] if isinstance(tests, str) else list(tests)
        if not any(group.strip() for group in groups):
            return NO_TESTS
        if find_language(program.language).name != "python":
            raise ConfigError(f"unit tests are Python's, got {program.language!r}")
        if control and not in_process and (problem := self._controlled(groups)):
            return Report(Status.BAD_TASK, reason=problem, versions=self.versions)

        def perform(slot: Slot, built: Built, left: list[int]) -> Outcomes:
            for i in left:
                built.place(slot)
                if in_process:
                    yield i, run_in_process(slot, built.argv, groups[i], limits, random.Random())
                else:
                    run = Run(built.argv, limits, driver=built.driver)
                    yield i, self._company.test(slot, run, groups[i], limits)

        return self._judge(program, len(groups), perform, (limits, COMPILE_LIMITS), stop_early)

    def _controlled(self, groups: Sequence[str]) -> str:
        """Say what is wrong with tests that accept anything; remembers the good ones."""
        for group in groups:
            key = hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()
            if key in self._good_tests:
                continue
            problem = self._retry(functools.partial(self._company.control, group, Limits()))
            if problem:
                return problem
            self._good_tests.add(key)
        return ""

    def _retry(self, action: Callable[[], str]) -> str:
        """Repeat what an infrastructure fault broke, on fresh slots."""
        for _ in range(self.config.retries):
            try:
                return action()
            except SlotLostError:
                continue
        return action()

    def session(self, limits: Limits = SESSION_LIMITS) -> AbstractContextManager[Session]:
        """Lend a slot to an agent, for as long as the `with` block lasts.

        It counts as one of the workers; `limits` are the defaults of its commands.
        """
        return open_session(self._pool, limits)

    def _helper_pool(self) -> Pool:
        """Slots for the task's own programs, opened as they are wanted."""
        with self._lock:
            if self._helpers is None:
                size = max(self.config.workers, 4)
                self._helpers = Pool(self._backend, size, spare=False, eager=False)
            return self._helpers

    def run(
        self, program: Program, case: Case | None = None, limits: Limits | None = None
    ) -> Outcome:
        """Run a program once; ACCEPTED means that it ended well."""
        case = replace(case, expected=None) if case else Case()
        report = self.judge(program, [case], limits)
        if report.compilation is not None and report.status.name.startswith("COMPILE"):
            return report.compilation
        return report.outcomes[0]

    def call(
        self,
        program: Program,
        function: str,
        calls: Sequence[Call],
        limits: Limits | None = None,
        *,
        compare: Callable[[object, object], bool] | None = None,
        stop_early: bool = True,
        module: str = "__main__",
    ) -> Report:
        """Call a function of a Python program with plain data, each time in a fresh process.

        Args:
            program: defines the function.
            function: its name, or "Class.method" for a method of a new `Class()`.
            calls: arguments and the values that they are to give; none give BAD_TASK.
            limits: of each call, the program's loading included.
            compare: called as compare(expected, actual), outside; None: `Same()`.
            stop_early: skip the calls behind the first that fails.
            module: `__name__` of the program: with the default its main block runs as well.
        """
        limits, compare = limits or Limits(), compare or Same()
        if find_language(program.language).name != "python":
            raise ConfigError(f"function tasks are Python's, got {program.language!r}")
        if not calls:
            return NO_TESTS

        def judge_raw(index: int, raw: Raw) -> Outcome:
            return judge_value(raw, limits, lambda got: compare(calls[index].expected, got))

        perform = perform_runs(call_runs(program, function, calls, limits, module), judge_raw)
        return self._judge(program, len(calls), perform, (limits, COMPILE_LIMITS), stop_early)

    def judge_many(
        self, jobs: Iterable[Job], *, ordered: bool = False, ahead: int | None = None
    ) -> Iterator[tuple[Job, Report]]:
        """Judge a stream of programs on all workers; yields each job with its report.

        Takes from `jobs` only `ahead` more than it has yielded, so an endless stream is fine. A
        job that no slot could take has the status FAULT.

        Args:
            jobs: what to judge.
            ordered: yield in the order of `jobs` instead of as they finish.
            ahead: jobs in flight; None: twice the workers.
        """
        ahead = ahead or 2 * self.config.workers
        source = iter(jobs)
        with ThreadPoolExecutor(self.config.workers, thread_name_prefix="cascade-judge") as threads:
            flight: deque[tuple[Job, Future[Report]]] = deque()
            finished = threading.Semaphore(0)
            while True:
                while len(flight) < ahead and (job := next(source, None)) is not None:
                    future = threads.submit(self.judge_job, job)
                    future.add_done_callback(lambda _: finished.release())
                    flight.append((job, future))
                if not flight:
                    return
                if ordered:
                    job, future = flight.popleft()
                    yield job, future.result()
                    continue
                finished.acquire()
                index = next(i for i, (_, future) in enumerate(flight) if future.done())
                job, future = flight[index]
                del flight[index]
                yield job, future.result()

    def judge_job(self, job: Job) -> Report:
        """Judge one job; a sandbox that fails gives a FAULT instead of an error."""
        try:
            return self.judge(
                job.program, job.cases, job.limits, compare=job.compare, stop_early=job.stop_early
            )
        except ConfigError:
            raise
        except SandboxError as error:
            return Report(Status.FAULT, reason=str(error))

    def close(self) -> None:
        """End every slot. Calling it twice is harmless."""
        self._pool.close()
        if self._helpers is not None:
            self._helpers.close()
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def judge_output(
    raw: Raw, limits: Limits, expected: str | bytes | None, compare: TextCompare
) -> Outcome:
    """Judge one run by its standard output."""
    status, reason = classify(raw, limits)
    if status is not Status.ACCEPTED:
        return outcome_of(raw, status, reason)
    if expected is None:
        return outcome_of(raw, Status.ACCEPTED)
    if raw.written[0] > len(raw.stdout):
        return outcome_of(raw, Status.OUTPUT_LIMIT, "output was cut off")
    return outcome_of(raw, compare(as_bytes(expected), raw.stdout))
