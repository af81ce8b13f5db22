"""Runs a cascade: trains, measures, registers, decides; and never does anything twice.

A run lives in one folder::

    results/STAGE.json   settings, start, scores of a stage that is trained (or being measured)
    stages/STAGE/        the run of a stage (`cascade.trainer.loop`); final/ has its weights
    rivals/STAGE/        likewise, of a stage that is only compared
    registry.json        checkpoints with scores and checksums; made anew from the results
    replaced/            what was set aside because the recipe was edited
    index.html           forgetting matrix, teachers, curves
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, DataError, TrainingError
from cascade.trainer.cascade import Cascade, CascadeStage, Decision
from cascade.trainer.heldout import HeldOut, Sampler, evaluate
from cascade.trainer.recipe import ModelSource, Pretrained, Recipe, Stage
from cascade.trainer.registry import Entry, Registry, weights_digest
from cascade.trainer.scores import Score
from cascade.trainer.settings import changes, resolved

if TYPE_CHECKING:
    from cascade.trainer.distributed import Ranks

__all__ = ["CascadeFolder", "StageResult", "run_cascade"]

START = "model"
"""What the first stage starts from."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """A stage that is trained, and what it scored so far."""

    name: str
    start: str
    """Stage whose weights it began with, or "model"."""
    settings: Mapping[str, Any]
    """Resolved, with the seed and, of the first stage, the model."""
    weights_sha256: str
    seconds: float
    """Of training, in the process that finished it."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    """Domain -> resolved settings that its score was measured with."""
    learns: tuple[str, ...] = ()
    decision: str = ""
    """What the gate said."""


@dataclass(frozen=True, slots=True)
class CascadeFolder:
    """Where the files of a cascade lie."""

    path: Path

    @property
    def registry(self) -> Path:
        """The registry's file."""
        return self.path / "registry.json"

    def stage(self, name: str) -> Path:
        """Folder of a stage's run."""
        return self.path / "stages" / name

    def final(self, name: str) -> Path:
        """Folder of a stage's weights."""
        return self.stage(name) / "final"

    def rival(self, name: str) -> Path:
        """Folder of a rival's run."""
        return self.path / "rivals" / name

    def result(self, name: str) -> StageResult | None:
        """Read the result of a stage; None if it is not trained.

        Raises:
            DataError: the file cannot be read.
        """
        path = self.path / "results" / f"{name}.json"
        if not path.exists():
            return None
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            scores = {domain: Score(**score) for domain, score in held["scores"].items()}
            return StageResult(**{**held, "scores": scores, "learns": tuple(held["learns"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read ({error}); remove it to train again") from error

    def write(self, result: StageResult) -> None:
        """Write a result whole."""
        _write_json(self.path / "results" / f"{result.name}.json", asdict(result))


async def run_cascade(
    cascade: Cascade,
    folder: Path,
    *,
    rerun: bool = False,
    say: Callable[[str], None] = print,
    every: int = 1,
    ranks: Ranks | None = None,
) -> list[StageResult]:
    """Run a cascade to its end, from wherever it is.

    Args:
        cascade: what to run.
        folder: of the run; made if it is not there.
        rerun: set finished stages aside whose settings have changed, and train them again.
        say: shows a line.
        every: without a terminal, steps between lines of a stage.
        ranks: the processes that train together (`distributed.joined`); each must call this. Only
            rank 0 measures, writes and shows.

    Returns:
        The results in the order in which the stages were trained, inserted ones included.

    Raises:
        ConfigError: the recipe was edited after these stages were trained, and `rerun` is off; or
            a setting that no stage can run with.
        TrainingError: a gate stopped the cascade; or the disk is full. What is finished stays.
    """
    from cascade.trainer.distributed import Ranks
    from cascade.trainer.loop import RunFolder

    ranks = ranks or Ranks()
    sampler = cascade.sampler
    if ranks.size > 1 and isinstance(sampler, Sampler) and sampler.engine == "vllm":
        raise ConfigError(
            "the sampler 'vllm' runs in this process, which cannot be one of several under "
            "torchrun: measure with ServedCheckpoints(url=…, model=…), or Sampler('torch', …)"
        )
    with contextlib.ExitStack() as held:
        ranks.from_first(lambda: held.enter_context(RunFolder(folder).locked()))
        try:
            return await _CascadeRun(cascade, CascadeFolder(folder), say, every, ranks).go(rerun)
        except OSError as error:
            raise TrainingError(
                f"cannot write in {folder}: {error}; what is finished is safe: make room, then run "
                "the same command again"
            ) from error


class _CascadeRun:
    """One process's part of a cascade. All ranks take the same way; rank 0 alone has the files."""

    def __init__(
        self,
        cascade: Cascade,
        place: CascadeFolder,
        say: Callable[[str], None],
        every: int,
        ranks: Ranks,
    ) -> None:
        self.cascade = cascade
        self.place = place
        self.say = say if ranks.rank == 0 else lambda line: None
        self.every = max(1, every)
        self.ranks = ranks
        self.done: list[StageResult] = []

    async def go(self, rerun: bool) -> list[StageResult]:
        first = self.ranks.from_first
        first(lambda: self._settle_changes(rerun))
        first(self._register)  # notices an outside teacher that is not there before any training
        for stage in self.cascade.stages:
            decision = await self._stage(stage)
            if decision.action == "insert" and decision.stage is not None:
                name = f"{stage.name}.{decision.stage.name}"
                inserted = replace(decision.stage, name=name)  # type: ignore[type-var]
                self.say(f"{stage.name}: {decision.reason}; {name} is inserted")
                await self._stage(CascadeStage(stage=inserted, learns=stage.learns))
            elif decision.action == "stop":
                raise TrainingError(
                    f"the gate after stage {stage.name!r} stopped the cascade: {decision.reason}. "
                    "Change the stage or its gate; the stages before it are not repeated"
                )
        return self.done

    async def _stage(self, stage: CascadeStage) -> Decision:
        """Train and measure one stage, or take what is there; say how to go on."""
        first = self.ranks.from_first
        found = first(lambda: self.place.result(stage.name))
        if found is None:
            found = await self._train(stage)
        else:
            self.say(f"{stage.name}: trained already")
        trained = found
        result = await self.ranks.awaited_from_first(lambda: self._measure(trained))
        decision = stage.gate([held.scores for held in self.done], result.scores)
        result = replace(result, decision=f"{decision.action}: {decision.reason}".rstrip(": "))
        first(lambda: self.place.write(result))
        self.done.append(result)
        first(self._register)
        if stage.rival is not None:
            await self._train_rival(stage, result.start)
        first(self._free)
        first(self._write_page)
        self.say(f"{stage.name}: {_shown(result.scores)}; {result.decision}")
        return decision

    async def _train(self, stage: CascadeStage) -> StageResult:
        start = self.done[-1].name if self.done else START
        settings = self._settings(stage.stage, start)
        folder = self.place.stage(stage.name)
        self.ranks.from_first(lambda: _write_json(folder / "settings.json", settings))
        self.say(f"{stage.name}: {stage.stage.steps} steps from {start}")
        began = time.perf_counter()
        await self._train_in(folder, stage.stage, start)

        def finish() -> StageResult:
            digest, seconds = weights_digest(folder / "final"), time.perf_counter() - began
            result = StageResult(stage.name, start, settings, digest, seconds, learns=stage.learns)
            self.place.write(result)
            return result

        return self.ranks.from_first(finish)

    async def _train_in(self, folder: Path, stage: Stage, start: str) -> None:
        from cascade.trainer.console import Watch
        from cascade.trainer.loop import train

        recipe = Recipe(
            name=f"{self.cascade.name}: {stage.name}",
            model=self._source(start),
            stages=(_with_registry(stage, self.place.registry),),
            seed=self.cascade.seed,
            checkpoint_every=self.cascade.checkpoint_every,
            threads=self.cascade.threads,
            deadline_seconds=self.cascade.deadline_seconds,
        )
        watch = Watch(recipe.name, recipe.total_steps, every=self.every)
        await train(recipe, folder, resume=True, watch=watch, ranks=self.ranks)

    async def _train_rival(self, stage: CascadeStage, start: str) -> None:
        """Train the rival from the same start, once; its metrics are what is compared."""
        assert stage.rival is not None
        folder = self.place.rival(stage.name)
        settings = self._settings(stage.rival, start)
        file, first = folder / "settings.json", self.ranks.from_first
        if first(lambda: (folder / "final").is_dir() and _read_json(file) == settings):
            return
        first(lambda: _write_json(file, settings))
        self.say(f"{stage.name}: its rival {stage.rival.name} from the same start")
        await self._train_in(folder, stage.rival, start)

    def _source(self, start: str) -> ModelSource:
        model = self.cascade.model
        if start == START:
            return model
        return Pretrained(str(self.place.final(start)), dtype=model.dtype, device=model.device)

    def _settings(self, stage: Stage, start: str) -> dict[str, Any]:
        """Return what decides a stage's weights, given those that it starts from."""
        first = {"model": resolved(self.cascade.model)} if start == START else {}
        settings = {"seed": self.cascade.seed, "start": start, "stage": resolved(stage), **first}
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    async def _measure(self, result: StageResult) -> StageResult:
        """Measure the domains that have no score with their present settings."""
        wanted: list[tuple[HeldOut, Any]] = []
        for domain in self.cascade.domains:
            asked = json.loads(json.dumps(resolved(domain)))
            if result.measured.get(domain.name) != asked:
                wanted.append((domain, asked))
        if wanted and not self.place.final(result.name).is_dir():
            names = ", ".join(domain.name for domain, _ in wanted)
            self.say(f"{result.name}: its weights are gone, so {names} cannot be measured")
            return result
        names_now = [domain.name for domain in self.cascade.domains]
        scores = {name: score for name, score in result.scores.items() if name in names_now}
        result = replace(result, scores=scores)
        if not wanted:
            return result
        engine = self.cascade.sampler.open(self.place.final(result.name))
        try:
            for domain, asked in wanted:
                score = await evaluate(domain, engine, seed=self.cascade.seed)
                result = replace(
                    result,
                    scores={**result.scores, domain.name: score},
                    measured={**result.measured, domain.name: asked},
                )
                self.place.write(result)
        finally:
            await engine.aclose()
        return result

    def _register(self) -> None:
        """Make the registry anew from the results and the recipe's outside teachers."""
        entries = [
            Entry(
                held.name,
                str(self.place.final(held.name).relative_to(self.place.path)),
                held.weights_sha256,
                held.scores,
            )
            for held in self.done
        ]
        for outside in self.cascade.outside_teachers:
            folder = Path(outside.folder)
            digest = outside.weights_sha256 or weights_digest(folder)
            entries.append(Entry(outside.name, str(folder), digest, {}, outside.teaches))
        Registry(self.place.path, tuple(entries)).save(self.place.registry)

    def _free(self) -> None:
        """Remove what is no longer needed: checkpoints of finished stages, weights by `keep`."""
        for held in self.done:
            shutil.rmtree(self.place.stage(held.name) / "checkpoints", ignore_errors=True)
            shutil.rmtree(self.place.rival(held.name) / "checkpoints", ignore_errors=True)
        if self.cascade.keep == "all":
            return
        teachers = {entry.name for entry in Registry.load(self.place.registry).teachers().values()}
        for held in self.done[:-1]:
            if held.name not in teachers:
                shutil.rmtree(self.place.final(held.name), ignore_errors=True)

    def _write_page(self) -> None:
        from cascade.trainer.cascade_page import write_cascade_page

        write_cascade_page(self.place, self.cascade, self.done)

    def _settle_changes(self, rerun: bool) -> None:
        """Compare what is on disk with the recipe; refuse to mix, or set aside.

        Raises:
            ConfigError: stages were trained with other settings, and `rerun` is off.
        """
        edits, stale = self._edits()
        if not edits:
            return
        shown = "\n  ".join(edits)
        if not rerun:
            raise ConfigError(
                f"the recipe was edited after stages of {self.place.path} had been trained:\n  "
                f"{shown}\nto be trained again: {', '.join(stale)}. Pass --rerun to set their "
                "results aside and do so, or another --run-dir to keep both"
            )
        self.say(f"the recipe was edited:\n  {shown}")
        aside = self.place.path / "replaced" / time.strftime("%Y-%m-%dT%H-%M-%S")
        for name in stale:
            for kind, leaf in (("stages", name), ("rivals", name), ("results", f"{name}.json")):
                source = self.place.path / kind / leaf
                if source.exists():
                    (aside / kind).mkdir(parents=True, exist_ok=True)
                    os.replace(source, aside / kind / leaf)
        self.say(f"set aside in {aside}: {', '.join(stale)}")

    def _edits(self) -> tuple[list[str], list[str]]:
        """Return what differs, and the stages on disk that are worth nothing any more."""
        edits: list[str] = []
        stale: list[str] = []
        seen: set[str] = set()
        start = START
        for stage in self.cascade.stages:
            for name in self._on_disk_of(stage):
                seen.add(name)
                held = self._held_settings(name)
                now = self._settings(_stage_named(name, stage), start)
                found = list(changes(held, now))
                if found and not stale:
                    edits += [f"{name}: {line}" for line in found]
                if found or stale:
                    stale.append(name)
                start = name
            if not self._on_disk_of(stage):
                start = stage.name
        gone = [name for name in self._all_on_disk() if name not in seen]
        edits += [f"{name}: no longer in the recipe" for name in gone]
        return edits, [*stale, *gone]

    def _on_disk_of(self, stage: CascadeStage) -> list[str]:
        """The stage and those inserted after it that were begun or finished."""
        own = [name for name in self._all_on_disk() if name == stage.name]
        names = [other.name for other in self.cascade.stages]
        inserted = [
            name
            for name in self._all_on_disk()
            if name.startswith(f"{stage.name}.") and name not in names
        ]
        return own + inserted

    def _all_on_disk(self) -> list[str]:
        folder = self.place.path / "stages"
        return sorted(path.parent.name for path in folder.glob("*/settings.json"))

    def _held_settings(self, name: str) -> dict[str, Any]:
        return dict(_read_json(self.place.stage(name) / "settings.json"))


def _stage_named(name: str, stage: CascadeStage) -> Stage:
    """Return the stage itself, or the one that its gate inserts, called `name`."""
    inserted = getattr(stage.gate, "stage", None)
    if name == stage.name or inserted is None:
        return stage.stage
    return replace(inserted, name=name)  # type: ignore[no-any-return]


def _with_registry(stage: Stage, path: Path) -> Stage:
    """Tell a stage that looks for teachers where they are."""
    names = [entry.name for entry in fields(stage)]  # type: ignore[arg-type]
    if "registry" in names and getattr(stage, "registry", None) is None:
        return replace(stage, registry=str(path.absolute()))  # type: ignore[type-var]
    return stage


def _shown(scores: Mapping[str, Score]) -> str:
    return ", ".join(f"{name} {100 * score.mean:.0f} %" for name, score in scores.items())


def _write_json(path: Path, content: Any) -> None:
    """Write a file whole, or leave the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(new, path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
