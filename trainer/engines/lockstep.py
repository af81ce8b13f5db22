"""Episodes in lockstep: which requests share a batch then never depends on timing.

The last bits of a model's outputs depend on what else is in the batch, and an event loop, threads
and environments decide that by chance. Here the running episodes hand their requests on together,
once each of them waits for one; so the same episodes give the same samples to the bit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from cascade.envs.engines import Engine
from cascade.errors import CascadeError
from cascade.trainer.engines.local import LocalEngine
from cascade.trainer.engines.prompts import request_seed
from cascade.types import Completion, Prompt, SamplingParams

__all__ = ["run_in_lockstep"]

_Result = TypeVar("_Result")
_Waiting = tuple[Sequence[Prompt], SamplingParams, "asyncio.Future[list[Completion]]"]


async def run_in_lockstep(
    engine: LocalEngine, episodes: Sequence[Callable[[Engine], Awaitable[_Result]]]
) -> list[_Result]:
    """Run coroutines that sample from the engine they are given; return their results in order.

    Args:
        engine: nobody else may sample from it meanwhile.
        episodes: each is called with an engine of its own, a seat in the lockstep.
    """
    await engine.forget_prompts()
    steps = _Lockstep(engine, len(episodes))

    async def seated(index: int) -> _Result:
        try:
            return await episodes[index](_Seat(steps, index))
        finally:
            steps.leave()

    tasks = [asyncio.ensure_future(seated(index)) for index in range(len(episodes))]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Lockstep:
    """Holds requests back until every episode that still runs has one."""

    def __init__(self, engine: LocalEngine, running: int) -> None:
        self.engine = engine
        self._running = running
        self._waiting: dict[int, _Waiting] = {}

    async def sample(
        self, seat: int, prompts: Sequence[Prompt], params: SamplingParams
    ) -> list[Completion]:
        future: asyncio.Future[list[Completion]] = asyncio.get_running_loop().create_future()
        self._waiting[seat] = (prompts, params, future)
        self._hand_on()
        return await future

    def leave(self) -> None:
        self._running -= 1
        self._hand_on()

    def _hand_on(self) -> None:
        if not self._waiting or len(self._waiting) < self._running:
            return
        waiting = [self._waiting[seat] for seat in sorted(self._waiting)]
        self._waiting = {}
        self._call(waiting)

    def _call(self, waiting: Sequence[_Waiting]) -> None:
        """Hand all requests in at once, and each answer on as soon as it is there."""
        requests = [
            (prompt, params, request_seed(params.seed, i))
            for prompts, params, _ in waiting
            for i, prompt in enumerate(prompts)
        ]
        try:
            answers = self.engine.hand_in(requests)
        except CascadeError as error:
            for _, _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        at = 0
        for prompts, _, future in waiting:
            own = answers[at : at + len(prompts)]
            at += len(prompts)
            together = asyncio.gather(*own)
            together.add_done_callback(partial(_pass_on, to=future))
            future.add_done_callback(partial(_cancel_too, of=together))


def _pass_on(done: asyncio.Future[Any], to: asyncio.Future[Any]) -> None:
    error = None if done.cancelled() else done.exception()
    if to.done():
        return
    if done.cancelled():
        to.cancel()
    elif error is not None:
        to.set_exception(error)
    else:
        to.set_result(list(done.result()))


def _cancel_too(done: asyncio.Future[Any], of: asyncio.Future[Any]) -> None:
    if done.cancelled():
        of.cancel()


class _Seat:
    """The engine that one episode sees."""

    def __init__(self, steps: _Lockstep, index: int) -> None:
        self._steps = steps
        self._index = index

    @property
    def name(self) -> str:
        return self._steps.engine.name

    @property
    def max_concurrency(self) -> int:
        return self._steps.engine.max_concurrency

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        return await self._steps.sample(self._index, prompts, params)

    def describe(self) -> Mapping[str, Any]:
        return self._steps.engine.describe()

    async def aclose(self) -> None:
        """Nothing of its own to release."""
