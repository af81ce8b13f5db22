"""From names and overrides to what a run does: each task with its problems and its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

from cascade.envs.base import SingleTurnEnv, TextEnv
from cascade.envs.judges import Judge
from cascade.envs.registry import make_env
from cascade.envs.tasksets import TaskSet
from cascade.errors import ConfigError, DataError
from cascade.evals.task import EvalTask, Protocol, find_task, metric_k
from cascade.evals.where import Condition, chosen_by
from cascade.types import Message, SamplingParams, Task

__all__ = ["NoJudgeError", "Overrides", "PlannedTask", "groups_of", "plain", "plan_tasks"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NoJudgeError(ConfigError):
    """A task is judged by a model, and none was given."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Protocol fields that the user sets; None keeps the published value."""

    samples: int | None = None
    prompt: str | None = None
    system: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `SamplingParams`."""
    limit: int | None = None
    """Take the first so many problems only."""
    where: tuple[Condition, ...] = ()
    """Take the problems whose metadata meets all of these."""
    judge_max_tokens: int | None = None
    """Budget of the judge's replies; None keeps the published one."""

    def apply(self, protocol: Protocol) -> Protocol:
        """Return the protocol with the overrides in place.

        With fewer samples, metrics of a larger k are left out: they cannot be computed.

        Raises:
            ConfigError: a value that no run can satisfy.
        """
        changes: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("samples", "prompt", "system")
            if getattr(self, name) is not None
        }
        if self.samples is not None:
            changes["metrics"] = tuple(
                name
                for name in protocol.metrics
                if protocol.set_metric(name) is not None
                or metric_k(name, self.samples)[1] <= self.samples
            )
        if self.sampling:
            changes["sampling"] = replace(protocol.sampling, **self.sampling)
        return replace(protocol, **changes)


@dataclass(frozen=True)
class PlannedTask:
    """A task as this run does it."""

    task: EvalTask
    protocol: Protocol
    tasks: TaskSet
    available: int
    """Problems that the task set has, before any limit."""
    where: tuple[Condition, ...] = ()
    """Conditions that chose among them."""
    judge_model: str | None = None
    """Who judges, where the task needs a judge."""
    judge: Judge | None = None
    """The judge, once the run has opened it."""
    judge_max_tokens: int | None = None
    """Budget of its replies, where that is not the published one."""
    data_dir: Path | None = None
    """Where the environment looks for what it needs beside the tasks (a data base)."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def num_samples(self) -> int:
        """Samples of the whole task."""
        return len(self.tasks) * self.protocol.samples

    def make_env(self) -> TextEnv:
        """Build an environment for one episode at a time."""
        options = dict(self.task.env_options)
        if self.task.judge is not None:
            options["judge"] = self.judge
        if self.data_dir is not None:
            options["data_dir"] = self.data_dir
        return make_env(self.task.env, tasks=self.tasks, **options)

    def judged_by(self, judge: Judge) -> PlannedTask:
        """Return the task with its judge, if it needs one."""
        return self if self.task.judge is None else replace(self, judge=judge)

    @cached_property
    def groups(self) -> dict[str, str]:
        """The group of each problem by the task's breakdown; empty without one."""
        return groups_of(self.task, self.tasks)

    @cached_property
    def deviations(self) -> tuple[str, ...]:
        """Where this run departs from the task's protocol, on top of the task's own remarks."""
        given, used = self.task.protocol, self.protocol
        found = [
            f"{name}: {getattr(used, name)!r} instead of {getattr(given, name)!r}"
            for name in ("samples", "prompt", "system")
            if getattr(given, name) != getattr(used, name)
        ]
        for f in fields(SamplingParams):
            before, after = getattr(given.sampling, f.name), getattr(used.sampling, f.name)
            if before != after:
                found.append(f"{f.name}: {after!r} instead of {before!r}")
        if self.task.judge is not None and self.judge_model != self.task.judge.model:
            found.append(f"judge: {self.judge_model!r} instead of {self.task.judge.model!r}")
        if self.task.judge is not None and self.judge_max_tokens is not None:
            before = self.task.judge.sampling.max_tokens
            found.append(f"judge's max_tokens: {self.judge_max_tokens!r} instead of {before!r}")
        if self.where:
            found.append("problems with " + " and ".join(map(str, self.where)))
        elif len(self.tasks) < self.available:
            found.append(f"the first {len(self.tasks)} of {self.available} problems only")
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return what the task was in this run: data, environment, protocol."""
        origin = self.tasks.provenance
        judged = {"judge": self.judge_model} if self.task.judge is not None else {}
        return {
            "env": self.task.env,
            **judged,
            "env_options": plain(self.task.env_options),
            "protocol": self.protocol.as_json(),
            "data": {
                "task_set": self.tasks.name,
                "source": origin.source,
                "sha256": origin.sha256,
                "revision": origin.revision,
                "licence": origin.licence,
                "rows": origin.rows,
            },
            "problems": len(self.tasks),
        }

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for two runs to be one: where the data lay does not matter."""
        out = self.as_json()
        del out["data"]["source"]
        return out

    def samples(self) -> Iterator[tuple[str, int]]:
        """Every (task id, sample): all problems once, then all again, so that a cut is balanced."""
        for sample in range(self.protocol.samples):
            for task in self.tasks:
                yield task.id, sample


