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
import copy
import fcntl
import json
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from cascade.trainer.recipe import Context, ModelSource, Recipe, Stage, StageRun
from cascade.trainer.settings import changes, resolved
from cascade.types import Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from cascade.trainer.distributed import Ranks

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
    ranks: Ranks | None = None,
) -> Path:
    """Run a recipe to its end and return the folder of the trained model.

    Args:
        recipe: what to run.
        folder: of the run; made if it is not there.
        resume: go on from the newest checkpoint in `folder`, or start if there is none.
        watch: shows progress; None shows it on standard output.
        sinks: get the metrics too.
        ranks: the processes that train together (`distributed.joined`); each must call this. Only
            rank 0 collects episodes, writes and shows; its `watch` and `sinks` alone are used.

    Raises:
        ConfigError: a setting, an existing run that `resume` was not given for, or a checkpoint of
            another architecture.
        TrainingError: the disk is full, or weights did not reach the engine.
        CascadeError: what a stage raises; the newest checkpoint stays.
    """
    from cascade.trainer.distributed import Ranks

    place = RunFolder(folder)
    ranks = ranks or Ranks()
    with contextlib.ExitStack() as held:
        ranks.from_first(lambda: held.enter_context(place.locked()))
        run = _Run(recipe, place, watch or Watch(recipe.name, recipe.total_steps), sinks, ranks)
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
        self,
        recipe: Recipe,
        place: RunFolder,
        watch: Watch,
        sinks: Sequence[Sink],
        ranks: Ranks,
    ) -> None:
        self.recipe = recipe
        self.place = place
        self.watch = watch
        self.sinks = sinks
        self.ranks = ranks
        self.joined = ranks.store is not None
        self.plan = recipe.plan()
        self.model: PreTrainedModel
        self.whole: PreTrainedModel | None = None
        self.tokenizer: PreTrainedTokenizerBase
        self.metrics: MetricsFile
        self.trajectories: TrajectoryWriter
        self._to_record = 0
        self._files = contextlib.ExitStack()

    async def go(self, resume: bool) -> Path:
        found = self.ranks.from_first(lambda: self._prepare(resume))
        position, state = self._start(found)
        self.ranks.from_first(lambda: self._open_files(found))
        if position.step >= self.recipe.total_steps:
            self._say(f"all {position.step} steps are done")
        while position.step < self.recipe.total_steps:
            position = await self._run_stage(position, state)
            state = None
        self.ranks.from_first(lambda: self._finish(position))
        return self.place.final

    def _prepare(self, resume: bool) -> saved.Checkpoint | None:
        """Look what is in the run folder; return the checkpoint to go on from."""
        found = self._newest(resume)
        self._write_recipe(started=found is not None)
        return found

    def _finish(self, position: Position) -> None:
        """Save the model; the end of the last stage has brought `whole` up to date."""
        if saved.step_of_model(self.place.final) != position.step:
            model = self.model if self.whole is None else self.whole
            saved.save_model(self.place.path, "final", model, self.tokenizer, step=position.step)
        write_page(self.place.path, self.recipe.name)

    def close(self) -> None:
        self.watch.close()
        self._files.close()
        for sink in self.sinks:
            sink.close()

    def _say(self, line: str) -> None:
        """Show a line, once for all ranks."""
        if self.ranks.rank == 0:
            self.watch.say(line)

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
        """Make or load the model, and set the generators; on every rank alike."""
        import numpy as np
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        if self.recipe.threads is not None:
            torch.set_num_threads(self.recipe.threads)
        source = self._source
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
            self._say(f"going on from step {found.step} ({found.folder})")
        if self.joined and self.ranks.rank == 0:
            self.whole = copy.deepcopy(self.model).to("cpu")
        return position, state

    @property
    def _source(self) -> ModelSource:
        """The recipe's; several ranks load on the CPU, and sharding moves each one's part."""
        source = self.recipe.model
        return source if self.ranks.size == 1 else replace(source, device="cpu")  # type: ignore[type-var]

    def _open_files(self, found: saved.Checkpoint | None) -> None:
        """Cut the append-only files back to the checkpoint, and begin to show and to write."""
        facts = found.facts if found else {}
        for path, name in (
            (self.place.metrics, "metrics"),
            (self.place.trajectories, "trajectories"),
        ):
            cut(path, int(facts.get(f"{name}_bytes", 0)))
        self.metrics = MetricsFile(self.place.metrics)
        self.trajectories = TrajectoryWriter(self.place.trajectories)
        self._files.callback(self.metrics.close)
        self._files.callback(self.trajectories.close)
        self.watch.open()

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
        if position.index < stage.steps:
            return position
        self.ranks.from_first(lambda: shutil.rmtree(self._scratch(stage), ignore_errors=True))
        if self.joined and position.step < self.recipe.total_steps:
            self.model = self._unsharded()
        return Position(position.step, position.stage + 1, 0)

    def _unsharded(self) -> PreTrainedModel:
        """Load the weights that the stage just ended with, for the next one to shard anew."""
        newest = self.ranks.from_first(lambda: saved.checkpoints(self.place.checkpoints)[-1])
        source = self._source
        return saved.load_weights(newest.folder, dtype=source.dtype, device=source.device)

    async def _step(self, stage: Stage, running: StageRun, position: Position) -> Position:
        """One step, and all that is written after it."""
        due = position.step % self.recipe.record_every == 0
        self._to_record = self.recipe.record_episodes if due else 0
        began = time.perf_counter()
        metrics = dict(await running.step(position.index))
        metrics["seconds"] = time.perf_counter() - began
        now = Position(position.step + 1, position.stage, position.index + 1)
        self.ranks.from_first(lambda: self._tell(now, stage, metrics))
        ends = now.index >= stage.steps or now.step >= self.recipe.total_steps
        if ends or now.step % self.recipe.checkpoint_every == 0:
            self._save(stage, running, now, pinned=now.index >= stage.steps)
        return now

    def _tell(self, now: Position, stage: Stage, metrics: Mapping[str, float]) -> None:
        self.metrics.write({"step": now.step, "stage": stage.name, **metrics})
        for sink in self.sinks:
            sink.write(now.step, metrics)
        self.watch.show(now.step, stage.name, metrics)

    def _save(self, stage: Stage, running: StageRun, now: Position, *, pinned: bool) -> None:
        """Gather weights and optimizer from all ranks; rank 0 writes them."""
        from cascade.trainer.distributed import copy_weights

        with self.ranks.phase("save a checkpoint"):
            if self.joined:
                copy_weights(self.model, self.whole)
            state = {"stage": running.state(), "generators": saved.generators()}
            self.ranks.from_first(lambda: self._write(stage, state, now, pinned=pinned))
            running.saved()

    def _write(
        self, stage: Stage, state: Mapping[str, Any], now: Position, *, pinned: bool
    ) -> None:
        model = self.model if self.whole is None else self.whole
        saved.save_checkpoint(
            self.place.checkpoints,
            f"step-{now.step:06d}",
            model=model,
            tokenizer=self.tokenizer,
            state=state,
            facts={
                "step": now.step,
                "stage": stage.name,
                "index": now.index,
                "pinned": pinned,
                "architecture": type(model).__name__,
                "metrics_bytes": self.metrics.size,
                "trajectories_bytes": self.place.trajectories.stat().st_size,
            },
        )
        saved.prune(self.place.checkpoints, self.recipe.keep_checkpoints)
        write_page(self.place.path, self.recipe.name)

    def _context(self, stage: Stage) -> Context:
        return Context(
            model=self.model,
            tokenizer=self.tokenizer,
            folder=self.place.path,
            scratch=self._scratch(stage),
            seed=derive_seed(self.recipe.seed, stage.name),
            say=self._say,
            record=self._record,
            ranks=self.ranks if self.joined else None,
            whole=self.whole,
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
