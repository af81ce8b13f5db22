"""The loop around every stage: steps, metrics, checkpoints, resuming, the page.

A run lives in one folder::

    recipe.json         what ran: every setting, resolved
    metrics.jsonl       one line a step
    trajectories.jsonl  sampled episodes
    checkpoints/        step-000020, … ; see cascade.trainer.checkpoint
    scratch/STAGE/      what a stage keeps between checkpoints (episodes of steps not yet saved)
    final/              the trained model, once all steps are done
    index.html          the curves

Resuming goes back to the newest checkpoint: append-only files are cut to the size they had then,
generators are set back, and the steps are done again, to the same bits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.envs.rollout import derive_seed
from cascade.envs.trajectories import TrajectoryWriter
from cascade.errors import ConfigError, DataError, TrainingError
from cascade.trainer import checkpoint as saved
from cascade.trainer.collect import remove_journals
from cascade.trainer.console import Watch
from cascade.trainer.metrics import MetricsFile, Sink, cut
from cascade.trainer.page import write_page
from cascade.trainer.recipe import Context, Recipe, Stage, StageRun
from cascade.trainer.settings import changes, resolved
from cascade.types import Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Position", "RunFolder", "train"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the files of a run lie."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved settings."""
        return self.path / "recipe.json"

    @property
    def metrics(self) -> Path:
        """One line a step."""
        return self.path / "metrics.jsonl"

    @property
    def trajectories(self) -> Path:
        """Sampled episodes."""
        return self.path / "trajectories.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def final(self) -> Path:
        """The trained model."""
        return self.path / "final"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock dies with it.

        Raises:
            ConfigError: another process trains here, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise ConfigError(f"cannot write the run folder {self.path}: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(f"another process is training in {self.path}") from error
            yield


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is."""

    step: int
    """Steps done in all."""
    stage: int
    """Position of the stage that comes next, or goes on, in the recipe's plan."""
    index: int
    """Steps of that stage that are done."""


async def train(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    watch: Watch | None = None,
    sinks: Sequence[Sink] = (),
) -> Path:
    """Run a recipe to its end and return the folder of the trained model.

    Args:
        recipe: what to run.
        folder: of the run; made if it is not there.
        resume: go on from the newest checkpoint in `folder`, or start if there is none.
        watch: shows progress; None shows it on standard output.
        sinks: get the metrics too.

    Raises:
        ConfigError: a setting, an existing run that `resume` was not given for, or a checkpoint of
            another architecture.
        TrainingError: the disk is full, or weights did not reach the engine.
        CascadeError: what a stage raises; the newest checkpoint stays.
    """
    place = RunFolder(folder)
    with place.locked():
        run = _Run(recipe, place, watch or Watch(recipe.name, recipe.total_steps), sinks)
        try:
            return await run.go(resume)
        except OSError as error:
            raise TrainingError(
                f"cannot write in {folder}: {error}; the newest checkpoint is whole: make room, "
                "then run the same command with --resume"
            ) from error
        finally:
            run.close()


class _Run:
    """One process's part of a run."""

    def __init__(
        self, recipe: Recipe, place: RunFolder, watch: Watch, sinks: Sequence[Sink]
    ) -> None:
        self.recipe = recipe
        self.place = place
        self.watch = watch
        self.sinks = sinks
        self.plan = recipe.plan()
        self.model: PreTrainedModel
        self.tokenizer: PreTrainedTokenizerBase
        self.metrics: MetricsFile
        self.trajectories: TrajectoryWriter
        self._to_record = 0
        self._open_files = contextlib.ExitStack()

    async def go(self, resume: bool) -> Path:
        found = self._newest(resume)
        self._write_recipe(started=found is not None)
        position, state = self._start(found)
        if position.step >= self.recipe.total_steps:
            self.watch.say(f"all {position.step} steps are done")
        self.watch.open()
        while position.step < self.recipe.total_steps:
            position = await self._run_stage(position, state)
            state = None
        if saved.step_of_model(self.place.final) != position.step:
            saved.save_model(
                self.place.path, "final", self.model, self.tokenizer, step=position.step
            )
        write_page(self.place.path, self.recipe.name)
        return self.place.final

    def close(self) -> None:
        self.watch.close()
        self._open_files.close()
        for sink in self.sinks:
            sink.close()

    def _newest(self, resume: bool) -> saved.Checkpoint | None:
        """The checkpoint to go on from; None starts afresh."""
        saved.remove_leftovers(self.place.checkpoints)
        saved.remove_leftovers(self.place.path)
        held = saved.checkpoints(self.place.checkpoints)
        if self.place.recipe.exists() and not resume:
            step = held[-1].step if held else 0
            raise ConfigError(
                f"{self.place.path} already holds a run (checkpoint of step {step}): pass "
                "--resume to go on with it, or another --run-dir"
            )
        if not held:
            return None
        saved.check_same_architecture(held[-1].folder, self.recipe.model.config())
        return held[-1]

    def _write_recipe(self, started: bool) -> None:
        """Write the resolved settings; say what differs from those that the run began with."""
        now = resolved(self.recipe)
        if self.place.recipe.exists():
            before = json.loads(self.place.recipe.read_text(encoding="utf-8"))
            different = list(changes(before, now))
            if different:  # episodes in the journals were sampled under the settings of before
                for stage in self.plan:
                    remove_journals(self._scratch(stage))
            for line in different:
                self.watch.say(
                    f"changed since this run {'began' if started else 'was set up'}: {line}"
                )
        self.place.recipe.write_text(json.dumps(now, indent=1), encoding="utf-8")

    def _start(self, found: saved.Checkpoint | None) -> tuple[Position, dict[str, Any] | None]:
        """Make or load the model, set the generators, open the files."""
        import numpy as np
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        if self.recipe.threads is not None:
            torch.set_num_threads(self.recipe.threads)
        source = self.recipe.model
        self.tokenizer = source.tokenizer()
        state: dict[str, Any] | None = None
        if found is None:
            seed = derive_seed(self.recipe.seed, "run")
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            self.model = source.open(derive_seed(self.recipe.seed, "model"))
            saved.align(self.model)
            position = Position(0, 0, 0)
        else:
            self.model = saved.load_weights(found.folder, dtype=source.dtype, device=source.device)
            state = found.state()
            saved.restore_generators(state["generators"])
            position = self._position(found)
            self.watch.say(f"going on from step {found.step} ({found.folder})")
        facts = found.facts if found else {}
        for path, name in (
            (self.place.metrics, "metrics"),
            (self.place.trajectories, "trajectories"),
        ):
            cut(path, int(facts.get(f"{name}_bytes", 0)))
        self.metrics = MetricsFile(self.place.metrics)
        self.trajectories = TrajectoryWriter(self.place.trajectories)
        self._open_files.callback(self.metrics.close)
        self._open_files.callback(self.trajectories.close)
        return position, state

    def _position(self, found: saved.Checkpoint) -> Position:
        names = [stage.name for stage in self.plan]
        name, index = str(found.facts["stage"]), int(found.facts["index"])
        if name not in names:
            raise ConfigError(
                f"checkpoint {found.folder} is in stage {name!r}, which the recipe does not have "
                f"(it has {', '.join(names)}): use the recipe that the run was started with"
            )
        stage = names.index(name)
        if index >= self.plan[stage].steps and stage + 1 < len(self.plan):
            return Position(found.step, stage + 1, 0)
        return Position(found.step, stage, index)

    async def _run_stage(self, position: Position, state: Mapping[str, Any] | None) -> Position:
        """Run one stage from `position` to its end, or to the end of the run."""
        stage = self.plan[position.stage]
        running = stage.open(self._context(stage))
        try:
            if state is not None and position.index > 0:
                running.load_state(state["stage"])
            while position.index < stage.steps and position.step < self.recipe.total_steps:
                position = await self._step(stage, running, position)
        finally:
            await running.aclose()
        if position.index >= stage.steps:
            shutil.rmtree(self._scratch(stage), ignore_errors=True)
            return Position(position.step, position.stage + 1, 0)
        return position

    async def _step(self, stage: Stage, running: StageRun, position: Position) -> Position:
        """One step, and all that is written after it."""
        due = position.step % self.recipe.record_every == 0
        self._to_record = self.recipe.record_episodes if due else 0
        began = time.perf_counter()
        metrics = dict(await running.step(position.index))
        metrics["seconds"] = time.perf_counter() - began
        now = Position(position.step + 1, position.stage, position.index + 1)
        self.metrics.write({"step": now.step, "stage": stage.name, **metrics})
        for sink in self.sinks:
            sink.write(now.step, metrics)
        self.watch.show(now.step, stage.name, metrics)
        ends = now.index >= stage.steps or now.step >= self.recipe.total_steps
        if ends or now.step % self.recipe.checkpoint_every == 0:
            self._save(stage, running, now, pinned=now.index >= stage.steps)
        return now

    def _save(self, stage: Stage, running: StageRun, now: Position, *, pinned: bool) -> None:
        saved.save_checkpoint(
            self.place.checkpoints,
            f"step-{now.step:06d}",
            model=self.model,
            tokenizer=self.tokenizer,
            state={"stage": running.state(), "generators": saved.generators()},
            facts={
                "step": now.step,
                "stage": stage.name,
                "index": now.index,
                "pinned": pinned,
                "architecture": type(self.model).__name__,
                "metrics_bytes": self.metrics.size,
                "trajectories_bytes": self.place.trajectories.stat().st_size,
            },
        )
        running.saved()
        saved.prune(self.place.checkpoints, self.recipe.keep_checkpoints)
        write_page(self.place.path, self.recipe.name)

    def _context(self, stage: Stage) -> Context:
        return Context(
            model=self.model,
            tokenizer=self.tokenizer,
            folder=self.place.path,
            scratch=self._scratch(stage),
            seed=derive_seed(self.recipe.seed, stage.name),
            say=self.watch.say,
            record=self._record,
        )

    def _scratch(self, stage: Stage) -> Path:
        return self.place.path / "scratch" / stage.name

    def _record(self, trajectory: Trajectory) -> None:
        if self._to_record > 0:
            self._to_record -= 1
            self.trajectories.write(trajectory)


def read_recipe(folder: Path) -> dict[str, Any]:
    """Return the resolved settings of the run in `folder`.

    Raises:
        DataError: there is no run in it.
    """
    path = RunFolder(folder).recipe
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no run: cannot read {path.name}: {error}") from error
