"""`cascade-eval --suite …`: opens the engine and the run's folder, runs, reports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from cascade.envs.engines import Engine, open_engine
from cascade.envs.engines.replay import RememberingEngine
from cascade.envs.judges import Judge
from cascade.envs.trajectories import TrajectoryWriter
from cascade.errors import ConfigError, DataNotFoundError
from cascade.evals.exits import Exit
from cascade.evals.folder import FORMAT, RunFolder, read_records, write_json
from cascade.evals.plan import NoJudgeError, Overrides, PlannedTask, plan_tasks
from cascade.evals.progress import RunProgress
from cascade.evals.report import Report, build_report, command_line, host_facts, versions
from cascade.evals.runner import Runner, RunnerConfig
from cascade.evals.suites import find_suite
from cascade.evals.summary import Limits

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EngineChoice", "RunConfig", "run"]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine, and on which model."""

    kind: str
    """Name among `cascade.envs.engines.engine_names()`."""
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the engine's factory."""

    @classmethod
    def of(
        cls,
        kind: str | None,
        model: str | None,
        base_url: str | None,
        *,
        mini: bool,
        options: Mapping[str, Any],
    ) -> EngineChoice:
        """Choose by what the user gave.

        A base URL means a server; a model without one an engine in this process (vLLM where it is
        installed, else PyTorch); neither, with `mini`, the toy model.

        Raises:
            ConfigError: no model, or settings that contradict each other.
        """
        if base_url is not None and kind not in (None, "http"):
            raise ConfigError(f"--base-url belongs to --engine http, not to --engine {kind}")
        if kind is None:
            if base_url is not None:
                kind = "http"
            elif model is not None:
                kind = "vllm" if find_spec("vllm") else "torch"
            elif mini:
                kind = "tiny"
            else:
                raise ConfigError(
                    "which model? Give --base-url URL --model NAME for a server, --model PATH for "
                    "an engine in this process, or --mini to try everything with a toy"
                )
        if kind == "tiny":
            model = model or "toy"
        if model is None:
            raise ConfigError(f"--engine {kind} needs --model NAME")
        extra = {"base_url": base_url} if base_url is not None else {}
        return cls(kind, model, {**extra, **options})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a run is asked to do."""

    suites: Sequence[str] = ()
    tasks: Sequence[str] = ()
    mini: bool = False
    engine: EngineChoice
    overrides: Overrides = field(default_factory=Overrides)
    data_dir: Path | None = None
    out: Path | None = None
    """The run's folder; None: a new one below ./runs."""
    resume: bool = False
    skip_missing: bool = False
    """Leave out tasks whose data or judge cannot be had, and say so."""
    judge: EngineChoice | None = None
    """Who judges what no program can; None: such tasks cannot run."""
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    limits: Limits = field(default_factory=Limits)
    arguments: Sequence[str] = ()
    """The command line, for the record."""

    def task_names(self) -> list[str]:
        """Names of the tasks, those of suites first.

        Raises:
            UnknownNameError: an unknown suite.
            ConfigError: neither suite nor task.
        """
        names = [name for suite in self.suites for name in find_suite(suite).tasks]
        names.extend(self.tasks)
        if not names:
            raise ConfigError("what to run? Give --suite NAME or --task NAME (`cascade-eval list`)")
        return names


def run(config: RunConfig, console: Console) -> tuple[Report, Path, Exit]:
    """Run, write the report, and return it with the run's folder and the exit code.

    Ctrl-C ends the run cleanly: what is done is kept and reported, the rest can be resumed.

    Args:
        config: what to do.
        console: where progress is drawn (standard error).

    Raises:
        CascadeError: nothing can run: a name, setting, data set or engine.
    """
    planned, skipped = _plan(config)
    engine = open_engine(config.engine.kind, config.engine.model, **config.engine.options)
    judge = _opened_judge(config, planned)
    manifest = _manifest(config, planned, engine)
    path = config.out or _new_folder(config, engine)
    folder = RunFolder(path, manifest, resume=config.resume)
    console.print(f"run folder: {path}", highlight=False, markup=False)
    try:
        engines = _Engines(engine, judge, folder.judgments)
        if engines.remembered is not None:
            planned = tuple(_with_judge(task, engines.remembered) for task in planned)
        return _run_in(folder, config, planned, skipped, engines, console)
    finally:
        folder.close()


class _Engines:
    """Who is asked, and who judges; what the judge replies is remembered in a file."""

    def __init__(self, model: Engine, judge: Engine | None, judgments: Path) -> None:
        self.model = model
        self.judge = judge
        self.remembered = None if judge is None else RememberingEngine(judge, judgments)

    async def check(self) -> None:
        """Ask both whether they are there, where that can be asked."""
        for engine in (self.model, self.judge):
            if isinstance(engine, _Checkable):
                await engine.check()

    async def aclose(self) -> None:
        """Release both."""
        await self.model.aclose()
        if self.remembered is not None:
            await self.remembered.aclose()


def _opened_judge(config: RunConfig, planned: Sequence[PlannedTask]) -> Engine | None:
    if config.judge is None or all(task.task.judge is None for task in planned):
        return None
    return open_engine(config.judge.kind, config.judge.model, **config.judge.options)


