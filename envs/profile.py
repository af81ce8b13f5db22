"""How hard each task is for a model: pass rates of a task set, measured and kept in a JSONL file.

The first line says how the profile was made; each further one is a task. A task's line is written
when its last sample is judged, so a profile that was cut off is gone on with from the same command.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cascade.envs.base import TextEnv
from cascade.envs.engines import Engine
from cascade.envs.registry import make_env
from cascade.envs.rollout import derive_seed, rollout
from cascade.errors import ConfigError, DataError, DataNotFoundError
from cascade.types import SamplingParams, StopReason, Task, Trajectory

__all__ = ["ProfileConfig", "TaskProfile", "pass_rates", "profile", "read_profile"]

_FORMAT = "cascade.profile/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileConfig:
    """What is measured, and how."""

    env: str
    """The environment's id."""
    env_options: Mapping[str, Any] = field(default_factory=dict)
    """Its arguments: `tasks`, `data_dir`, …"""
    samples: int = 8
    """Episodes of each task."""
    params: SamplingParams = field(default_factory=SamplingParams)
    """How messages are sampled."""
    seed: int = 0
    """Seeds the episodes."""
    limit: int | None = None
    """First so many tasks only."""
    concurrency: int | None = None
    """Episodes in flight; None: what keeps the engine full."""
    retries: int = 2
    """How often a faulty episode is run again."""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for name, lowest in (("samples", 1), ("limit", 1), ("concurrency", 1), ("retries", 0)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ConfigError(f"{name} must be {lowest} or more, got {value!r}")


@dataclass(frozen=True, slots=True)
class TaskProfile:
    """What was measured of a task; FAULT episodes are counted and in no mean."""

    id: str
    samples: int
    """Judged episodes."""
    pass_rate: float
    """Mean reward, in [0, 1]."""
    passed: int
    """Episodes with full reward."""
    faults: int = 0
    """Episodes that stayed FAULT."""
    cut_off: int = 0
    """Episodes that ended at the token budget."""
    mean_tokens: float = 0.0
    """Generated tokens of an episode."""


def read_profile(path: Path) -> tuple[dict[str, Any], dict[str, TaskProfile]]:
    """Return how a profile was made, and its tasks by id; a torn last line is passed over.

    Raises:
        DataNotFoundError: there is no such file.
        DataError: it is no profile, with the line's number.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no profile {path}: make it with `cascade-env profile`")
    lines = path.read_text().split("\n")[:-1]
    number = 1
    try:
        header = json.loads(lines[0])
        if header["format"] != _FORMAT:
            raise ValueError(f"format is {header['format']!r}, this version reads {_FORMAT!r}")
        found = {}
        for line in lines[1:]:
            number += 1
            task = TaskProfile(**json.loads(line))
            found[task.id] = task
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"{path}, line {number}: not a profile: {error}") from error
    return header, found


def pass_rates(path: Path) -> dict[str, float]:
    """Return task id -> pass rate of a profile.

    Raises:
        DataNotFoundError, DataError: see `read_profile`.
    """
    return {task.id: task.pass_rate for task in read_profile(path)[1].values()}


async def profile(
    config: ProfileConfig,
    engine: Engine,
    out: Path,
    on_task: Callable[[TaskProfile, int, int], None] = lambda task, done, total: None,
) -> dict[str, TaskProfile]:
    """Measure the tasks that `out` does not hold yet, and return all.

    A task without a judged episode gets no line, so that the next call tries it again.

    Args:
        config: what to measure.
        engine: the model.
        out: file that is written, or gone on with.
        on_task: told of each task, with how many are done of how many.

    Raises:
        ConfigError: `out` is a profile of something else.
    """
    pool = _Pool(config)
    tasks = list(pool.tasks[: config.limit])
    header = _header(config, engine, pool)
    known = _continued(out, header)
    wanted = [task for task in tasks if task.id not in known]
    jobs = ((task, sample) for task in wanted for sample in range(config.samples))
    episodes: dict[str, list[Trajectory]] = {task.id: [] for task in wanted}

    with out.open("a") as file:

        async def work() -> None:
            for task, sample in jobs:
                episodes[task.id].append(await _judged(pool, engine, config, task, sample))
                if len(episodes[task.id]) == config.samples:
                    measured = _measured(task.id, episodes.pop(task.id))
                    if measured.samples:
                        known[task.id] = measured
                        file.write(json.dumps(asdict(measured)) + "\n")
                        file.flush()
                    on_task(measured, len(known), len(tasks))

        count = min(config.concurrency or engine.max_concurrency, len(wanted) * config.samples)
        workers = [asyncio.create_task(work()) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return {task.id: known[task.id] for task in tasks if task.id in known}


def _header(config: ProfileConfig, engine: Engine, pool: _Pool) -> dict[str, Any]:
    """What must be equal for two profiles to be one; how many tasks is not part of it."""
    made: dict[str, Any] = {
        "format": _FORMAT,
        "env": config.env,
        "env_options": {k: str(v) for k, v in config.env_options.items() if k != "data_dir"},
        "tasks": pool.tasks.name,
        "tasks_sha256": pool.tasks.provenance.sha256,
        "model": engine.name,
        "samples": config.samples,
        "seed": config.seed,
        "params": asdict(config.params),
    }
    plain: dict[str, Any] = json.loads(json.dumps(made, default=str))
    return plain


def _continued(out: Path, header: Mapping[str, Any]) -> dict[str, TaskProfile]:
    """Return the tasks that `out` holds; begin it if it is not there, cut off a torn line."""
    if not out.exists() or b"\n" not in out.read_bytes():
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(header) + "\n")
        return {}
    made, known = read_profile(out)
    for name in dict.fromkeys([*made, *header]):
        if made.get(name) != header.get(name):
            raise ConfigError(
                f"{out} was made with {name} {made.get(name)!r}, not {header.get(name)!r}: "
                "write to another file, or go on with the same settings"
            )
    os.truncate(out, out.read_bytes().rfind(b"\n") + 1)
    return known


class _Pool:
    """Environments that share their tasks; each serves one episode at a time."""

    def __init__(self, config: ProfileConfig) -> None:
        first = make_env(config.env, **config.env_options)
        self._config = config
        self._idle = [first]
        self.tasks = first.tasks

    def take(self) -> TextEnv:
        if self._idle:
            return self._idle.pop()
        options = {**self._config.env_options, "tasks": self.tasks}
        return make_env(self._config.env, **options)

    def give(self, env: TextEnv) -> None:
        self._idle.append(env)


async def _judged(
    pool: _Pool, engine: Engine, config: ProfileConfig, task: Task, sample: int
) -> Trajectory:
    """Run an episode, and again while it is a FAULT."""
    env = pool.take()
    try:
        for attempt in range(1 + config.retries):
            seed = derive_seed(config.seed, "profile", task.id, sample, attempt)
            done = await rollout(
                env, engine, config.params, task_id=task.id, env_id=config.env, sample=sample,
                seed=seed,
            )  # fmt: skip
            if not done.verdict.is_fault:
                break
        return done
    finally:
        pool.give(env)


def _measured(task_id: str, episodes: Sequence[Trajectory]) -> TaskProfile:
    judged = [e for e in episodes if not e.verdict.is_fault]
    count = max(1, len(judged))
    return TaskProfile(
        id=task_id,
        samples=len(judged),
        pass_rate=sum(e.reward for e in judged) / count,
        passed=sum(e.reward == 1.0 for e in judged),
        faults=len(episodes) - len(judged),
        cut_off=sum(e.stop_reason is StopReason.LENGTH for e in judged),
        mean_tokens=sum(_tokens(judged)) / count,
    )


def _tokens(episodes: Sequence[Trajectory]) -> Iterator[int]:
    for episode in episodes:
        for completion in episode.completions:
            yield completion.num_tokens or len(completion.token_ids or ())
