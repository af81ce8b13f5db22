"""Task sets: named collections of tasks, where each comes from, and what was loaded.

A set is declared once as a `TaskSource` and found by name; a file, a hub data set or NeMo-Gym
rows are read by the same function. What was loaded (path or hub id, SHA-256, rows, licence) stays
with the set as its `Provenance` and goes into every report.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import overload

from cascade.envs.hub import is_away
from cascade.envs.mini import DIFFICULTIES, Split
from cascade.envs.rows import Row, digest_of_rows, read_rows, task_of_row
from cascade.errors import ConfigError, DataError, DataNotFoundError, UnknownNameError
from cascade.types import Task

__all__ = ["MiniSource", "Provenance", "TaskSet", "TaskSource", "load_file", "load_source"]

Merge = Callable[[list[Row]], list[Row]]
RowReader = Callable[[Row, int], Task]
"""Turns row number `index` (from 0) of a data set into a task; raises `DataError` naming fields."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the tasks of a set came from."""

    source: str
    """Hub id, file path or generator."""
    sha256: str
    """Digest of the rows' canonical JSON, independent of file format and compression."""
    rows: int
    licence: str = "unknown"
    revision: str | None = None


@dataclass(frozen=True)
class TaskSet(Sequence[Task]):
    """An immutable, ordered collection of tasks with unique ids.

    Raises:
        DataError: two tasks have the same id.
    """

    name: str
    tasks: tuple[Task, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        """Refuse duplicate ids: two problems would share their samples."""
        if len(self._by_id) != len(self.tasks):
            seen: set[str] = set()
            double = next(t.id for t in self.tasks if t.id in seen or seen.add(t.id))  # type: ignore[func-returns-value]
            raise DataError(
                f"task set {self.name!r}: the id {double!r} occurs twice; ids must differ"
            )

    @cached_property
    def _by_id(self) -> dict[str, Task]:
        return {task.id: task for task in self.tasks}

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        return self.tasks[index]

    def get(self, task_id: str) -> Task | None:
        """Return the task of that id, or None."""
        return self._by_id.get(task_id)

    def filter(self, keep: Callable[[Task], bool]) -> TaskSet:
        """Keep the tasks for which `keep` is true, in order."""
        return replace(self, tasks=tuple(task for task in self.tasks if keep(task)))

    def shuffle(self, seed: int) -> TaskSet:
        """Return the set in an order that depends on `seed` alone."""
        order = list(self.tasks)
        random.Random(f"shuffle/{seed}").shuffle(order)
        return replace(self, tasks=tuple(order))

    def take(self, count: int) -> TaskSet:
        """Keep the first `count` tasks."""
        return replace(self, tasks=self.tasks[:count])

    def skip(self, count: int) -> TaskSet:
        """Drop the first `count` tasks."""
        return replace(self, tasks=self.tasks[count:])

    def split(self, fraction: float, seed: int) -> tuple[TaskSet, TaskSet]:
        """Cut into two disjoint sets, the first with `fraction` of the tasks, by `seed`."""
        if not 0 < fraction < 1:
            raise ConfigError(f"fraction must lie in (0, 1), got {fraction!r}")
        mixed = self.shuffle(seed)
        cut = round(len(mixed) * fraction)
        return mixed.take(cut), mixed.skip(cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSource:
    """Where a set's rows can be had, and how a row becomes a task.

    The data folder is looked into first (``<name>.jsonl``, ``.jsonl.gz``, ``.json``, ``.parquet``
    or ``.csv``, then `files`), then the hub.
    """

    name: str
    hub: str | None = None
    """Data set id on the Hugging Face hub."""
    config: str | None = None
    configs: tuple[str, ...] = ()
    """Parts of the hub data set that hold the rows together; each row names its own (`subject`)."""
    split: str = "test"
    revision: str | None = None
    """Pinned commit of the hub data set; None follows its main branch."""
    files: tuple[str, ...] = ()
    """Paths below the data folder that together hold the set, in order."""
    hub_files: tuple[str, ...] = ()
    """Files of the hub repository that hold the rows, where `datasets` loads no table of it."""
    read: Callable[[Path], list[Row]] = read_rows
    """Reads a file of `files` or `hub_files`."""
    merge: Merge | None = None
    """Puts the rows of several files together (questions and a baseline's answers)."""
    row: RowReader = task_of_row
    licence: str = "unknown"
    size: int | None = None
    """How many tasks the set has; another count is an error, never a silent truncation."""

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Load the set.

        Raises:
            DataNotFoundError: it is neither in the data folder nor reachable on the hub.
            DataError: a row that cannot be read, or a wrong number of rows.
        """
        return load_source(self, data_dir)


_GENERATORS: Mapping[str, str] = {
    "arithmetic": "cascade.envs.mini:arithmetic_task",
    "modular": "cascade.envs.mini:modular_task",
    "number_theory": "cascade.envs.mini:number_theory_task",
    "choice": "cascade.envs.mini:choice_task",
    "instructions": "cascade.envs.instruction_following.mini:mini_task",
    "multi_constraint": "cascade.envs.instruction_following.multi:multi_task",
    "structured_output": "cascade.envs.structured_output.mini:mini_task",
    "tool_calling": "cascade.envs.tool_calling.mini:mini_task",
    "preference": "cascade.envs.preference.mini:mini_task",
    "long_context": "cascade.envs.long_context.mini:mini_task",
    "repair": "cascade.envs.repair.mini:mini_task",
    "code": "cascade.envs.code.mini:mini_task",
    "workplace": "cascade.envs.workplace.tasks:mini_task",
    "pantry": "cascade.envs.pantry.mini:mini_task",
    "ledger": "cascade.envs.bfcl.mini:mini_task",
    "customers": "cascade.envs.tau2.mini:mini_task",
    "pairwise": "cascade.envs.pairwise.mini:mini_task",
    "graded": "cascade.envs.graded.mini:mini_task",
}
"""Kind of mini task -> ``module:function``; each is ``(seed, index, difficulty, *, split)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniSource:
    """A generated set: `size` tasks of one kind, drawn without repeating a problem.

    Raises:
        UnknownNameError: there is no generator of that kind.
    """

    kind: str
    difficulty: int = 1
    split: Split = "test"
    seed: int = 0
    size: int = 50

    def __post_init__(self) -> None:
        """Refuse kinds that nothing generates."""
        if self.kind not in _GENERATORS:
            raise UnknownNameError.near("kind of mini task", self.kind, _GENERATORS)

    @property
    def name(self) -> str:
        """Name of the set, as in ``mini_arithmetic``."""
        return f"mini_{self.kind}"

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Generate the set; `data_dir` is not needed.

        Raises:
            ConfigError: there are not `size` different problems of that kind and difficulty.
        """
        module, _, name = _GENERATORS[self.kind].partition(":")
        generate = getattr(import_module(module), name)
        tasks: dict[str, Task] = {}
        for index in range(100 * self.size):
            task = generate(self.seed, index, self.difficulty, split=self.split)
            tasks.setdefault(str(task.metadata["problem"]), task)
            if len(tasks) == self.size:
                break
        else:
            raise ConfigError(
                f"only {len(tasks)} different {self.split} problems of kind {self.kind!r} and "
                f"difficulty {self.difficulty} were found, {self.size} were asked for"
            )
        chosen = tuple(tasks.values())
        rows = [{"id": task.id, "reference": task.reference} for task in chosen]
        provenance = Provenance("generated", digest_of_rows(rows), len(chosen), "CC0-1.0")
        return TaskSet(self.name, chosen, provenance)


def load_file(path: Path, *, name: str | None = None, row: RowReader = task_of_row) -> TaskSet:
    """Load a JSONL, JSON, Parquet or CSV file (also gzipped), whole or not at all.

    Raises:
        DataNotFoundError: there is no such file.
        DataError: a malformed row, with file, line and field.
    """
    rows = read_rows(path)
    tasks = _tasks_of(rows, row, str(path))
    provenance = Provenance(str(path), digest_of_rows(rows), len(rows))
    return TaskSet(name or path.name.split(".")[0], tasks, provenance)


def load_source(source: TaskSource, data_dir: Path | None = None) -> TaskSet:
    """Load `source` from `data_dir` if it is there, else from the hub."""
    looked: list[str] = []
    paths = _local_paths(source, data_dir, looked)
    if paths:
        rows = [row for path in paths for row in source.read(path)]
        origin = ", ".join(str(path) for path in paths)
    else:
        rows = _hub_rows(source, looked)
        origin = f"hub:{source.hub}" + (f":{source.config}" if source.config else "")
    if source.merge is not None:
        rows = source.merge(rows)
    if source.size is not None and len(rows) != source.size:
        raise DataError(
            f"task set {source.name!r} has {source.size} rows, but {origin} holds {len(rows)}; "
            f"supply the complete set"
        )
    tasks = _tasks_of(rows, source.row, origin)
    provenance = Provenance(
        origin, digest_of_rows(rows), len(rows), source.licence, None if paths else source.revision
    )
    return TaskSet(source.name, tasks, provenance)


def _tasks_of(rows: Sequence[Row], row: RowReader, origin: str) -> tuple[Task, ...]:
    if not rows:
        raise DataError(f"{origin}: no rows; a task set needs at least one")
    tasks = []
    for index, content in enumerate(rows):
        try:
            tasks.append(row(content, index))
        except DataError as error:
            raise DataError(f"{origin}, row {index + 1}: {error}") from error
    return tuple(tasks)


def _local_paths(source: TaskSource, data_dir: Path | None, looked: list[str]) -> list[Path]:
    if data_dir is None:
        return []
    if not data_dir.is_dir():
        raise DataNotFoundError(
            f"the data folder {str(data_dir)!r} is not a folder on this machine"
        )
    for ending in (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv"):
        path = data_dir / f"{source.name}{ending}"
        if path.is_file():
            return [path]
    looked.append(str(data_dir / f"{source.name}.jsonl") + " (.jsonl.gz, .json, .parquet, .csv)")
    paths = [data_dir / name for name in source.files]
    if paths and all(path.is_file() for path in paths):
        return paths
    looked.extend(str(path) for path in paths)
    return []


def _hub_rows(source: TaskSource, looked: list[str]) -> list[Row]:
    """Download through `datasets`; every failure to reach the hub becomes DataNotFoundError."""
    if source.hub is None:
        raise _not_found(source, looked, "it is on no hub")
    import datasets  # takes most of a second, and only hub data needs it
    import httpx

    if is_away():
        datasets.config.HF_HUB_OFFLINE = True
    try:
        if source.hub_files:
            return _downloaded(source)
        if source.configs:
            return [
                {"subject": part, **row}
                for part in source.configs
                for row in datasets.load_dataset(
                    source.hub, part, split=source.split, revision=source.revision
                )
            ]
        data = datasets.load_dataset(
            source.hub, source.config, split=source.split, revision=source.revision
        )
    except (OSError, ValueError, RuntimeError, httpx.HTTPError) as error:
        looked.append(f"the hub data set {source.hub!r}")
        raise _not_found(source, looked, f"{type(error).__name__}: {error}") from error
    return [dict(row) for row in data]


def _downloaded(source: TaskSource) -> list[Row]:
    """Read the files of a hub repository as they are."""
    from huggingface_hub import hf_hub_download

    assert source.hub is not None
    paths = [
        hf_hub_download(source.hub, name, repo_type="dataset", revision=source.revision)
        for name in source.hub_files
    ]
    return [row for path in paths for row in source.read(Path(path))]


def _not_found(source: TaskSource, looked: list[str], why: str) -> DataNotFoundError:
    places = "; ".join(looked) or "nowhere: no data folder was given"
    first_line = why.strip().splitlines()[0][:200] if why.strip() else ""
    return DataNotFoundError(
        f"task set {source.name!r} is not on this machine (looked at: {places}; {first_line}). "
        f"Either put {source.name}.jsonl into a folder and pass it as --data-dir (or set "
        f"CASCADE_DATA), or connect to the hub so that {source.hub!r} can be downloaded."
    )


def mini_sources() -> Mapping[str, MiniSource]:
    """The generated sets by name: ``mini_<kind>`` (difficulty 1) and ``mini_<kind>_<n>``."""
    sources = {f"mini_{kind}": MiniSource(kind=kind) for kind in _GENERATORS}
    for kind in _GENERATORS:
        for difficulty in DIFFICULTIES:
            sources[f"mini_{kind}_{difficulty}"] = MiniSource(kind=kind, difficulty=difficulty)
    return sources
