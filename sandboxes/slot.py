"""One slot: a runner that runs one program after another, and what it is known to hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cascade.errors import ConfigError, SandboxError
from cascade.sandboxes.inside.wire import Header, pack
from cascade.sandboxes.link import Link
from cascade.sandboxes.programs import Limits
from cascade.sandboxes.settings import MAX_PROCESSES, SandboxConfig
from cascade.sandboxes.verdicts import Isolation

__all__ = ["Raw", "Run", "Slot"]

_WINDOW_RUNS = 8
_WINDOW_BYTES = 1 << 20
_OPTIONS = ["executable", "collect", "store", "keep", "inet", "env", "cwd", "channels", "waits"]
"""Fields of a run that its frame leaves out where they are empty."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process to be run in a slot."""

    argv: tuple[str, ...]
    """Command; `@/` at the start of an argument stands for the slot's store of programs."""
    limits: Limits
    stdin: bytes = b""
    driver: int = 0
    """0: execute argv; else a driver of the Python zygote, and argv[0] is the source."""
    spec: bytes | None = None
    """What the driver reads on descriptor 3; its answer comes back as `Raw.result`."""
    files: tuple[tuple[str, bytes], ...] = ()
    """Files to write into the box first."""
    executable: bool = False
    """Those files are programs."""
    collect: tuple[str, ...] = ()
    """Files of the box to bring back."""
    collect_limit: int = 64 << 20
    store: str = ""
    """Keep the collected files in the slot's store under this name."""
    keep: bool = False
    """Leave files and processes in the box (sessions, and steps that follow one another)."""
    inet: bool = False
    """Leave loopback sockets usable."""
    env: tuple[str, ...] = ()
    cwd: str = ""
    channels: tuple[tuple[str, str] | None, ...] = ()
    """Live streams: None for the standard ones, else names of two pipes in the box."""
    served: bool = False
    """A live stream on descriptors 3 and 4, for the driver that answers calls."""
    waits: float = 0.0
    """Seconds beyond the wall limit for which it may wait for what others say (conversations)."""
    extra_processes: int = 0

    def frame(self, ident: int, hello: Mapping[str, Any], lent: int) -> tuple[Header, bytes]:
        """Encode for the runner; `lent` slots are in use."""
        header: Header = {
            "op": "run",
            "id": ident,
            "argv": self.argv,
            "driver": self.driver,
            "cpu": self.limits.cpu_seconds,
            "wall": self.limits.wall,
            "memory": self.limits.memory_bytes,
            "output": self.limits.output_bytes,
            "lent": lent,
            "rlimits": kernel_limits(self.limits, hello, self.extra_processes, self.driver),
        }
        for key in _OPTIONS:
            value = getattr(self, key)
            if value:
                header[key] = value
        if self.collect:
            header["collect_limit"] = self.collect_limit
        if self.served:
            header["served"] = True
        data = self.stdin
        if self.spec is not None:
            header["spec"] = True
            data = self.spec
        if self.files:
            header["files"] = [[name, len(body)] for name, body in self.files]
            data = b"".join([*(body for _, body in self.files), data])
        return header, data


def kernel_limits(
    limits: Limits, hello: Mapping[str, Any], extra_processes: int, driver: int
) -> list[int]:
    """The limits that the kernel keeps per process, cut to what the slot itself may have."""
    hard = hello["hard"]

    def clamp(value: int, name: str) -> int:
        most = hard[name]
        return value if most < 0 else min(value, most)

    # The zygote's address space leaves 128 MiB below its stack; a program's own start does not.
    stack = limits.memory_bytes if driver == 0 else min(limits.memory_bytes, 120 << 20)
    # A bound on data would stop a runtime that reserves far more than it uses, as those do that
    # need threads of their own: there the account of the processes has to do.
    counted = str(hello["meter"]).startswith("cgroup") or extra_processes > 0
    return [
        math.ceil(limits.cpu_seconds) + 1,
        clamp(stack, "RLIMIT_STACK"),
        clamp(max(limits.file_bytes, 1), "RLIMIT_FSIZE"),
        clamp(limits.open_files, "RLIMIT_NOFILE"),
        clamp(limits.processes + extra_processes, "RLIMIT_NPROC"),
        -1 if counted else limits.memory_bytes,
    ]


@dataclass(slots=True)
class Raw:
    """What the runner observed of one run."""

    status: int
    """Wait status of the main process."""
    cpu: float
    wall: float
    peak: int
    stdout: bytes
    stderr: bytes
    result: bytes
    written: tuple[int, int, int]
    """Bytes that came on standard output, standard error and the result's descriptor."""
    killed_by: str = ""
    oom_kills: int = 0
    swept: bool = False
    full: bool = False
    dirty: bool = False
    error: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    heard_end: bool = False
    """A live stream was closed from outside while the program still had it open."""

    @classmethod
    def read(cls, header: Header, body: bytes) -> Raw:
        """Decode a runner's answer."""
        parts, start = [], 0
        for size in header["sizes"]:
            parts.append(body[start : start + size])
            start += size
        written = header["written"]
        return cls(
            header["status"],
            header["cpu"],
            header["wall"],
            header["peak"],
            parts[0],
            parts[1],
            parts[2],
            (written[0], written[1], written[2]),
            header.get("by", ""),
            header.get("oom", 0),
            header.get("swept", False),
            header.get("full", False),
            header.get("dirty", False),
            header.get("error", 0),
            dict(zip(header.get("files", []), parts[3:], strict=True)),
            dict(header.get("missing", [])),
            header.get("heard", False),
        )


