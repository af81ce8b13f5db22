"""A slot that one agent keeps: commands, files, a persistent interpreter, snapshots."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cascade.errors import SandboxError
from cascade.sandboxes.classify import classify, outcome_of
from cascade.sandboxes.pool import Pool
from cascade.sandboxes.programs import Limits, as_bytes, check_relative
from cascade.sandboxes.settings import ENVIRONMENT
from cascade.sandboxes.slot import RefusedError, Run, Slot, kernel_limits
from cascade.sandboxes.verdicts import Isolation, Outcome

__all__ = ["SESSION_LIMITS", "Execution", "Session", "open_session"]

SESSION_LIMITS = Limits(
    cpu_seconds=120,
    wall_seconds=120,
    memory_bytes=768 << 20,
    output_bytes=256 << 10,
    processes=256,
    file_bytes=256 << 20,
    open_files=512,
)
"""Limits of one command or one piece of code in a session."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What a piece of code in the persistent interpreter gave."""

    state: str
    """"ok", "error" (an exception), "interrupted" (out of time, variables kept), or, with the
    interpreter lost: "timeout", "memory", "output", "died"."""
    output: str
    """All that was printed, the last expression's value, and the traceback."""
    wall_seconds: float
    truncated: bool = False

    @property
    def variables_kept(self) -> bool:
        """Whether the next call sees what this one defined."""
        return self.state in ("ok", "error", "interrupted")


class Session:
    """Commands run one at a time; files and background processes stay until `reset`.

    Paths are relative to the working folder, `/tmp` inside. Use `Sandbox.session()`.
    """

    def __init__(self, slot: Slot, limits: Limits) -> None:
        slot.check(limits)
        self._slot = slot
        self.limits = limits

    @property
    def isolation(self) -> Isolation:
        """What stands between the session and the machine."""
        return self._slot.isolation

    def exec(
        self,
        argv: Sequence[str] | str,
        *,
        stdin: str | bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "",
        limits: Limits | None = None,
    ) -> Outcome:
        """Run a command and wait for its end; its background processes live on.

        Args:
            argv: the command, or a line for `sh -c`.
            stdin: its input.
            env: variables on top of the session's own.
            cwd: folder to run in, below the working folder.
            limits: of this command; None: the session's.

        Raises:
            SandboxError: the slot was lost, or has no such command or folder.
        """
        limits = limits or self.limits
        self._slot.check(limits)
        command = ("sh", "-c", argv) if isinstance(argv, str) else tuple(argv)
        variables = {**ENVIRONMENT, **(env or {})}
        run = Run(
            command,
            limits,
            stdin=as_bytes(stdin),
            keep=True,
            inet=True,
            env=tuple(f"{name}={value}" for name, value in variables.items()),
            cwd=self._path(cwd) if cwd else "",
        )
        raw = self._slot.run(run)
        status, reason = classify(raw, limits)
        return outcome_of(raw, status, reason)

    @staticmethod
    def _path(name: str) -> str:
        check_relative({name: ""})
        return f"/tmp/{name}"

    def write(self, name: str, data: str | bytes, *, executable: bool = False) -> None:
        """Write a file, with the folders above it.

        Raises:
            ConfigError: the name leaves the working folder.
            SandboxError: it cannot be written.
        """
        check_relative({name: ""})
        self._slot.command("write", as_bytes(data), name=name, mode=0o755 if executable else 0o644)

    def read(self, name: str, limit: int = 64 << 20) -> bytes:
        """Return the content of a regular file; links are not followed.

        Raises:
            ConfigError: the name leaves the working folder.
            SandboxError: there is no such regular file, or it is longer than `limit` bytes.
        """
        check_relative({name: ""})
        return self._slot.command("read", name=name, limit=limit)[1]

    def python(
        self, code: str, *, seconds: float | None = None, output_bytes: int = 32 << 10
    ) -> Execution:
        """Run code in this session's interpreter, which keeps its variables from call to call.

        Args:
            code: Python; the value of its last expression is printed.
            seconds: wall time after which it is interrupted; None: the session's limit.
            output_bytes: how much of the output is kept.
        """
        header, body = self._slot.command(
            "interpret",
            code.encode("utf-8", "surrogatepass"),
            wall=seconds if seconds is not None else self.limits.wall,
            memory=self.limits.memory_bytes,
            output=output_bytes,
            rlimits=self._interpreter_limits(),
        )
        text = body.decode("utf-8", "replace")
        return Execution(header["state"], text, header["wall"], header["written"] > len(body))

    def _interpreter_limits(self) -> list[int]:
        limits = kernel_limits(self.limits, self._slot.hello, 0, 1)
        # A day: the interpreter lives through many calls, each of which has its own clock.
        limits[0] = 86_400
        return limits

    def snapshot(self) -> bytes:
        """Return the working folder as a tar archive, links included, special files left out."""
        return self._slot.command("snapshot")[1]

    def reset(self, snapshot: bytes | None = None) -> None:
        """Kill every process, empty the working folder, and fill it from a snapshot if given."""
        header, _ = self._slot.command("reset", snapshot or b"")
        if header.get("dirty"):
            self._slot.dirty = True
            raise SandboxError("the session's folder could not be emptied; open another session")


@contextlib.contextmanager
def open_session(pool: Pool, limits: Limits) -> Iterator[Session]:
    """Lend a slot of the pool to an agent, and clean it when it comes back."""
    with pool.slot() as slot:
        session = Session(slot, limits)
        yield session
        _clean(slot, session)


def _clean(slot: Slot, session: Session) -> None:
    """Empty the slot; one that cannot be emptied is thrown away by its pool."""
    try:
        session.reset()
    except RefusedError:
        slot.dirty = True
