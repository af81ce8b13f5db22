"""Groups of rollouts for one update: waves, retries of faults, dynamic sampling, and a journal.

A wave is a set of episodes that run side by side. The first has a group for each task of the
batch; further ones run faulty episodes again, and replace groups whose rewards are all equal
(dynamic sampling, arXiv 2503.14476), up to a bound. Which groups make the batch depends on the
order in which tasks were drawn, never on which episode ended first: short answers gain nothing.

Every episode is in the journal of its step as soon as it ends. A process that is killed finds them
there, so episodes since the last checkpoint are not sampled again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

from cascade.envs.base import TextEnv
from cascade.envs.engines import Engine
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.groups import judged_together
from cascade.envs.registry import make_env
from cascade.envs.rollout import derive_seed, rollout
from cascade.envs.tasksets import TaskSet
from cascade.envs.trajectories import TrajectoryWriter, read_trajectories
from cascade.errors import ConfigError, ContractError, DataError, EngineError
from cascade.trainer.curriculum import Domain, Draw, Order, Shuffled, TaskStream
from cascade.trainer.settings import Range, check_fields
from cascade.trainer.sync import Episode, Sampler
from cascade.types import SamplingParams, Trajectory

__all__ = [
    "Collected",
    "Collector",
    "EnvPool",
    "Group",
    "TaskSets",
    "TrainEnv",
    "engine_failed",
    "remove_journals",
]


class TaskSets(Protocol):
    """Something that loads a task set, such as `cascade.envs.tasksets.MiniSource`."""

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Return the tasks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEnv:
    """An environment and its tasks: one domain of a stage."""

    env: str | type[TextEnv]
    """Id, such as ``cascade/Math-v0``, or a class of one's own."""
    tasks: str | TaskSets | None = None
    """Name of a registered set, a file, or a source of tasks; None: the environment's own."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the environment."""
    name: str | None = None
    """Of the domain, in metrics and for teachers; None: the environment's id."""
    share: Annotated[float, Range(above=0)] = 1.0
    """Weight among the stage's environments."""
    order: Order = field(default_factory=Shuffled)
    """In which order tasks come."""
    pass_rates: Mapping[str, float] = field(default_factory=dict)
    """Task id -> profiled pass rate, for orders that need it."""

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        check_fields(self)

    @property
    def env_id(self) -> str:
        """What records call the environment."""
        return self.env if isinstance(self.env, str) else self.env.__qualname__

    @property
    def domain(self) -> str:
        """What samples of it carry."""
        return self.name or self.env_id

    def make(self, **options: Any) -> TextEnv:
        """Build one environment."""
        return make_env(self.env, **options) if isinstance(self.env, str) else self.env(**options)

    def open(self) -> EnvPool:
        """Load the tasks.

        Raises:
            UnknownNameError, DataError: there is no such environment or task set.
        """
        tasks = self.tasks
        given = tasks if tasks is None or isinstance(tasks, str) else tasks.load()
        options = dict(self.options) | ({} if given is None else {"tasks": given})
        return EnvPool(self, self.make(**options))


class EnvPool:
    """Environments of one kind that share their tasks; each serves one episode at a time."""

    def __init__(self, config: TrainEnv, first: TextEnv) -> None:
        self.config = config
        self.tasks = first.tasks
        self._idle = [first]

    def take(self) -> TextEnv:
        """Return an idle environment, or make one."""
        if self._idle:
            return self._idle.pop()
        return self.config.make(**{**self.config.options, "tasks": self.tasks})

    def give(self, env: TextEnv) -> None:
        """Take an environment back."""
        self._idle.append(env)

    def domain(self) -> Domain:
        """Return its tasks for a `TaskStream`."""
        config = self.config
        ids = tuple(task.id for task in self.tasks)
        return Domain(config.domain, ids, config.order, config.share, config.pass_rates)

    async def judged(self, group: Sequence[Trajectory]) -> list[Trajectory]:
        """Let an environment whose reward compares the episodes of a group judge them.

        Raises:
            ContractError, ConfigError: see `cascade.envs.groups.judged_together`.
        """
        env = self.take()
        try:
            return await judged_together(env, group)
        finally:
            self.give(env)

    async def episode(
        self, engine: Engine, params: SamplingParams, *, task_id: str, sample: int, seed: int,
        metadata: Mapping[str, Any],
    ) -> Trajectory:  # fmt: skip
        """Run one episode.

        Raises:
            ContractError: its reward is not a number in [0, 1].
            ConfigError, DataError: what `rollout` raises, with environment and task named.
        """
        env = self.take()
        where = f"environment {self.config.env_id!r}, task {task_id!r}"
        try:
            done = await rollout(
                env, engine, params, task_id=task_id, env_id=self.config.env_id, sample=sample,
                seed=seed, metadata=metadata,
            )  # fmt: skip
        except (ConfigError, DataError) as error:
            raise type(error)(f"{where}: {error}") from error
        finally:
            self.give(env)
        if not (math.isfinite(done.reward) and 0.0 <= done.reward <= 1.0):
            raise ContractError(
                f"{where}: an episode's reward must lie in [0, 1], got {done.reward!r}; mend the "
                "environment (its step rewards add up to the episode's)"
            )
        return done


