"""The same sandbox for asyncio: each call waits on a thread, one for each worker."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from cascade.sandboxes.opening import open_sandbox
from cascade.sandboxes.programs import Call, Case, Limits, Program
from cascade.sandboxes.sandbox import Job, Sandbox
from cascade.sandboxes.sessions import SESSION_LIMITS, Execution, Session
from cascade.sandboxes.settings import SandboxConfig
from cascade.sandboxes.verdicts import Outcome, Report

__all__ = ["AsyncSandbox", "AsyncSession", "open_sandbox_async"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSandbox:
    """Twin of `Sandbox`; open it with `open_sandbox_async`, in an `async with` block."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sync = sandbox
        """The sandbox itself, for threads."""
        self._threads = ThreadPoolExecutor(
            2 * sandbox.config.workers, thread_name_prefix="cascade-async"
        )

    async def _on_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, functools.partial(function, *args, **kwargs)
        )

    async def judge(
        self,
        program: Program,
        cases: Sequence[Case],
        limits: Limits | None = None,
        **options: Any,
    ) -> Report:
        """See `Sandbox.judge`. A call that is cancelled still ends its run, unseen."""
        return await self._on_thread(self.sync.judge, program, cases, limits, **options)

    async def run(
        self, program: Program, case: Case | None = None, limits: Limits | None = None
    ) -> Outcome:
        """See `Sandbox.run`."""
        return await self._on_thread(self.sync.run, program, case, limits)

    async def call(
        self,
        program: Program,
        function: str,
        calls: Sequence[Call],
        limits: Limits | None = None,
        **options: Any,
    ) -> Report:
        """See `Sandbox.call`."""
        return await self._on_thread(self.sync.call, program, function, calls, limits, **options)

    async def unit_tests(self, program: Program, tests: str, **options: Any) -> Report:
        """See `Sandbox.unit_tests`."""
        return await self._on_thread(self.sync.unit_tests, program, tests, **options)

    async def judge_many(
        self, jobs: Iterable[Job] | AsyncIterable[Job], *, ahead: int | None = None
    ) -> AsyncIterator[tuple[Job, Report]]:
        """See `Sandbox.judge_many`; yields as they finish, and takes `jobs` as it goes."""
        ahead = ahead or 2 * self.sync.config.workers
        flight: set[asyncio.Task[tuple[Job, Report]]] = set()
        source = _aiter(jobs)
        more = True
        try:
            while more or flight:
                while more and len(flight) < ahead:
                    job = await anext(source, None)
                    if job is None:
                        more = False
                        break
                    flight.add(asyncio.create_task(self._judge_job(job)))
                if not flight:
                    return
                done, flight = await asyncio.wait(flight, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in flight:
                task.cancel()

    async def _judge_job(self, job: Job) -> tuple[Job, Report]:
        return job, await self._on_thread(self.sync.judge_job, job)

    @contextlib.asynccontextmanager
    async def session(self, limits: Limits = SESSION_LIMITS) -> AsyncIterator[AsyncSession]:
        """See `Sandbox.session`."""
        manager = self.sync.session(limits)
        session = await self._on_thread(manager.__enter__)
        try:
            yield AsyncSession(session, self._threads)
        finally:
            await self._on_thread(manager.__exit__, None, None, None)

    async def aclose(self) -> None:
        """End every slot. Calling it twice is harmless."""
        await asyncio.to_thread(self.sync.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class AsyncSession:
    """Twin of `Session`."""

    def __init__(self, session: Session, threads: ThreadPoolExecutor) -> None:
        self.sync = session
        self._threads = threads

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def exec(self, argv: Sequence[str] | str, **options: Any) -> Outcome:
        """See `Session.exec`."""
        return await self._on_thread(functools.partial(self.sync.exec, argv, **options))

    async def python(self, code: str, **options: Any) -> Execution:
        """See `Session.python`."""
        return await self._on_thread(functools.partial(self.sync.python, code, **options))

    async def write(self, name: str, data: str | bytes, *, executable: bool = False) -> None:
        """See `Session.write`."""
        await self._on_thread(functools.partial(self.sync.write, name, data, executable=executable))

    async def read(self, name: str, limit: int = 64 << 20) -> bytes:
        """See `Session.read`."""
        return await self._on_thread(functools.partial(self.sync.read, name, limit))

    async def snapshot(self) -> bytes:
        """See `Session.snapshot`."""
        return await self._on_thread(self.sync.snapshot)

    async def reset(self, snapshot: bytes | None = None) -> None:
        """See `Session.reset`."""
        await self._on_thread(functools.partial(self.sync.reset, snapshot))


async def _aiter(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job


@contextlib.asynccontextmanager
async def open_sandbox_async(
    kind: str = "auto", *, config: SandboxConfig | None = None, **settings: Any
) -> AsyncIterator[AsyncSandbox]:
    """Open a sandbox for asyncio; the arguments are those of `open_sandbox`."""
    opened = functools.partial(open_sandbox, kind, config=config, **settings)
    box = AsyncSandbox(await asyncio.to_thread(opened))
    try:
        yield box
    finally:
        await box.aclose()
