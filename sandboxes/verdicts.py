"""What comes out of a sandbox: a status per run, and one report per program.

The order of `Status` is the order of precedence: where two would fit a run, the earlier one is
given. Only FAULT and BAD_TASK say nothing about the program.
"""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Isolation", "Outcome", "Report", "Status", "worst"]


class Status(StrEnum):
    """What became of one run, or of a program over all its runs."""

    BAD_TASK = "bad_task"
    """The task cannot be judged: no tests, a checker that crashed, tests that pass anything."""
    FAULT = "fault"
    """The sandbox failed, also on fresh slots. Never a statement about the program: mask it."""
    TAMPERED = "tampered"
    """The program attacked its judge: a forged answer, a passed negative control."""
    COMPILE_ERROR = "compile_error"
    COMPILE_TIME_LIMIT = "compile_time_limit"
    COMPILE_MEMORY_LIMIT = "compile_memory_limit"
    SECURITY_VIOLATION = "security_violation"
    """The kernel killed the program for a system call that no honest program makes."""
    MEMORY_LIMIT = "memory_limit"
    TIME_LIMIT = "time_limit"
    """The CPU time was used up."""
    WALL_LIMIT = "wall_limit"
    """The program waited or slept until the wall limit, with CPU time left."""
    OUTPUT_LIMIT = "output_limit"
    FILE_LIMIT = "file_limit"
    """The program failed for want of disk space, of inodes, or by a too large file."""
    RUNTIME_ERROR = "runtime_error"
    """A non-zero exit, a signal, or an end before the task was done."""
    PRESENTATION_ERROR = "presentation_error"
    """Right but for white space, where the task asks for exact output."""
    WRONG_ANSWER = "wrong_answer"
    PARTIAL = "partial"
    """A checker gave part of the score."""
    SKIPPED = "skipped"
    """Not run, since an earlier test had decided the verdict."""
    ACCEPTED = "accepted"

    @property
    def is_fault(self) -> bool:
        """Whether this status says nothing about the program."""
        return self in (Status.FAULT, Status.BAD_TASK)


@dataclass(frozen=True, slots=True)
class Isolation:
    """What stood between the program and the machine."""

    level: str
    """"container", "container+gvisor", "namespaces", "landlock" or "weak", strongest first."""
    features: tuple[str, ...] = ()
    """What was in force: "pid", "net", "mount", "user", "cgroup", "seccomp", "landlock", …"""

    def __str__(self) -> str:
        return f"{self.level} ({', '.join(self.features)})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of a program."""

    status: Status
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None
    """None where a signal ended the program, or it never ran."""
    signal: int | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_bytes: int = 0
    """Largest resident memory of one process."""
    stdout_bytes: int = 0
    """Bytes written, kept or not."""
    stderr_bytes: int = 0
    oom_kills: int = 0
    swept: bool = False
    """Processes of the program outlived it and were killed."""
    score: float = 0.0
    """1 for ACCEPTED, a checker's fraction for PARTIAL, else 0."""
    value: Any = None
    """What the function returned, in function tasks."""
    reason: str = ""
    """One line for a person."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files that were asked for and that the program left behind."""

    @property
    def truncated(self) -> bool:
        """Whether output was dropped; such a run is never ACCEPTED."""
        return self.stdout_bytes > len(self.stdout) or self.stderr_bytes > len(self.stderr)

    @property
    def accepted(self) -> bool:
        """Whether the run passed."""
        return self.status is Status.ACCEPTED

    def describe(self) -> str:
        """Say in one line how the run ended."""
        if self.reason:
            return self.reason
        if self.signal is not None:
            try:
                return f"killed by {signals.Signals(self.signal).name}"
            except ValueError:
                return f"killed by signal {self.signal}"
        if self.exit_code:
            return f"exit code {self.exit_code}"
        return self.status.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Report:
    """A program judged on all its tests."""

    status: Status
    """ACCEPTED if every test was; else the status of the first test that failed."""
    outcomes: tuple[Outcome, ...] = ()
    """One for each test, in order."""
    compilation: Outcome | None = None
    """The compiler's run; None for languages that have none, and where it came from the cache."""
    isolation: Isolation = field(default_factory=lambda: Isolation("none"))
    versions: Mapping[str, str] = field(default_factory=dict)
    """Language and image versions that this verdict rests on."""
    retries: int = 0
    """Runs that were repeated on a fresh slot after an infrastructure fault."""
    reason: str = ""

    @property
    def accepted(self) -> bool:
        """Whether all tests passed; False for no tests."""
        return self.status is Status.ACCEPTED

    @property
    def passed(self) -> int:
        """Number of accepted tests."""
        return sum(outcome.accepted for outcome in self.outcomes)

    @property
    def fraction(self) -> float:
        """Mean score over the tests, in [0, 1]; 0 where there were none."""
        if not self.outcomes or self.status.is_fault or self.status is Status.TAMPERED:
            return 0.0
        return sum(outcome.score for outcome in self.outcomes) / len(self.outcomes)


_GRAVE = (Status.BAD_TASK, Status.FAULT, Status.TAMPERED)


def worst(outcomes: Sequence[Outcome]) -> Status:
    """Return the program's status: a fault or attack anywhere, else its first failure.

    No outcomes give BAD_TASK: an empty list of tests proves nothing.
    """
    if not outcomes:
        return Status.BAD_TASK
    for grave in _GRAVE:
        if any(outcome.status is grave for outcome in outcomes):
            return grave
    for outcome in outcomes:
        if outcome.status not in (Status.ACCEPTED, Status.SKIPPED):
            return outcome.status
    if all(outcome.status is Status.SKIPPED for outcome in outcomes):
        return Status.BAD_TASK
    return Status.ACCEPTED
