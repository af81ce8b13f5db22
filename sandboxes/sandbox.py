"""The public face: open a sandbox, judge programs in it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from cascade.errors import ConfigError, SandboxError
from cascade.sandboxes.build import Builder
from cascade.sandboxes.classify import classify, outcome_of
from cascade.sandboxes.compare import Same, TextCompare, Tokens
from cascade.sandboxes.judging import Judging, call_runs, case_runs, judge_value
from cascade.sandboxes.languages import LANGUAGES, find_language
from cascade.sandboxes.pool import Backend, Pool
from cascade.sandboxes.programs import COMPILE_LIMITS, Call, Case, Limits, Program, as_bytes
from cascade.sandboxes.slot import Raw
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
        self._judging = Judging(
            self._pool, Builder(backend.versions), backend.versions, self.config.retries
        )
        self._pool.start()

    @property
    def kind(self) -> str:
        """ "docker" or "local"."""
        return self._backend.name

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the image and its languages, as every report names them."""
        return dict(self._backend.versions)

    def languages(self) -> tuple[str, ...]:
        """Names of the languages that can run here."""
        with self._pool.slot() as slot:
            tools = slot.hello["tools"]
        return tuple(name for name, known in LANGUAGES.items() if tools.get(known.tool))

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
            collect: files to bring back from the working folder after each run.

        Raises:
            SandboxError: no slot could be opened, or the language is missing.
            ConfigError: the limits are more than the sandbox was opened with.
        """
        limits, compare = limits or Limits(), compare or Tokens()
        if not cases:
            return NO_TESTS

        def judge_raw(index: int, raw: Raw) -> Outcome:
            return judge_output(raw, limits, cases[index].expected, compare)

        make_run = case_runs(program, cases, limits, collect)
        both = (limits, compile_limits)
        return self._judging.judge(program, len(cases), make_run, judge_raw, both, stop_early)

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

        make_run = call_runs(program, function, calls, limits, module)
        both = (limits, COMPILE_LIMITS)
        return self._judging.judge(program, len(calls), make_run, judge_raw, both, stop_early)

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
                    future = threads.submit(self._judge_job, job)
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

    def _judge_job(self, job: Job) -> Report:
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
