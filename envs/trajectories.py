"""Trajectory files: JSONL, append-only, one self-describing line an episode.

A line is written with one `write` on a descriptor opened for appending, so a killed process can
at most tear its last line; reading ignores a torn tail and `TrajectoryWriter` cuts it off before
it appends. Field names are those of `cascade.types.Trajectory`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cascade.errors import DataError
from cascade.types import Completion, StopReason, Trajectory, Verdict, VerdictStatus

__all__ = [
    "FORMAT",
    "TrajectoryWriter",
    "json_of_trajectory",
    "read_trajectories",
    "trajectory_of_json",
]

FORMAT = "cascade.trajectory/1"
_encode = json.JSONEncoder(separators=(",", ":")).encode


def json_of_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """Return the trajectory as plain JSON data; `None` and empty fields are left out."""
    out: dict[str, Any] = {"format": FORMAT}
    for name in _TRAJECTORY_FIELDS:
        value = getattr(trajectory, name)
        if name == "completions":
            value = [_fields_of(completion, _COMPLETION_FIELDS) for completion in value]
        elif name == "verdict":
            value = _fields_of(value, _VERDICT_FIELDS)
        if value is not None and value != () and value != {}:
            out[name] = value
    return out


def _fields_of(record: Completion | Verdict, names: tuple[str, ...]) -> dict[str, Any]:
    # The enums among the values are strings to JSON.
    out: dict[str, Any] = {}
    for name in names:
        value = getattr(record, name)
        if name == "routed_experts" and hasattr(value, "tolist"):
            value = value.tolist()
        if value is not None and value != () and value != {}:
            out[name] = value
    return out


def trajectory_of_json(data: Mapping[str, Any]) -> Trajectory:
    """Read what `json_of_trajectory` wrote. Fields of a newer version are ignored.

    Raises:
        DataError: a field is missing or has a value that no trajectory can have.
    """
    try:
        if data["format"] != FORMAT:
            raise DataError(f"field 'format' is {data['format']!r}; this version reads {FORMAT!r}")
        known = {name: data[name] for name in _TRAJECTORY_FIELDS if name in data}
        verdict = {
            name: data["verdict"][name] for name in _VERDICT_FIELDS if name in data["verdict"]
        }
        verdict["status"] = VerdictStatus(verdict["status"])
        known["verdict"] = Verdict(**verdict)
        known["completions"] = tuple(_completion(item) for item in data.get("completions", ()))
        known["messages"] = tuple(data.get("messages", ()))
        known["stop_reason"] = StopReason(data["stop_reason"])
        return Trajectory(**known)
    except KeyError as error:
        raise DataError(f"a trajectory needs the field {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"not a trajectory: {error}") from error


_TRAJECTORY_FIELDS = tuple(field.name for field in fields(Trajectory))
_VERDICT_FIELDS = tuple(field.name for field in fields(Verdict))
_COMPLETION_FIELDS = tuple(field.name for field in fields(Completion))
_TUPLES = ("tool_calls", "prompt_token_ids", "token_ids", "logprobs")


def _completion(data: Mapping[str, Any]) -> Completion:
    known = {name: data[name] for name in _COMPLETION_FIELDS if name in data}
    for name in _TUPLES:
        if name in known:
            known[name] = tuple(known[name])
    known["stop_reason"] = StopReason(known["stop_reason"])
    return Completion(**known)


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """Yield the trajectories of a file; a torn last line (a killed writer) is passed over.

    Raises:
        DataError: a whole line that is not a trajectory, with file and line number.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield trajectory_of_json(json.loads(line))
            except (UnicodeDecodeError, json.JSONDecodeError, DataError) as error:
                raise DataError(f"{path}, line {number}: {error}") from error


class TrajectoryWriter:
    """Appends trajectories to a file; each is with the operating system when `write` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        _cut_torn_tail(self._descriptor)

    def write(self, trajectory: Trajectory) -> None:
        """Append one line.

        Raises:
            OSError: the disk is full or gone; the file then ends with a torn line at most.
        """
        # ASCII escapes keep lone surrogates, which a model can emit, writable and readable.
        line = _encode(json_of_trajectory(trajectory)).encode() + b"\n"
        written = os.write(self._descriptor, line)
        while written < len(line):
            written += os.write(self._descriptor, line[written:])

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _cut_torn_tail(descriptor: int) -> None:
    """Truncate to the last newline, reading backwards in blocks."""
    end = os.fstat(descriptor).st_size
    position = end
    while position > 0:
        start = max(0, position - 65_536)
        block = os.pread(descriptor, position - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        position = start
    else:
        keep = 0
    if keep < end:
        os.ftruncate(descriptor, keep)
