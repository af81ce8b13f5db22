"""What goes into a sandbox: programs, test cases, calls and limits. Plain frozen data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cascade.errors import ConfigError

__all__ = ["COMPILE_LIMITS", "Call", "Case", "Limits", "Program"]

MAX_SOURCE_BYTES = 16 << 20
MAX_STDIN_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. Anything above a limit ends the run with the status of that limit.

    Raises:
        ConfigError: a limit is not positive or contradicts another one.
    """

    cpu_seconds: float = 2.0
    """CPU time of the whole process tree, from the kernel's account of the slot."""
    wall_seconds: float | None = None
    """Elapsed time, less what the processes spent waiting for a busy CPU, or for the others in a
    conversation.

    None: the larger of 3 × `cpu_seconds` and `cpu_seconds` + 2.
    """
    memory_bytes: int = 256 << 20
    """Memory of the whole process tree, its files in the sandbox included."""
    output_bytes: int = 1 << 20
    """Standard output, standard error and live streams together."""
    processes: int = 32
    """Processes and threads at once."""
    file_bytes: int = 64 << 20
    """Size of one written file; the writable folder as a whole is bounded by the sandbox."""
    open_files: int = 64
    """File descriptors of one process."""

    def __post_init__(self) -> None:
        """Refuse limits that no run can keep."""
        for name in ("cpu_seconds", "memory_bytes", "output_bytes", "processes", "open_files"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"limit {name} must be positive, got {value!r}")
        if self.file_bytes < 0:
            raise ConfigError(f"limit file_bytes must be 0 or more, got {self.file_bytes!r}")
        if self.open_files < 4:
            raise ConfigError(f"limit open_files must be 4 or more, got {self.open_files!r}")
        if self.memory_bytes < 1 << 20:
            raise ConfigError(
                f"limit memory_bytes must be at least 1 MiB, got {self.memory_bytes!r} bytes"
            )
        wall = self.wall_seconds
        if wall is not None and not (math.isfinite(wall) and wall > 0):
            raise ConfigError(f"limit wall_seconds must be positive, got {wall!r}")

    @property
    def wall(self) -> float:
        """The wall limit in force, in seconds."""
        if self.wall_seconds is not None:
            return self.wall_seconds
        return max(3 * self.cpu_seconds, self.cpu_seconds + 2)


COMPILE_LIMITS = Limits(
    cpu_seconds=20,
    wall_seconds=60,
    memory_bytes=768 << 20,
    output_bytes=64 << 10,
    processes=128,
    file_bytes=256 << 20,
    open_files=512,
)
"""Limits of a compiler run; a compiler is untrusted as soon as its input is."""


@dataclass(frozen=True, slots=True)
class Program:
    """Source code in one language, possibly with more files beside it.

    Raises:
        ConfigError: the source is larger than 16 MiB, or a file name leaves the folder.
    """

    language: str
    """A name that `Sandbox.languages` lists: "python", "cpp17", "cpp20", "c", "rust", …"""
    source: str | bytes
    """The main file. A `str` is encoded as UTF-8; with lone surrogates no compiler takes it."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """More files of the program (headers, modules, stubs): relative path -> content."""
    flags: tuple[str, ...] = ()
    """Extra arguments of the compiler."""
    args: tuple[str, ...] = ()
    """Arguments of the program itself, in every run."""

    def __post_init__(self) -> None:
        """Refuse what no sandbox would take in."""
        check_relative(self.files)
        size = len(self.source) + sum(len(body) for body in self.files.values())
        if size > MAX_SOURCE_BYTES:
            raise ConfigError(f"a program of {size:,} bytes; at most {MAX_SOURCE_BYTES:,} are run")


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a program that reads standard input and writes standard output."""

    stdin: str | bytes = ""
    expected: str | bytes | None = None
    """What the comparison compares with, outside the sandbox; None: only run the program."""
    args: tuple[str, ...] = ()
    """Arguments of this run, after the program's own."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Files that stand in the working folder when the program starts."""
    name: str = ""
    """For reports."""

    def __post_init__(self) -> None:
        """Refuse inputs that are too large and file names that leave the folder."""
        check_relative(self.files)
        size = len(self.stdin) + sum(len(body) for body in self.files.values())
        if size > MAX_STDIN_BYTES:
            raise ConfigError(f"a test of {size:,} bytes; at most {MAX_STDIN_BYTES:,} are taken")


@dataclass(frozen=True, slots=True)
class Call:
    """One test of a function: plain data in, plain data out.

    Plain data: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    """Compared outside the sandbox with the value that the function returned."""
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse arguments that are none, such as an expected value in the place of `kwargs`."""
        if not isinstance(self.args, tuple | list):
            raise ConfigError(f"args of a Call must be a tuple, got {self.args!r:.80}")
        if not isinstance(self.kwargs, Mapping):
            raise ConfigError(
                "kwargs of a Call must be a mapping of names to values, got "
                f"{self.kwargs!r:.80}; the value that is wanted is given as expected=…"
            )


def check_relative(files: Mapping[str, str | bytes]) -> None:
    """Raise ConfigError for a file name that is absolute, empty, or leaves its folder."""
    for name in files:
        parts = name.split("/")
        if not name or name.startswith("/") or "\0" in name or {"", ".", ".."} & set(parts):
            raise ConfigError(f"file name {name!r} must be relative and stay in its folder")


def as_bytes(text: str | bytes) -> bytes:
    """Encode as UTF-8; lone surrogates keep their three-byte form, which no decoder takes."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
