"""What an evaluation task is, and finding one by name.

A task is data (a task set), an environment (which judges) and a protocol (how the model is asked
and how the score is computed), with the numbers others have published. Each lies in a file of
`cascade.evals.tasks`; other distributions add theirs through the entry-point group
``cascade.eval_tasks`` (name: the task's, value: ``package.module:TASK``).
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from cascade.envs.catalog import find_source
from cascade.envs.contest.sources import PackageFolder
from cascade.envs.long_context.ruler import RulerSource
from cascade.envs.tasksets import MiniSource, TaskSource
from cascade.errors import ConfigError, ContractError, UnknownNameError
from cascade.evals.setmetrics import SetMetric
from cascade.evals.where import Condition
from cascade.types import SamplingParams

__all__ = [
    "EvalTask",
    "JudgeProtocol",
    "Protocol",
    "Published",
    "find_task",
    "metric_k",
    "task_names",
]

Source = TaskSource | MiniSource | RulerSource | PackageFolder
"""Where a task's problems come from: a data set, a generator, a folder of packages."""

_METRIC = re.compile(r"(avg|pass|all|maj)@(k|[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a model is asked, and what is computed from its answers.

    Raises:
        ConfigError: no sample, an unknown metric, or one of more samples than are drawn.
    """

    source: str
    """Where this protocol is published."""
    sampling: SamplingParams = field(default_factory=SamplingParams)
    samples: int = 1
    """Samples per problem."""
    episode_tokens: int | None = None
    """Generated tokens of all messages of an episode; None: as many as its turns allow."""
    prompt: str | None = None
    """Template of the user's message, with `{problem}` (and `{options}`); None: the task set's."""
    system: str | None = None
    """System message put before the conversation; None: none is added."""
    metrics: tuple[str, ...] = ("avg@k", "maj@k", "pass@k")
    """`avg@k`, `maj@k`, `pass@k`, `all@k`: k is `samples`, or a number."""
    headline: str = "avg@k"
    """The metric that is the task's score: of `metrics`, or the name of one of `set_metrics`."""
    set_metrics: tuple[SetMetric, ...] = ()
    """Scores of the whole task that are no mean over problems."""

    def __post_init__(self) -> None:
        """Refuse a protocol that no run can satisfy."""
        if self.samples < 1:
            raise ConfigError(f"samples must be 1 or more, got {self.samples!r}")
        if self.episode_tokens is not None and self.episode_tokens < 1:
            raise ConfigError(f"episode_tokens must be 1 or more, got {self.episode_tokens!r}")
        if self.prompt is not None and "{problem}" not in self.prompt:
            raise ConfigError(f"a prompt needs the field {{problem}}, got {self.prompt!r}")
        averages = [
            name for name in (*self.metrics, self.headline) if self.set_metric(name) is None
        ]
        for metric in averages:
            kind, k = metric_k(metric, self.samples)
            if k > self.samples:
                raise ConfigError(f"{kind}@{k} needs {k} samples, the protocol has {self.samples}")

    def set_metric(self, name: str) -> SetMetric | None:
        """Return the metric of the whole task that is called `name`."""
        return next((metric for metric in self.set_metrics if metric.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain data."""
        out: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        out["sampling"] = {f.name: getattr(self.sampling, f.name) for f in fields(SamplingParams)}
        out["sampling"]["stop"] = list(self.sampling.stop)
        out["sampling"]["extra"] = dict(self.sampling.extra)
        out["metrics"] = list(self.metrics)
        out["set_metrics"] = {metric.name: metric.meaning for metric in self.set_metrics}
        return out


@dataclass(frozen=True, slots=True)
class JudgeProtocol:
    """The model that judges, where no program can."""

    model: str
    """The published judge; another one makes another benchmark and is reported as a deviation."""
    sampling: SamplingParams
    source: str
    """Where the judge's prompt and sampling are published."""
    attempts: int = 3
    """Replies without a verdict that are asked for again before the sample is a FAULT."""


def metric_k(metric: str, samples: int) -> tuple[str, int]:
    """Split a metric's name into its kind and its k, with "k" meaning `samples`.

    Raises:
        ConfigError: no metric of that name.
    """
    match = _METRIC.fullmatch(metric)
    if not match:
        raise ConfigError(
            f"metrics are avg@k, maj@k, pass@k and all@k (or a number), got {metric!r}"
        )
    return match[1], samples if match[2] == "k" else int(match[2])


@dataclass(frozen=True, slots=True)
class Published:
    """A number that somebody has published for a task."""

    model: str
    score: float
    """Points, 0 to 100, or what the metric's unit is."""
    metric: str
    source: str
    samples: int | None = None
    """Samples per problem behind it; None: not stated."""
    note: str = ""
    """Where its protocol differs from the task's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalTask:
    """Data, environment and protocol of one benchmark."""

    name: str
    description: str
    env: str
    """Id of the environment that judges."""
    tasks: str | Source
    """The task set: a registered name, or a declaration."""
    protocol: Protocol
    where: tuple[Condition, ...] = ()
    """Conditions on the problems' metadata that choose the task's own among the set's."""
    size: int | None = None
    """Problems that `where` leaves; None: not stated, or all of the set."""
    env_options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the environment (a verifier's policy, …)."""
    published: tuple[Published, ...] = ()
    deviations: tuple[str, ...] = ()
    """Known differences between this task and the published protocol."""
    judge: JudgeProtocol | None = None
    """Who judges; None: a program."""
    breakdown: str | None = None
    """Field of the problems' metadata (`difficulty`, …) by which scores are given too."""
    mini: str | None = None
    """The toy task that stands in with `--mini`."""
    toy: bool = False
    """Generated problems that measure nothing but themselves."""

    @property
    def source(self) -> Source:
        """Where the data comes from.

        Raises:
            UnknownNameError: no task set of that name.
        """
        return find_source(self.tasks) if isinstance(self.tasks, str) else self.tasks

    @property
    def num_problems(self) -> int | None:
        """Problems of the task, if known without loading it."""
        return self.size if self.size is not None or self.where else self.source.size

    @property
    def licence(self) -> str:
        """Licence of the data."""
        source = self.source
        return "CC0-1.0" if isinstance(source, MiniSource) else source.licence


def _own_names() -> tuple[str, ...]:
    package = import_module("cascade.evals.tasks")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def task_names() -> tuple[str, ...]:
    """Names of all tasks; none is loaded."""
    others = {point.name for point in entry_points(group="cascade.eval_tasks")}
    return tuple(sorted({*_own_names(), *others}))


def find_task(name: str) -> EvalTask:
    """Return the task called `name`.

    Raises:
        UnknownNameError: there is none; the near names are given.
        ContractError: what was found is no task of that name.
    """
    if name in _own_names():
        found = import_module(f"cascade.evals.tasks.{name}").TASK
    else:
        points = [p for p in entry_points(group="cascade.eval_tasks") if p.name == name]
        if not points:
            raise UnknownNameError.near("task", name, task_names())
        found = points[0].load()
    if not isinstance(found, EvalTask) or found.name != name:
        raise ContractError(f"the module of task {name!r} holds no EvalTask of that name")
    return found