class RefusedError(SandboxError):
    """The runner could not carry out a command; the slot itself is well."""


class Slot:
    """The client's end of one runner. Used by one thread at a time."""

    def __init__(self, link: Link, config: SandboxConfig) -> None:
        self.link = link
        self.config = config
        self.stored: set[str] = set()
        self.runs = 0
        self.dirty = False
        self._next = 0
        header, _ = link.receive()
        if header["op"] != "hello":
            raise link.lost(f"an unexpected first frame {header['op']!r}")
        self.hello = header
        self.isolation: Isolation = Isolation("unknown")
        self.lent: Callable[[], int] = lambda: 1
        """How many slots of the pool are in use, this one included."""

    def check(self, limits: Limits) -> None:
        """Raise ConfigError for limits that this slot cannot give."""
        if limits.memory_bytes > self.config.memory_bytes:
            raise ConfigError(
                f"a memory limit of {limits.memory_bytes:,} bytes, in a sandbox opened with "
                f"memory_bytes={self.config.memory_bytes:,}: open it with more"
            )
        if limits.processes > MAX_PROCESSES:
            raise ConfigError(
                f"limit processes must be at most {MAX_PROCESSES}, got {limits.processes}"
            )

    @property
    def worn_out(self) -> bool:
        """Whether another slot should take this one's place."""
        return self.dirty or self.runs >= self.config.runs_per_slot

    def put(self, name: str, files: Iterable[tuple[str, bytes]], executable: bool) -> None:
        """Store a program, unless the slot has it."""
        if name in self.stored:
            return
        parts = list(files)
        header: Header = {
            "op": "put",
            "name": name,
            "files": [[path, len(body)] for path, body in parts],
            "executable": executable,
        }
        self.link.send(header, b"".join(body for _, body in parts))
        self.stored.add(name)

    def command(self, op: str, body: bytes = b"", **fields: Any) -> tuple[Header, bytes]:
        """Carry out one command that is not a run.

        Raises:
            RefusedError: the runner could not; the message says why.
            SlotLostError: the slot is lost.
        """
        self._next += 1
        self.link.send({"op": op, "id": self._next, **fields}, body)
        return self._answer()

    def run(self, run: Run, on_output: Callable[[int, bytes], None] | None = None) -> Raw:
        """Run one process and wait for its end."""
        self.send_run(run)
        header, body = self._answer(on_output)
        return self._raw(header, body)

    def send_run(self, run: Run) -> int:
        """Send one run without waiting for its end; return its number."""
        self._next += 1
        self.link.send(*run.frame(self._next, self.hello, self.lent()))
        return self._next

    def finish(self, header: Header, body: bytes) -> Raw | None:
        """Take a frame that came while runs are under way; None for news of the store."""
        if header["op"] == "gone":
            self.stored.difference_update(header["names"])
            return None
        if header["op"] == "error":
            raise RefusedError(f"the sandbox refused: {header['reason']}")
        return self._raw(header, body)

    def run_many(self, runs: Iterable[Run]) -> Generator[Raw, None, None]:
        """Run one after another, sending ahead; yields in order.

        Closing the iterator early drops what was sent ahead.
        """
        waiting: dict[int, int] = {}
        source = iter(runs)
        done = False
        try:
            while True:
                if not done and len(waiting) <= _WINDOW_RUNS // 2:
                    done = self._send_ahead(source, waiting)
                if not waiting:
                    return
                try:
                    header, body = self._answer()
                except RefusedError:
                    waiting.pop(next(iter(waiting)))  # answers come in order
                    raise
                waiting.pop(header["id"])
                yield self._raw(header, body)
        finally:
            if waiting:
                self._drop(waiting)

    def _send_ahead(self, source: Iterator[Run], waiting: dict[int, int]) -> bool:
        """Fill the window, in one piece; True if there are no more runs."""
        frames: list[bytes] = []
        sizes: dict[int, int] = {}
        done = False
        while len(waiting) + len(sizes) < _WINDOW_RUNS:
            if sum(waiting.values()) + sum(sizes.values()) > _WINDOW_BYTES:
                break
            run = next(source, None)
            if run is None:
                done = True
                break
            self._next += 1
            frames.append(pack(*run.frame(self._next, self.hello, self.lent())))
            sizes[self._next] = len(run.stdin) + len(run.spec or b"")
        if frames:
            self.link.send_raw(b"".join(frames))
            waiting.update(sizes)
        return done

    def _drop(self, waiting: dict[int, int]) -> None:
        self.link.send({"op": "cancel"})
        while waiting:
            header, _ = self.link.receive()
            if header["op"] in ("done", "dropped", "error"):
                waiting.pop(header["id"], None)
                self.dirty |= bool(header.get("dirty"))
            elif header["op"] == "gone":
                self.stored.difference_update(header["names"])

    def _answer(
        self, on_output: Callable[[int, bytes], None] | None = None
    ) -> tuple[Header, bytes]:
        while True:
            header, body = self.link.receive()
            op = header["op"]
            if op == "done":
                return header, body
            if op == "gone":
                self.stored.difference_update(header["names"])
            elif op == "error":
                raise RefusedError(f"the sandbox refused: {header['reason']}")
            elif op == "out" and on_output is not None:
                on_output(header["ch"], body)
            elif op != "out":
                raise self.link.lost(f"an unexpected frame {op!r}")

    def _raw(self, header: Header, body: bytes) -> Raw:
        self.runs += 1
        raw = Raw.read(header, body)
        self.dirty |= raw.dirty
        return raw

    def close(self) -> None:
        """End the runner and remove its place."""
        self.link.close()
