"""From what was observed of a run to its status. Only evidence of our own makes a FAULT."""

from __future__ import annotations

import os
import signal

from cascade.sandboxes.programs import Limits
from cascade.sandboxes.slot import Raw
from cascade.sandboxes.verdicts import Outcome, Status

__all__ = ["classify", "classify_compilation", "outcome_of"]

_OUT_OF_MEMORY = (
    *(b"MemoryError", b"std::bad_alloc", b"java.lang.OutOfMemoryError"),
    *(b"heap out of memory", b"Array buffer allocation failed"),  # node
    *(b"runtime: out of memory", b"fatal error: out of memory"),  # go
    *(b"memory allocation of ",),  # rust
)
_TAIL = 16384
"""Runtimes print a stack below their message."""
_OUT_OF_DISK = (b"[Errno 28]", b"[Errno 27]", b"No space left on device", b"File too large")


def classify(raw: Raw, limits: Limits) -> tuple[Status, str]:
    """Return how a run ended, and why in words; ACCEPTED for a run that ended well."""
    ended_by = os.WTERMSIG(raw.status) if os.WIFSIGNALED(raw.status) else None
    failed = raw.status != 0 or bool(raw.killed_by)
    tail = raw.stderr[-_TAIL:] if failed else b""
    if ended_by == signal.SIGSYS:
        return Status.SECURITY_VIOLATION, "a forbidden system call"
    if raw.oom_kills or raw.killed_by == "memory" or raw.peak > limits.memory_bytes:
        return Status.MEMORY_LIMIT, f"more than {limits.memory_bytes >> 20} MiB of memory"
    if failed and not raw.killed_by and any(word in tail for word in _OUT_OF_MEMORY):
        return Status.MEMORY_LIMIT, "an allocation was refused"
    if raw.killed_by == "cpu" or ended_by == signal.SIGXCPU:
        return Status.TIME_LIMIT, f"more than {limits.cpu_seconds:g} s of CPU time"
    if raw.killed_by in ("wall", "idle"):
        return Status.WALL_LIMIT, f"not ended after {limits.wall:g} s"
    if raw.killed_by == "output":
        return Status.OUTPUT_LIMIT, f"more than {limits.output_bytes:,} bytes of output"
    if not failed and not raw.error:
        return Status.ACCEPTED, ""
    if ended_by == signal.SIGXFSZ or raw.full or any(word in tail for word in _OUT_OF_DISK):
        return Status.FILE_LIMIT, "no space left for its files"
    if raw.error:
        return Status.RUNTIME_ERROR, f"cannot be started: {os.strerror(raw.error)}"
    return Status.RUNTIME_ERROR, ""


def outcome_of(raw: Raw, status: Status, reason: str = "", score: float | None = None) -> Outcome:
    """Build the outcome of a run with the given status."""
    exited = os.WIFEXITED(raw.status)
    return Outcome(
        status,
        raw.stdout,
        raw.stderr,
        os.WEXITSTATUS(raw.status) if exited else None,
        None if exited else os.WTERMSIG(raw.status),
        raw.cpu,
        raw.wall,
        raw.peak,
        raw.written[0],
        raw.written[1],
        raw.oom_kills,
        raw.swept,
        score if score is not None else float(status is Status.ACCEPTED),
        reason=reason,
        files=raw.files,
    )


_COMPILER = {
    Status.TIME_LIMIT: Status.COMPILE_TIME_LIMIT,
    Status.WALL_LIMIT: Status.COMPILE_TIME_LIMIT,
    Status.MEMORY_LIMIT: Status.COMPILE_MEMORY_LIMIT,
    Status.FILE_LIMIT: Status.COMPILE_MEMORY_LIMIT,  # its files lie in memory
}


def classify_compilation(raw: Raw, limits: Limits, artefact: str) -> Outcome:
    """Return the outcome of a compiler's run; ACCEPTED if it made what it was to make."""
    status, reason = classify(raw, limits)
    if status is Status.ACCEPTED and artefact not in raw.files:
        problem = raw.missing.get(artefact, "missing")
        return outcome_of(raw, Status.COMPILE_ERROR, f"the compiler left no program: {problem}")
    if status is not Status.ACCEPTED:
        status = _COMPILER.get(status, Status.COMPILE_ERROR)
    return outcome_of(raw, status, reason)