@dataclass(frozen=True, slots=True)
class Group:
    """The judged episodes of one task."""

    draw: Draw
    episodes: tuple[Trajectory, ...]
    """Without those that stayed FAULT."""

    @property
    def mean_reward(self) -> float:
        """Observed pass rate. A preference has rewards in points of its own."""
        return sum(e.verdict.reward for e in self.episodes) / len(self.episodes)

    @property
    def teaches(self) -> bool:
        """Whether its rewards differ: else every advantage is 0."""
        rewards = [e.reward for e in self.episodes]
        return len(rewards) > 1 and max(rewards) > min(rewards)


@dataclass(frozen=True, slots=True)
class Collected:
    """What one step has to train on, and how it came about."""

    groups: tuple[Group, ...]
    """Those that teach, in the order in which their tasks were drawn."""
    judged: tuple[Trajectory, ...]
    """All judged episodes, those of dropped groups too: metrics over these are unbiased."""
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Job:
    """One episode to run; what comes out depends on nothing else but the weights."""

    draw: Draw
    sample: int
    attempt: int = 1

    @property
    def key(self) -> tuple[int, int, int]:
        return self.draw.number, self.sample, self.attempt


class Collector:
    """Runs the episodes of a stage."""

    def __init__(
        self,
        pools: Sequence[EnvPool],
        stream: TaskStream,
        sampler: Sampler,
        params: SamplingParams,
        *,
        num_groups: int,
        group_size: int,
        max_waves: int,
        retries: int,
        concurrency: int | None,
        restarts: int,
        recover: Callable[[str], Awaitable[None]],
        seed: int,
        journal: Path | None,
    ) -> None:
        """Prepare.

        Args:
            pools: the environments, by their domains' names.
            stream: says which task comes next.
            sampler: where samples come from.
            params: how each message is sampled.
            num_groups: tasks of one update.
            group_size: episodes of each task.
            max_waves: bound on refilling: after so many waves of new groups, fewer must do.
            retries: how often a faulty episode is tried again.
            concurrency: episodes in flight.
            restarts: how often in a step the engine may be opened anew.
            recover: called with the reason when the engine has failed; opens it anew and syncs it.
            seed: of the stage.
            journal: folder for episodes of steps that no checkpoint covers; None keeps none.
        """
        self.stream = stream
        self.sampler = sampler
        self._pools = {pool.config.domain: pool for pool in pools}
        self._params = params
        self._num_groups = num_groups
        self._group_size = group_size
        self._max_waves = max_waves
        self._retries = retries
        self._concurrency = concurrency
        self._restarts = restarts
        self._recover = recover
        self._seed = seed
        self._journal = journal

    async def collect(self, step: int) -> Collected:
        """Run episodes until the step has its groups, or the bound is reached.

        Raises:
            EngineError: the engine failed and cannot be opened anew; or every episode is a FAULT:
                the message has the last one's reason.
        """
        with _Journal(self._journal, step, self._restarts) as journal:
            groups: list[Group] = []
            judged: list[Trajectory] = []
            counts: Counter[str] = Counter()
            for _ in range(self._max_waves):
                wanted = self._num_groups - len(groups)
                if wanted <= 0:
                    break
                draws = [self.stream.next_group() for _ in range(wanted)]
                new = await self._groups(draws, journal, counts)
                counts["waves"] += 1
                judged += [episode for group in new for episode in group.episodes]
                groups += [group for group in new if group.teaches]
        if not judged:
            raise EngineError(
                f"every episode of the stage's step {step + 1} is a FAULT, the last one: "
                f"{journal.last_fault}"
            )
        counts["restarts"] = self._restarts - journal.restarts_left
        return Collected(tuple(groups), tuple(judged), _metrics(groups, judged, counts))

    async def _groups(
        self, draws: Sequence[Draw], journal: _Journal, counts: Counter[str]
    ) -> list[Group]:
        """Run the episodes of new tasks, and faulty ones again."""
        jobs = [_Job(draw, sample) for draw in draws for sample in range(self._group_size)]
        done: dict[tuple[int, int], Trajectory] = {}
        for attempt in range(1, self._retries + 2):
            for job, episode in zip(jobs, await self._wave(jobs, done, journal), strict=True):
                done[job.draw.number, job.sample] = episode
            faulty = [j for j in jobs if done[j.draw.number, j.sample].verdict.is_fault]
            counts["faults"] += len(faulty)
            if not faulty:
                break
            jobs = [replace(job, attempt=attempt + 1) for job in faulty]
        groups = []
        for draw in draws:
            pool = self._pools[draw.domain]
            episodes = await pool.judged(
                [done[draw.number, sample] for sample in range(self._group_size)]
            )
            group = Group(draw, tuple(e for e in episodes if not e.verdict.is_fault))
            counts["groups"] += 1
            counts["lost"] += len(episodes) - len(group.episodes)
            if group.episodes:
                self.stream.report(draw.domain, draw.task_id, group.mean_reward)
                groups.append(group)
        return groups

    async def _wave(
        self, jobs: Sequence[_Job], done: Mapping[tuple[int, int], Trajectory], journal: _Journal
    ) -> list[Trajectory]:
        """Run one wave, or take it from the journal.

        Where samples repeat to the bit, that holds for whole waves: one that the journal has in
        part, or whose engine failed, is run again as a whole. Elsewhere only what is missing runs.
        """
        held = [journal.held.get(job.key) for job in jobs]
        while None in held:
            if self.sampler.repeatable:
                held = [None] * len(jobs)
            missing = [job for job, episode in zip(jobs, held, strict=True) if episode is None]
            episodes = [self._episode(job, done, journal) for job in missing]
            new = iter(await self.sampler.run(episodes, self._concurrency))
            held = [next(new) if episode is None else episode for episode in held]
            failed = [e for e in held if e is not None and engine_failed(e)]
            if failed and journal.restarts_left > 0:
                journal.restarts_left -= 1
                await self._recover(failed[0].verdict.reason)
                held = [None if e is None or engine_failed(e) else e for e in held]
        return [episode for episode in held if episode is not None]

    def _episode(
        self, job: _Job, done: Mapping[tuple[int, int], Trajectory], journal: _Journal
    ) -> Episode:
        """Return a function that runs `job` on the engine that it is given."""
        draw = job.draw
        before = done.get((draw.number, job.sample))

        async def run(engine: Engine) -> Trajectory:
            if before is not None and not engine_failed(before):
                # Only the judge failed: judge the same text again. A new text would let responses
                # that are hard to judge drop out.
                engine = ScriptedEngine(list(before.completions))
            episode = await self._pools[draw.domain].episode(
                engine,
                self._params,
                task_id=draw.task_id,
                sample=job.sample,
                seed=derive_seed(self._seed, draw.number, job.sample),
                metadata={"group": draw.number, "attempt": job.attempt, "domain": draw.domain},
            )
            journal.write(episode)
            return episode

        return run


