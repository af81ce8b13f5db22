"""The scheduler: keeps one engine full with the samples of all tasks, and loses none of them.

All tasks of a run share one pool of workers, without any barrier between tasks. Each task advances
through the run at the same share of its samples, problem by problem and then again, so that a run
that is cut short holds balanced samples. A sample counts once its line is in the trajectory file.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cascade.envs.base import TextEnv
from cascade.envs.engines import Engine
from cascade.envs.rollout import derive_seed, rollout
from cascade.envs.trajectories import TrajectoryWriter
from cascade.errors import EngineError
from cascade.evals.plan import PlannedTask
from cascade.evals.records import Record, record_of
from cascade.types import Completion, Prompt, SamplingParams, Trajectory

__all__ = ["Job", "Runner", "RunnerConfig", "schedule"]


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """How a run is carried out; none of it changes a score."""

    seed: int = 0
    """Every sample's seed derives from it, the task, the problem and the sample's number."""
    concurrency: int | None = None
    """Episodes in flight; None: a quarter more than keep the engine full, so that verdicts do not
    leave it idle."""
    retries: int = 2
    """How often a faulty sample is tried again before it is recorded as a FAULT."""
    patience: int | None = None
    """Engine failures in a row, without any success, that end the run; None: one for each episode
    in flight, at least 8."""
    keep_tokens: bool = False
    """Keep token ids and log-probabilities in the trajectory file."""

    def in_flight(self, engine: Engine) -> int:
        """How many episodes run at once."""
        return self.concurrency or max(1, engine.max_concurrency * 5 // 4)


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to draw."""

    task: int
    """Position among the planned tasks."""
    task_id: str
    sample: int


def schedule(
    tasks: Sequence[PlannedTask], done: Mapping[tuple[str, str, int], Record]
) -> Iterator[Job]:
    """Yield the samples that are not done, all tasks advancing at the same share.

    A FAULT is not done: a resumed run tries it again.
    """

    def of_task(position: int, planned: PlannedTask) -> Iterator[tuple[float, int, Job]]:
        total = planned.num_samples
        for number, (task_id, sample) in enumerate(planned.samples()):
            record = done.get((planned.name, task_id, sample))
            if record is None or record.is_fault:
                yield (number + 0.5) / total, position, Job(position, task_id, sample)

    merged = heapq.merge(*(of_task(i, p) for i, p in enumerate(tasks)), key=lambda item: item[:2])
    for _, _, job in merged:
        yield job


class Runner:
    """Runs the samples of some tasks that are not done yet.

    After `run`, also after a cancelled one, `records` holds every sample that is on disk.

    Args:
        tasks: what to run.
        engine: asked for completions; the caller closes it.
        writer: where trajectories go.
        config: see `RunnerConfig`.
        done: samples of an earlier, interrupted run.
    """

    def __init__(
        self,
        tasks: Sequence[PlannedTask],
        engine: Engine,
        writer: TrajectoryWriter,
        config: RunnerConfig | None = None,
        done: Mapping[tuple[str, str, int], Record] | None = None,
    ) -> None:
        self.tasks = tuple(tasks)
        self.engine = engine
        self.config = config or RunnerConfig()
        self.records: dict[tuple[str, str, int], Record] = dict(done or {})
        self.stopped: str | None = None
        """Why the run ended before its end, if the engine gave up."""
        self.finished = 0
        """Samples of this process."""
        self._writer = writer
        self._idle: list[list[TextEnv]] = [[] for _ in self.tasks]
        self._in_flight = self.config.in_flight(engine)
        self._patience = self.config.patience or max(8, self._in_flight)
        self._failures = 0

    async def run(self, on_sample: Callable[[Record], None] | None = None) -> None:
        """Draw and judge every sample that is not done.

        Raises:
            ConfigError, DataError: what no sample of this run can satisfy; samples that finished
                are on disk.
        """
        jobs = schedule(self.tasks, self.records)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._in_flight):
                    group.create_task(self._work(jobs, on_sample))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, jobs: Iterator[Job], on_sample: Callable[[Record], None] | None) -> None:
        for job in jobs:
            if self.stopped is not None:
                return
            trajectory = await self._episode(job)
            # A FAULT for want of an engine is no sample: a run that stops leaves it to the next.
            if self.stopped is not None and _engine_failed(trajectory):
                return
            self._writer.write(self._slim(trajectory))
            record = record_of(trajectory, self.tasks[job.task].name)
            self.records[record.key] = record
            self.finished += 1
            if on_sample is not None:
                on_sample(record)
            # An engine that answers at once never lets the loop see a signal or a timer.
            await asyncio.sleep(0)

    async def _episode(self, job: Job) -> Trajectory:
        """One sample, tried again while it is faulty."""
        idle = self._idle[job.task]
        env = idle.pop() if idle else self.tasks[job.task].make_env()
        trajectory = await self._attempt(env, job, self.engine, 1)
        for attempt in range(2, 2 + self.config.retries):
            if not trajectory.verdict.is_fault or self.stopped is not None:
                break
            engine = self.engine
            if not _engine_failed(trajectory):
                # Only the judge failed: judge the same text again. A new text would let the
                # responses that are hard to judge drop out of the sample.
                engine = _Again(trajectory.completions)
            trajectory = await self._attempt(env, job, engine, attempt)
        idle.append(env)
        return trajectory

    async def _attempt(self, env: TextEnv, job: Job, engine: Engine, attempt: int) -> Trajectory:
        planned = self.tasks[job.task]
        metadata: dict[str, Any] = {"task": planned.name}
        if attempt > 1:
            metadata["attempt"] = attempt
        trajectory = await rollout(
            env,
            engine,
            planned.protocol.sampling,
            task_id=job.task_id,
            env_id=planned.task.env,
            sample=job.sample,
            seed=derive_seed(self.config.seed, planned.name, job.task_id, job.sample),
            token_budget=planned.protocol.episode_tokens,
            metadata=metadata,
        )
        if not _engine_failed(trajectory):
            self._failures = 0
        else:
            self._failures += 1
            if self._failures >= self._patience and self.stopped is None:
                self.stopped = (
                    f"{self._failures} failures of the engine in a row, the last: "
                    f"{trajectory.verdict.reason}"
                )
        return trajectory

    def _slim(self, trajectory: Trajectory) -> Trajectory:
        if self.config.keep_tokens or all(c.token_ids is None for c in trajectory.completions):
            return trajectory
        return replace(trajectory, completions=tuple(map(_without_tokens, trajectory.completions)))


def _engine_failed(trajectory: Trajectory) -> bool:
    return trajectory.verdict.is_fault and trajectory.verdict.reason.startswith("engine:")


def _without_tokens(completion: Completion) -> Completion:
    ids, prompt = completion.token_ids, completion.prompt_token_ids
    return replace(
        completion,
        token_ids=None,
        prompt_token_ids=None,
        logprobs=None,
        routed_experts=None,
        num_tokens=completion.num_tokens if ids is None else len(ids),
        num_prompt_tokens=completion.num_prompt_tokens if prompt is None else len(prompt),
    )


class _Again:
    """Says once more what was said."""

    name = "again"
    max_concurrency = 1

    def __init__(self, completions: Sequence[Completion]) -> None:
        self._left = list(completions)

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return the next of the completions."""
        if not self._left:
            raise EngineError("the episode took another turn when it was judged again")
        return [self._left.pop(0)]

    def describe(self) -> Mapping[str, Any]:
        """Say what this is."""
        return {"engine": "again"}

    async def aclose(self) -> None:
        """Nothing to release."""
