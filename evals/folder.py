"""A run's folder: what was run, every sample as it finished, and the report.

::

    run.json             what the run is: model, tasks, data checksums, protocol, seed
    trajectories.jsonl   one line a sample, appended as it finishes
    judgments.jsonl      what the judge was asked and replied, where a model judges
    report.json          scores and everything needed to repeat them

The folder belongs to one process at a time (a lock that the kernel drops with the process), and
to one run: resuming with another model, protocol or data is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cascade.envs.trajectories import read_trajectories
from cascade.errors import ConfigError, DataError
from cascade.evals.records import Record, record_of

__all__ = ["RunFolder", "differing_fields", "read_records"]

FORMAT = "cascade.run/1"
_MUST_MATCH = ("format", "tasks", "model", "engine", "seed")


class RunFolder:
    """Opens (and locks) the folder of a run.

    Args:
        path: created if it does not exist.
        manifest: what this run is; see `RunFolder.manifest_of`.
        resume: whether samples that are there already are kept. Without it, a folder that holds a
            run is an error: no run is ever overwritten.

    Raises:
        ConfigError: the folder holds a run and `resume` is not set, or another run, or another
            process is writing it, or it cannot be written.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(f"the run folder {str(path)!r} cannot be written: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(f"another process is writing the run folder {str(path)!r}") from error
        try:
            self._claim(manifest, resume)
        except BaseException:
            self.close()
            raise

    def _claim(self, manifest: Mapping[str, Any], resume: bool) -> None:
        file = self.path / "run.json"
        if not self.trajectories.exists() or self.trajectories.stat().st_size == 0:
            write_json(file, manifest)  # nothing was ever sampled: there is nothing to protect
            return
        if not file.exists():
            raise ConfigError(f"{str(self.path)!r} holds trajectories but no run.json")
        if not resume:
            raise ConfigError(
                f"{str(self.path)!r} holds a run already: add --resume to finish it, or give "
                f"another folder"
            )
        earlier = read_manifest(self.path)
        different = [
            line
            for field in _MUST_MATCH
            for line in differing_fields(earlier.get(field), manifest.get(field), field)
        ]
        if different:
            raise ConfigError(
                f"{str(self.path)!r} holds another run; it differs in: {'; '.join(different[:8])}"
            )

    @property
    def trajectories(self) -> Path:
        """The file of samples."""
        return self.path / "trajectories.jsonl"

    @property
    def judgments(self) -> Path:
        """The file of the judge's replies."""
        return self.path / "judgments.jsonl"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.json"

    def close(self) -> None:
        """Release the folder; calling it twice is harmless."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a run folder.

    Raises:
        DataError: there is none, or it is damaged.
    """
    file = path / "run.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(file)!r} cannot be read as a run's manifest: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{str(file)!r} is no manifest of the form {FORMAT!r}")
    return manifest


def differing_fields(old: Any, new: Any, name: str) -> Iterator[str]:
    """Name every leaf in which two manifests differ, with both values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differing_fields(old.get(key), new.get(key), f"{name}.{key}")
    elif old != new:
        yield f"{name} was {old!r:.80}, now {new!r:.80}"


def read_records(path: Path) -> dict[tuple[str, str, int], Record]:
    """Read the samples of a trajectory file; of several lines for one sample the last counts.

    Raises:
        DataError: a whole line that is no trajectory, or one that names no task.
    """
    records: dict[tuple[str, str, int], Record] = {}
    for number, trajectory in enumerate(read_trajectories(path), start=1):
        task = trajectory.metadata.get("task")
        if not isinstance(task, str):
            raise DataError(f"{path}, line {number}: field 'metadata.task' is missing")
        record = record_of(trajectory, task)
        records[record.key] = record
    return records


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    temporary.replace(path)
