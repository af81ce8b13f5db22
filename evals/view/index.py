"""The compact index of a run: a few bytes a sample, in columns, ordered by task and problem."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.envs.trajectories import trajectory_of_json
from cascade.errors import DataError, DataNotFoundError
from cascade.evals.records import Record, record_of
from cascade.evals.summary import summarise
from cascade.evals.task import Protocol
from cascade.types import StopReason, VerdictStatus

__all__ = ["IndexedRun", "IndexedTask", "Place", "read_run"]

_STATUSES = dict(zip(VerdictStatus, "cpwnf", strict=True))
_STOPS = dict(zip(StopReason, "sltuce", strict=True))
_SHOWN_ANSWER = 60
_FACTS = ("engine", "started", "seconds", "command", "versions", "host", "skipped", "problems")


@dataclass(frozen=True, slots=True)
class Place:
    """A sample, and where its line begins in the trajectory file."""

    record: Record
    stop: StopReason
    seconds: float
    answer: str
    """The extracted answer as far as a list shows it."""
    offset: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class IndexedTask:
    """The samples of one task, by problem and number."""

    name: str
    summary: Mapping[str, Any]
    """As in report.json, or computed from what is on record."""
    places: Sequence[Place]

    def as_json(self, parts: Sequence[int]) -> dict[str, Any]:
        """Return the columns; `parts` holds the first sample of each part of transcripts."""
        records = [place.record for place in self.places]
        counts: dict[str, int] = {}
        for record in records:
            counts[record.task_id] = counts.get(record.task_id, 0) + 1
        numbers = [record.sample for record in records]
        usual = [number for count in counts.values() for number in range(count)]
        keys: dict[str | None, int] = {None: -1}
        shown: list[str] = []
        for place in self.places:
            if place.record.answer not in keys:
                keys[place.record.answer] = len(shown)
                shown.append(place.answer)
        return {
            "name": self.name,
            "summary": self.summary,
            "problems": list(counts),
            "counts": list(counts.values()),
            "numbers": None if numbers == usual else numbers,
            "status": "".join(_STATUSES[r.status] for r in records),
            "stop": "".join(_STOPS[place.stop] for place in self.places),
            "flags": "".join(map(_flags, records)),
            "partial": {
                i: r.reward for i, r in enumerate(records) if r.status is VerdictStatus.PARTIAL
            },
            "tokens": [r.num_tokens for r in records],
            "seconds": [round(place.seconds, 2) for place in self.places],
            "answer": [keys[r.answer] for r in records],
            "answers": shown,
            "parts": list(parts),
        }


def _flags(record: Record) -> str:
    bits = record.truncated + 2 * record.empty + 4 * record.unparsable + 8 * record.refused
    return f"{bits:x}"


@dataclass(frozen=True, slots=True)
class IndexedRun:
    """A run folder or a trajectory file."""

    name: str
    trajectories: Path
    tasks: Sequence[IndexedTask]
    report: Mapping[str, Any] = field(default_factory=dict)
    """`report.json`, or what `run.json` has of it."""

    def as_json(self, parts: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Return the whole index; `parts` are those of each task."""
        return {
            "name": self.name,
            "model": self.report.get("model", "unknown model"),
            "seed": self.report.get("seed"),
            "status": self.report.get("status", "without a report"),
            "notice": self.report.get("notice"),
            "facts": {name: self.report[name] for name in _FACTS if self.report.get(name)},
            "tasks": [t.as_json(p) for t, p in zip(self.tasks, parts, strict=True)],
        }


def read_run(path: Path) -> IndexedRun:
    """Index a run folder or a trajectory file.

    Raises:
        DataNotFoundError: there is no trajectory file.
        DataError: a line that is no trajectory, or no sample at all.
    """
    file = path / "trajectories.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise DataNotFoundError(f"{str(path)!r}: no such run folder or trajectory file")
    report = _report(path) if path.is_dir() else {}
    by_task: dict[str, list[Place]] = {name: [] for name in report.get("tasks", {})}
    for place in _places(file).values():
        by_task.setdefault(place.record.task, []).append(place)
    tasks = []
    for name, places in by_task.items():
        if places:
            places.sort(key=lambda place: (_natural(place.record.task_id), place.record.sample))
            tasks.append(IndexedTask(name, _summary(name, places, report), places))
    if not tasks:
        raise DataError(f"{file}: no sample to show")
    name = path.resolve().name if path.is_dir() else path.name
    return IndexedRun(name, file, tasks, report)


def _places(file: Path) -> dict[tuple[str, str, int], Place]:
    """Read every whole line; of several lines for one sample the last counts."""
    places: dict[tuple[str, str, int], Place] = {}
    for number, (offset, line) in enumerate(_lines(file), start=1):
        try:
            trajectory = trajectory_of_json(json.loads(line))
        except (UnicodeDecodeError, json.JSONDecodeError, DataError) as error:
            raise DataError(f"{file}, line {number}: {error}") from error
        record = record_of(trajectory, str(trajectory.metadata.get("task", trajectory.env_id)))
        answer = " ".join((trajectory.verdict.extracted or "")[: 2 * _SHOWN_ANSWER].split())
        places[record.key] = Place(
            record, trajectory.stop_reason, trajectory.seconds, answer[:_SHOWN_ANSWER], offset
        )
    return places


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with file.open("rb") as opened:
        for line in opened:
            if not line.endswith(b"\n"):
                return  # a killed writer tore it
            yield offset, line
            offset += len(line)


def _report(folder: Path) -> dict[str, Any]:
    """Read the report; of a run that was killed before it wrote one, the manifest."""
    for name in ("report.json", "run.json"):
        file = folder / name
        if file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataError(f"{file}: not JSON ({error})") from error
            if isinstance(found, dict):
                return found if name == "report.json" else {**found, "status": "without a report"}
    return {}


def _summary(name: str, places: Sequence[Place], report: Mapping[str, Any]) -> Mapping[str, Any]:
    known: Mapping[str, Any] = report.get("tasks", {}).get(name, {})
    if "counts" in known:
        return known
    records = [place.record for place in places]
    ids = list(dict.fromkeys(record.task_id for record in records))
    samples = 1 + max(record.sample for record in records)
    protocol = Protocol(source="what is on record", samples=samples)
    return {**known, **summarise(name, protocol, ids, records).as_json()}


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which problem 10 comes after problem 9."""
    found = re.findall(r"([0-9]{1,18})|([^0-9]+|[0-9]+)", name)
    return [(0, int(number), "") if number else (1, 0, text) for number, text in found]