def _with_judge(planned: PlannedTask, engine: Engine) -> PlannedTask:
    protocol = planned.task.judge
    if protocol is None:
        return planned
    sampling = protocol.sampling
    if planned.judge_max_tokens is not None:
        sampling = replace(sampling, max_tokens=planned.judge_max_tokens)
    return planned.judged_by(Judge(engine, sampling, attempts=protocol.attempts))


def _plan(config: RunConfig) -> tuple[tuple[PlannedTask, ...], dict[str, str]]:
    """Plan the tasks; with `skip_missing`, those without data are left out, with the reason."""
    names = config.task_names()
    options: dict[str, Any] = {
        "mini": config.mini,
        "judge_model": config.judge.model if config.judge is not None else None,
    }
    if not config.skip_missing:
        return plan_tasks(names, config.overrides, config.data_dir, **options), {}
    planned: dict[str, PlannedTask] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            found = plan_tasks([name], config.overrides, config.data_dir, **options)
        except (DataNotFoundError, NoJudgeError) as error:
            skipped[name] = str(error)
        else:
            planned.update((task.name, task) for task in found)
    if not planned:
        raise DataNotFoundError(f"no task can run: {next(iter(skipped.values()))}")
    return tuple(planned.values()), skipped


def _run_in(
    folder: RunFolder,
    config: RunConfig,
    planned: Sequence[PlannedTask],
    skipped: Mapping[str, str],
    engines: _Engines,
    console: Console,
) -> tuple[Report, Path, Exit]:
    engine = engines.model
    started = datetime.now(UTC)
    clock = time.monotonic()
    with TrajectoryWriter(folder.trajectories) as writer:
        done = read_records(folder.trajectories)
        runner = Runner(planned, engine, writer, config.runner, done)
        before = Counter(record.task for record in done.values() if not record.is_fault)
        if before:
            console.print(f"resuming: {before.total():,} samples are done", highlight=False)
        progress = RunProgress({p.name: p.num_samples for p in planned}, before, console)
        interrupted = asyncio.run(_drive(runner, engines, progress))
    if runner.stopped and not runner.finished and not before:
        raise ConfigError(f"no sample could be drawn: {runner.stopped}")
    facts = {
        "model": engine.name,
        "engine": {"kind": config.engine.kind, **engine.describe()},
        **({"judge": dict(engines.judge.describe())} if engines.judge is not None else {}),
        "seed": config.runner.seed,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - clock, 3),
        "samples_resumed": before.total(),
        "skipped": dict(skipped),
        "command": command_line(config.arguments),
        "versions": versions(),
        "host": host_facts(),
    }
    report = build_report(
        planned,
        runner.records.values(),
        config.limits,
        engine_kind=config.engine.kind,
        stopped=runner.stopped,
        interrupted=interrupted,
        facts=facts,
    )
    write_json(folder.report, report.as_json())
    code = Exit.INTERRUPTED if interrupted else Exit.FAULTS if report.problems else Exit.RAN
    return report, folder.path, code


@runtime_checkable
class _Checkable(Protocol):
    async def check(self) -> object:
        """Ask the server whether it is there, before anything is counted."""
        ...


async def _drive(runner: Runner, engines: _Engines, progress: RunProgress) -> bool:
    """Run to the end, or to the first SIGINT or SIGTERM; return whether a signal came."""
    try:
        await engines.check()
        return await _until_signal(runner, progress)
    finally:
        await engines.aclose()


async def _until_signal(runner: Runner, progress: RunProgress) -> bool:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(runner.run(progress.add))
    display = asyncio.create_task(progress.show())
    signals: list[int] = []

    def on_signal(number: int) -> None:
        signals.append(number)
        work.cancel()
        loop.remove_signal_handler(number)  # a second Ctrl-C ends at once

    caught = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is threading.main_thread():
        for number in caught:
            loop.add_signal_handler(number, on_signal, number)
    try:
        await work
    except asyncio.CancelledError:
        if not signals:
            raise
    finally:
        display.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await display
    return bool(signals)


def _manifest(config: RunConfig, planned: Sequence[PlannedTask], engine: Engine) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": engine.name,
        "engine": config.engine.kind,
        "seed": config.runner.seed,
        "tasks": {p.name: p.identity() for p in planned},
        "engine_described": dict(engine.describe()),
        "command": command_line(config.arguments),
        "versions": versions(),
    }


def _new_folder(config: RunConfig, engine: Engine) -> Path:
    what = "-".join([*config.suites, *config.tasks][:3])
    model = re.sub(r"[^A-Za-z0-9._-]+", "_", engine.name.rstrip("/").rpartition("/")[2])
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{what}{'-mini' if config.mini else ''}-{model}-{stamp}"
    path = Path("runs") / name
    number = 2
    while path.exists():
        path = Path("runs") / f"{name}-{number}"
        number += 1
    return path


def api_key(variable: str) -> str:
    """Read the server's key from the environment, so that it is never on a command line.

    Raises:
        ConfigError: the variable that was named is not set.
    """
    if variable not in os.environ:
        raise ConfigError(f"--api-key-env {variable}: the environment has no such variable")
    return os.environ[variable]