def engine_failed(episode: Trajectory) -> bool:
    """Whether an episode is a FAULT for want of an engine, not of a judge."""
    return episode.verdict.is_fault and episode.verdict.reason.startswith("engine:")


class _Journal:
    """The episodes of one step, on disk as they end, and what the step may still spend."""

    def __init__(self, folder: Path | None, step: int, restarts: int) -> None:
        self.restarts_left = restarts
        self.held: dict[tuple[int, int, int], Trajectory] = {}
        self.last_fault = "no reason was given"
        self._path = None if folder is None else journal_path(folder, step)
        self._writer: TrajectoryWriter | None = None

    def __enter__(self) -> _Journal:
        if self._path is not None:
            if self._path.exists():
                for episode in read_trajectories(self._path):
                    key = (
                        int(episode.metadata["group"]),
                        episode.sample,
                        int(episode.metadata["attempt"]),
                    )
                    self.held[key] = episode
            self._writer = TrajectoryWriter(self._path)
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, episode: Trajectory) -> None:
        """Keep an episode. One that the engine failed is not kept: it will be sampled again."""
        if episode.verdict.is_fault:
            self.last_fault = episode.verdict.reason
        if self._writer is not None and not engine_failed(episode):
            self._writer.write(episode)


def journal_path(folder: Path, step: int) -> Path:
    """Where the episodes of a stage's step lie."""
    return folder / f"episodes-{step:06d}.jsonl"


def remove_journals(folder: Path, before: int | None = None) -> None:
    """Remove the journals of a stage's steps below `before`; None removes all."""
    for path in folder.glob("episodes-*.jsonl"):
        if before is None or path.name < journal_path(folder, before).name:
            path.unlink()


def _metrics(
    groups: Sequence[Group], judged: Sequence[Trajectory], counts: Counter[str]
) -> dict[str, float]:
    tokens = [_num_tokens(episode) for episode in judged]
    return {
        "reward/mean": sum(e.reward for e in judged) / len(judged),
        "length/mean": sum(tokens) / len(tokens),
        "length/max": float(max(tokens)),
        "length/cut_off": sum(e.stop_reason.value == "length" for e in judged) / len(judged),
        "groups/kept": float(len(groups)),
        "groups/dropped": float(counts["groups"] - len(groups)),
        "episodes": float(len(judged)),
        "waves": float(counts["waves"]),
        "faults": float(counts["faults"]),
        "faults/lost": float(counts["lost"]),
        "engine/restarts": float(counts["restarts"]),
        "sampled_tokens": float(sum(tokens)),
    }


def _num_tokens(episode: Trajectory) -> int:
    return sum(len(c.token_ids or ()) for c in episode.completions)
