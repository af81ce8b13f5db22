"""Reading the verdicts of a run folder, a trajectory file or a verdict file (of `rescore`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cascade.envs.rows import read_rows
from cascade.envs.trajectories import FORMAT, read_trajectories
from cascade.errors import DataError, DataNotFoundError
from cascade.evals.outputs import line_of
from cascade.types import VerdictStatus

__all__ = ["Judged", "Key", "read_judged", "read_texts"]

Key = tuple[str, str, int]
"""Task, problem, sample."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict."""

    task: str
    task_id: str
    sample: int
    status: VerdictStatus
    reward: float
    extracted: str | None
    reason: str

    @property
    def key(self) -> Key:
        """What makes a sample unique."""
        return self.task, self.task_id, self.sample


def read_judged(path: Path) -> dict[Key, Judged]:
    """Read every verdict; of several lines for one sample the last counts.

    Raises:
        DataNotFoundError: there is no such file.
        DataError: a row that holds no verdict, with file, line and field, or no row at all.
    """
    file = _file(path)
    rows = _of_trajectories(file) if _holds_trajectories(file) else _of_verdicts(file)
    found = {judged.key: judged for judged in rows}
    if not found:
        raise DataError(f"{file}: no judged sample")
    return found


def read_texts(path: Path, keys: set[Key]) -> dict[Key, str]:
    """Return the last message of the named samples, reasoning first; verdict files have none."""
    file = _file(path)
    if not _holds_trajectories(file):
        return {}
    texts = {}
    for trajectory in read_trajectories(file):
        key = _task_of(trajectory.metadata, file), trajectory.task_id, trajectory.sample
        if key in keys:
            reasoning = trajectory.completions[-1].reasoning if trajectory.completions else None
            before = f"<think>\n{reasoning}\n</think>\n" if reasoning else ""
            texts[key] = before + trajectory.response
    return texts


def _file(path: Path) -> Path:
    file = path / "trajectories.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise DataNotFoundError(f"{str(path)!r}: no such run folder, trajectory or verdict file")
    return file


def _holds_trajectories(file: Path) -> bool:
    with file.open("rb") as opened:
        return FORMAT.encode() in opened.readline()


def _of_trajectories(file: Path) -> Iterator[Judged]:
    for trajectory in read_trajectories(file):
        verdict = trajectory.verdict
        yield Judged(
            _task_of(trajectory.metadata, file), trajectory.task_id, trajectory.sample,
            verdict.status, verdict.reward, verdict.extracted, verdict.reason,
        )  # fmt: skip


def _task_of(metadata: object, file: Path) -> str:
    task = metadata.get("task") if isinstance(metadata, dict) else None
    if not isinstance(task, str):
        raise DataError(f"{file}: a trajectory without the field 'metadata.task'")
    return task


def _of_verdicts(file: Path) -> Iterator[Judged]:
    seen: Counter[tuple[str, str]] = Counter()
    for index, row in enumerate(read_rows(file)):
        if missing := [n for n in ("task", "id", "status", "reward") if n not in row]:
            raise DataError(f"{file}, line {line_of(file, index)}: no field {missing[0]!r}")
        task, task_id = str(row["task"]), str(row["id"])
        try:
            yield Judged(
                task, task_id, int(row.get("sample", seen[task, task_id])),
                VerdictStatus(row["status"]), float(row["reward"]),
                row.get("extracted"), str(row.get("reason", "")),
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise DataError(f"{file}, line {line_of(file, index)}: {error}") from error
        seen[task, task_id] += 1
