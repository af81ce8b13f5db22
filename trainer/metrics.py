"""Where numbers go: ``metrics.jsonl``, and TensorBoard or Weights & Biases where installed.

A line of the file is one step: ``{"step": 12, "stage": "grpo", "reward/mean": 0.41, …}``. The file
is append-only; a resumed run cuts it back to what its checkpoint had seen, so no step occurs twice.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from cascade.errors import ConfigError, DataError, UnknownNameError

__all__ = ["Line", "MetricsFile", "Sink", "cut", "open_sink", "read_metrics", "sink_names"]

Line = Mapping[str, Any]


class Sink(Protocol):
    """Somewhere else that metrics are sent to."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the numbers of one step."""
        ...

    def close(self) -> None:
        """Flush; calling it twice is harmless."""
        ...


class MetricsFile:
    """Appends steps to a JSONL file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab")

    @property
    def size(self) -> int:
        """Bytes written so far; see `cut`."""
        return self._file.tell()

    def write(self, line: Line) -> None:
        """Append one step. Numbers that JSON does not have (NaN, infinities) become null."""
        plain = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in line.items()
        }
        self._file.write(json.dumps(plain).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        self._file.close()


def cut(path: Path, size: int) -> None:
    """Cut an append-only file back to `size` bytes, what a checkpoint says it had; 0 if missing.

    Raises:
        DataError: the file is shorter than that.
    """
    held = path.stat().st_size if path.exists() else 0
    if held < size:
        raise DataError(f"{path} has {held} bytes, but had {size} at the checkpoint")
    if held > size:
        os.truncate(path, size)


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the steps of a metrics file; a torn last line is passed over.

    Raises:
        DataError: a whole line that is not a JSON object.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield dict(json.loads(line))
            except ValueError as error:
                raise DataError(f"{path}, line {number}: {error}") from error


class _TensorBoard:
    """Event files that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path, title: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """A run of Weights & Biases; its own environment variables say where."""

    def __init__(self, folder: Path, title: str) -> None:
        import wandb  # type: ignore[import-not-found,unused-ignore]

        self._run = wandb.init(dir=str(folder), name=title, resume="allow", id=_run_id(folder))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        self._run.finish()


def _run_id(folder: Path) -> str:
    """The same folder goes on in the same run."""
    import hashlib

    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]


_SINKS: Mapping[str, Callable[[Path, str], Sink]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
}
"""Name, which is also that of the package -> what opens it."""


def sink_names() -> tuple[str, ...]:
    """Names that `open_sink` knows."""
    return tuple(_SINKS)


def open_sink(name: str, folder: Path, title: str) -> Sink:
    """Open "tensorboard" or "wandb" for the run in `folder`.

    Raises:
        UnknownNameError: another name.
        ConfigError: the package is not installed.
    """
    if name not in _SINKS:
        raise UnknownNameError.near("place for metrics", name, _SINKS)
    if importlib.util.find_spec(name) is None:
        raise ConfigError(f"--log {name} needs a package of that name: pip install {name}")
    return _SINKS[name](folder, title)
