"""`rollout` turned inside out: a trainer with a loop of its own dictates the assistant's messages.

The episode itself is still run by `cascade.envs.rollout`, so what an outside trainer is told (the
environment's answers, the reward, a FAULT) is what our own trainer and evaluation would be told.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from cascade.envs.base import TextEnv
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.rollout import rollout
from cascade.errors import ContractError
from cascade.types import Completion, Message, Prompt, SamplingParams, StopReason, Trajectory

__all__ = ["DictatedEpisode", "in_background", "judge"]

Result = TypeVar("Result")
_RUNNING: set[asyncio.Future[Trajectory]] = set()
"""Keeps the episodes that a trainer has forgotten from being collected while they run."""


async def judge(env: TextEnv, task_id: str, text: str, *, env_id: str = "") -> Trajectory:
    """Run an episode in which the assistant says `text`, and again if it is asked again."""
    return await rollout(
        env, ScriptedEngine(text), SamplingParams(), task_id=task_id, env_id=env_id
    )


class DictatedEpisode:
    """One episode of `env`, said message by message.

    Args:
        env: used by this episode alone.
        task_id: the task.
        env_id: what the record calls the environment.
    """

    def __init__(self, env: TextEnv, task_id: str, *, env_id: str = "") -> None:
        self.env = env
        self.trajectory: Trajectory | None = None
        """The record, once the episode is over."""
        self._engine = _Dictation()
        self._seen = 0
        self._running = asyncio.ensure_future(
            rollout(env, self._engine, SamplingParams(), task_id=task_id, env_id=env_id)
        )
        _RUNNING.add(self._running)
        self._running.add_done_callback(_RUNNING.discard)

    async def begin(self) -> Sequence[Message]:
        """Return the conversation that the assistant sees first."""
        return await self._next()

    async def say(self, text: str, stop_reason: StopReason = StopReason.STOP) -> Sequence[Message]:
        """Say the assistant's next message; return what the environment answers to it.

        Raises:
            ContractError: the episode is over (see `trajectory`).
        """
        if self.trajectory is not None:
            raise ContractError("the episode is over: there is nobody to talk to")
        self._seen += 1
        self._engine.said.put_nowait(Completion(text, stop_reason))
        return await self._next()

    async def abandon(self) -> None:
        """End the episode without a verdict; harmless after its end."""
        self._running.cancel()
        await asyncio.wait([self._running])

    async def _next(self) -> Sequence[Message]:
        """Wait until the assistant is asked, or the episode is over."""
        asked = asyncio.ensure_future(self._engine.asked.get())
        await asyncio.wait([asked, self._running], return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            conversation = asked.result()
        else:
            asked.cancel()
            self.trajectory = self._running.result()
            conversation = self.trajectory.messages
        new, self._seen = conversation[self._seen :], len(conversation)
        return new


class _Dictation:
    """The engine of a dictated episode."""

    name = "dictated"
    max_concurrency = 1

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Sequence[Message]] = asyncio.Queue()
        self.said: asyncio.Queue[Completion] = asyncio.Queue()

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        self.asked.put_nowait(prompts[0])  # type: ignore[arg-type]  # rollouts send conversations
        return [await self.said.get()]

    def describe(self) -> Mapping[str, Any]:
        return {}

    async def aclose(self) -> None:
        pass


@cache
def _background_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="cascade episodes", daemon=True).start()
    atexit.register(lambda: in_background(_end_all()))
    return loop


async def _end_all() -> None:
    """Cancel what is still running when the process ends, which asyncio would complain about."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def in_background(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on a loop that lives as long as the process, and wait for its result."""
    return asyncio.run_coroutine_threadsafe(work, _background_loop()).result()