def groups_of(task: EvalTask, problems: TaskSet) -> dict[str, str]:
    """Return the group of each problem by the task's breakdown; empty without one."""
    if task.breakdown is None:
        return {}
    found = {problem.id: problem.metadata.get(task.breakdown) for problem in problems}
    return {name: str(group) for name, group in found.items() if group is not None}


def plain(value: Any) -> Any:
    """Return options as JSON data; objects that know how (`as_json`) say themselves."""
    if hasattr(value, "as_json"):
        return plain(value.as_json())
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def plan_tasks(
    names: Sequence[str],
    overrides: Overrides,
    data_dir: Path | None,
    *,
    mini: bool = False,
    judge_model: str | None = None,
) -> tuple[PlannedTask, ...]:
    """Load the data of every task, apply the overrides, and prove that each answer can be judged.

    Args:
        names: tasks, in order; repeated names count once.
        overrides: what the user set.
        data_dir: where task sets are looked for before the hub.
        mini: take each task's toy counterpart in its place.
        judge_model: the model that judges where a task needs one.

    Raises:
        UnknownNameError: an unknown task.
        ConfigError: an override that no run can satisfy, a task without a toy counterpart, or one
            that needs a judge where there is none.
        DataError: data that cannot be loaded, or a problem whose answer cannot be judged.
    """
    if overrides.limit is not None and overrides.limit < 1:
        raise ConfigError(f"the limit must be 1 problem or more, got {overrides.limit!r}")
    tasks = [find_task(name) for name in dict.fromkeys(names)]
    if mini:
        tasks = [find_task(name) for name in dict.fromkeys(map(_toy_name, tasks))]
    return tuple(_planned(task, overrides, data_dir, judge_model) for task in tasks)


def _toy_name(task: EvalTask) -> str:
    if task.toy:
        return task.name
    if task.mini is None:
        raise ConfigError(f"task {task.name!r} has no toy counterpart: leave out --mini")
    return task.mini


def _planned(
    task: EvalTask, overrides: Overrides, data_dir: Path | None, judge_model: str | None
) -> PlannedTask:
    if task.judge is not None and judge_model is None:
        raise NoJudgeError(
            f"task {task.name!r} is judged by a model (published: {task.judge.model}): give "
            f"--judge-base-url URL --judge-model NAME"
        )
    protocol = overrides.apply(task.protocol)
    loaded = task.source.load(data_dir)
    where = (*task.where, *overrides.where)
    chosen = chosen_by(loaded, where)
    available = len(chosen_by(loaded, task.where))
    if task.size is not None and available != task.size:
        raise DataError(
            f"task {task.name!r} has {task.size} problems, but {available} of {loaded.name!r} have "
            + " and ".join(map(str, task.where))
        )
    if overrides.limit is not None:
        chosen = chosen.take(overrides.limit)
    chosen = replace(chosen, tasks=tuple(_asked(problem, protocol) for problem in chosen))
    planned = PlannedTask(
        task,
        protocol,
        chosen,
        available,
        overrides.where,
        judge_model,
        data_dir=data_dir,
        judge_max_tokens=overrides.judge_max_tokens,
    )
    env = planned.make_env()
    # What a task needs beside itself is the same for all: the first of a long episode tells.
    for problem in chosen if isinstance(env, SingleTurnEnv) else chosen[:1]:
        env.check_task(problem)
    return planned


def _asked(task: Task, protocol: Protocol) -> Task:
    """Put the protocol's system message and prompt around a problem."""
    messages = task.messages
    if protocol.prompt is not None:
        content = _filled(protocol.prompt, task)
        messages = (*messages[:-1], Message(role="user", content=content))
    if protocol.system is not None:
        rest = tuple(m for m in messages if m["role"] != "system")
        messages = (Message(role="system", content=protocol.system), *rest)
    return replace(task, messages=messages) if messages is not task.messages else task


def _filled(prompt: str, task: Task) -> str:
    """Fill a prompt by plain replacement: mathematics is full of braces."""
    problem = task.metadata.get("problem")
    if not isinstance(problem, str):
        raise ConfigError(
            f"task {task.id!r} does not keep its problem apart from its prompt: leave out --prompt"
        )
    options = task.reference.get("options") if isinstance(task.reference, Mapping) else None
    if "{options}" in prompt:
        if not isinstance(options, list):
            raise ConfigError(f"task {task.id!r} has no options: leave {{options}} out of --prompt")
        listed = "\n".join(f"{_LETTERS[i]}) {text}" for i, text in enumerate(options))
        prompt = prompt.replace("{options}", listed)
    elif isinstance(options, list):
        raise ConfigError("a prompt for multiple choice needs the field {options} too")
    return prompt.replace("{problem}", problem)
