"""Held-out evaluation of a checkpoint on the domains of a cascade.

The same environments and rollouts as in training, on tasks that no stage trains on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

from cascade.envs.base import TextEnv
from cascade.envs.engines import Engine, open_engine
from cascade.envs.registry import make_env
from cascade.envs.rollout import derive_seed, rollout
from cascade.envs.tasksets import MiniSource, TaskSource
from cascade.errors import EngineError
from cascade.trainer.scores import Score, score_of
from cascade.trainer.settings import Range, check_fields
from cascade.types import SamplingParams, Task

__all__ = ["CheckpointEngines", "HeldOut", "Sampler", "evaluate", "evaluate_checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A domain as the cascade sees it: what is measured after each stage."""

    name: str
    """The label that stages, teachers and samples use."""
    env: str
    """Environment id, as in ``cascade/Math-v0``."""
    tasks: str | MiniSource | TaskSource
    """Tasks that no stage trains on: a set by name, or its declaration."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the environment."""
    samples: Annotated[int, Range(1)] = 1
    """Episodes per task; their mean is the task's reward."""
    max_tokens: Annotated[int, Range(1)] = 4096
    """Of one message."""
    temperature: Annotated[float, Range(0)] = 1.0
    """1 measures what training samples; 0 the likeliest answer."""
    thinking: bool | None = None
    """See `SamplingParams`."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        check_fields(self)

    def make(self) -> TextEnv:
        """Build the environment with the held-out tasks."""
        tasks = self.tasks if isinstance(self.tasks, str) else self.tasks.load()
        return make_env(self.env, tasks=tasks, **self.options)


class CheckpointEngines(Protocol):
    """A frozen dataclass that says by which engine a checkpoint is sampled from."""

    def open(self, folder: Path) -> Engine:
        """Open the checkpoint in `folder`."""
        ...


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which engine samples from a checkpoint."""

    engine: str = "torch"
    """Name of an engine that opens checkpoint folders: torch or vllm."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its options."""

    def open(self, folder: Path) -> Engine:
        """Open the checkpoint in `folder`."""
        return open_engine(self.engine, str(folder), **self.options)


async def evaluate_checkpoint(
    folder: Path, domains: Sequence[HeldOut], sampler: CheckpointEngines, *, seed: int
) -> dict[str, Score]:
    """Return the score of the checkpoint in `folder` on each domain.

    Raises:
        ConfigError: an environment, task set or engine that cannot be had.
        EngineError: nothing of a domain could be judged.
    """
    async with AsyncExitStack() as stack:
        engine = sampler.open(folder)
        stack.push_async_callback(engine.aclose)
        return {domain.name: await evaluate(domain, engine, seed=seed) for domain in domains}


async def evaluate(domain: HeldOut, engine: Engine, *, seed: int, attempts: int = 3) -> Score:
    """Return the score of what `engine` samples on the domain's tasks.

    Every checkpoint gets the same tasks with the same seeds. A FAULT is tried again; a task all of
    whose episodes stay FAULTs makes the whole evaluation fail, because its score would not compare.

    Raises:
        EngineError: a task could not be judged.
    """
    first = domain.make()
    with closing(first):
        tasks = first.tasks
        free = [first, *(domain.make() for _ in range(min(len(tasks), _width(engine)) - 1))]
        queue: asyncio.Queue[TextEnv] = asyncio.Queue()
        for env in free:
            queue.put_nowait(env)
        found = await asyncio.gather(
            *(
                _reward(domain, engine, queue, task, sample, seed, attempts)
                for task in tasks
                for sample in range(domain.samples)
            )
        )
        for env in free[1:]:
            env.close()
    rewards, faults = [], 0
    for k, task in enumerate(tasks):
        of_task = found[k * domain.samples : (k + 1) * domain.samples]
        judged = [reward for reward, _ in of_task if reward is not None]
        faults += sum(count for _, count in of_task)
        if not judged:
            raise EngineError(
                f"domain {domain.name!r}: task {task.id!r} could not be judged in {attempts} "
                "attempts; mend its judge or sandbox and run the same command again"
            )
        rewards.append(sum(judged) / len(judged))
    return score_of(rewards, faults)


def _width(engine: Engine) -> int:
    return max(1, min(engine.max_concurrency, 64))


async def _reward(
    domain: HeldOut,
    engine: Engine,
    queue: asyncio.Queue[TextEnv],
    task: Task,
    sample: int,
    seed: int,
    attempts: int,
) -> tuple[float | None, int]:
    """Return the reward of one episode (None: always a FAULT), and how many FAULTs there were."""
    params = SamplingParams(
        temperature=domain.temperature, max_tokens=domain.max_tokens, thinking=domain.thinking
    )
    for attempt in range(attempts):
        env = await queue.get()
        try:
            trajectory = await rollout(
                env,
                engine,
                params,
                task_id=task.id,
                env_id=domain.env,
                sample=sample,
                seed=derive_seed(seed, domain.name, task.id, sample, attempt),
            )
        finally:
            queue.put_nowait(env)
        if not trajectory.verdict.is_fault:
            return trajectory.verdict.reward, attempt
    return None, attempts
