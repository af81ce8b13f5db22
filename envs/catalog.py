"""Which task sets exist, and loading any of them by name, path or hub id.

Other distributions add their own through the entry-point group ``cascade.task_sets`` (name: the
set's name, value: ``package.module:SOURCE``, a `TaskSource`).
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path

from cascade.envs.rows import task_of_row
from cascade.envs.sources import SOURCES
from cascade.envs.tasksets import (
    MiniSource,
    TaskSet,
    TaskSource,
    load_file,
    load_source,
    mini_sources,
)
from cascade.errors import ConfigError, UnknownNameError

__all__ = ["find_source", "load_tasks", "source_names"]


def source_names() -> tuple[str, ...]:
    """Names of the registered task sets."""
    others = {point.name for point in entry_points(group="cascade.task_sets")}
    return tuple(sorted({*SOURCES, *mini_sources(), *others}))


def find_source(name: str) -> TaskSource | MiniSource:
    """Return the declaration of a registered task set.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name in SOURCES:
        return SOURCES[name]
    generated = mini_sources()
    if name in generated:
        return generated[name]
    for point in entry_points(group="cascade.task_sets"):
        if point.name == name:
            source = point.load()
            if not isinstance(source, TaskSource | MiniSource):
                raise ConfigError(f"{point.value} (task set {name!r}) is not a TaskSource")
            return source
    raise UnknownNameError.near("task set", name, source_names())


def load_tasks(tasks: TaskSet | str | os.PathLike[str], data_dir: Path | None = None) -> TaskSet:
    """Load a registered set by name, a file by path, or ``org/name[:config][@split]`` from the hub.

    Raises:
        UnknownNameError: neither a registered name, nor a file, nor in the form of a hub id.
        DataNotFoundError, DataError: see `cascade.envs.tasksets`.
    """
    if isinstance(tasks, TaskSet):
        return tasks
    text = os.fspath(tasks)
    if not isinstance(tasks, str) or Path(text).is_file() or _looks_like_file(text):
        return load_file(Path(text))
    if "/" in text:
        hub, _, split = text.partition("@")
        hub, _, config = hub.partition(":")
        name = hub.rpartition("/")[2]
        return load_source(
            TaskSource(name=name, hub=hub, config=config or None, split=split or "test",
                       row=task_of_row),
            data_dir,
        )  # fmt: skip
    return find_source(text).load(data_dir)


def _looks_like_file(text: str) -> bool:
    return text.endswith(
        (".jsonl", ".json", ".csv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz")
    )
