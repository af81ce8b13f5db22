"""A Python interpreter that keeps its variables from call to call, for agents.

Whatever the code prints, the value of its last expression and its traceback are the output. A
call that runs out of time is interrupted first, which keeps the variables; only code that catches
the interrupt loses them.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import sys
import time
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cascade.sandboxes.inside.confine import Rlimits
from cascade.sandboxes.inside.fork import Helper, Request

if TYPE_CHECKING:  # the runner imports this module, and supervision is only named here
    from cascade.sandboxes.inside.supervise import Slot

__all__ = ["Interpreter", "converse"]

KIND = 5
_SIZE = struct.Struct("<I")
_GRACE_SECONDS = 1.0
_FLOOD = 64


def converse(main: types.ModuleType, argv: list[str]) -> None:
    """In the child: run pieces of code as they come, and answer each with one byte."""
    namespace = main.__dict__
    while True:
        head = _exactly(3, _SIZE.size)
        code = _exactly(3, _SIZE.unpack(head)[0]).decode("utf-8", "surrogateescape")
        verdict = b"k"
        try:
            _run_cell(code, namespace)
        except SystemExit as error:
            print(f"SystemExit: {error.code}", file=sys.stderr)
            verdict = b"e"
        except BaseException as error:  # noqa: BLE001 - the traceback is the output
            _print_trace(error)
            verdict = b"e"
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os.write(4, verdict)


def _exactly(fd: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            more = os.read(fd, count - len(data))
        except KeyboardInterrupt:  # came after the code had ended
            continue
        if not more:
            os._exit(0)
        data += more
    return data


def _run_cell(code: str, namespace: dict[str, Any]) -> None:
    import ast  # not at the top: the zygote would carry it into every program

    tree = ast.parse(code, "<cell>")
    last: ast.Expression | None = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    exec(compile(tree, "<cell>", "exec", dont_inherit=True), namespace)
    if last is not None:
        value = eval(compile(last, "<cell>", "eval", dont_inherit=True), namespace)
        if value is not None:
            print(repr(value))


def _print_trace(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith("<cascade"):
        trace = trace.tb_next
    import traceback  # likewise

    lines = traceback.format_exception(type(error), error, trace)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.write("".join(lines))


class _Cell:
    """One piece of code under way."""

    def __init__(self, message: bytes, limit: int, start: float) -> None:
        self.message, self.limit, self.start = message, limit, start
        self.kept: list[bytes] = []
        self.total = 0
        self.state = ""

    def send(self, fd: int) -> None:
        """Write what the interpreter has not read yet."""
        with contextlib.suppress(BlockingIOError):
            try:
                while self.message:
                    self.message = self.message[os.write(fd, self.message) :]
            except BrokenPipeError:
                self.message = b""

    def take_output(self, data: bytes) -> None:
        """Keep the beginning of what was printed; an endless flood ends the interpreter."""
        if not data:
            self.state = self.state or "died"
        if self.total < self.limit:
            self.kept.append(data[: self.limit - self.total])
        self.total += len(data)
        if self.total > _FLOOD * self.limit:
            self.state = "output"

    def take_answer(self, data: bytes) -> None:
        """Note how the code ended."""
        self.state = {b"k": "ok", b"e": "error"}.get(data[-1:], "died")


class Interpreter:
    """The runner's end of a persistent interpreter."""

    def __init__(self, slot: Slot, zygote: Helper, rlimits: list[int]) -> None:
        self.slot = slot
        with slot.box.as_owner():
            code_r, self.code = os.pipe2(os.O_CLOEXEC)
            self.output, out_w = os.pipe2(os.O_CLOEXEC)
            self.answer, answer_w = os.pipe2(os.O_CLOEXEC)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        request = Request(KIND, ["session"], [], slot.box.path, Rlimits(*rlimits), True, True)
        fds = [null, out_w, out_w, code_r, answer_w]
        zygote.start(request.pack(), fds)
        for fd in {*fds}:
            os.close(fd)
        self.pid = zygote.end().user_us
        self.zygote = zygote
        self.alive = True

    def execute(
        self,
        code: bytes,
        header: dict[str, Any],
        client: int,
        poll_client: Callable[[], bool],
        beat: Callable[[], None],
    ) -> tuple[dict[str, Any], bytes]:
        """Run one piece of code; return how it ended and what it printed."""
        os.set_blocking(self.code, False)
        os.set_blocking(self.output, True)
        cell = _Cell(_SIZE.pack(len(code)) + code, header["output"], time.monotonic())
        poll = select.poll()
        for fd in (self.output, self.answer, client):
            poll.register(fd, select.POLLIN)
        deadline = cell.start + header["wall"]
        interrupted = False
        while not cell.state:
            beat()
            cell.send(self.code)
            for fd, _ in poll.poll(20):
                if fd == client:
                    if not poll_client():
                        self.slot.kill_strangers()
                        os._exit(0)
                elif fd == self.answer:
                    cell.take_answer(os.read(fd, 16))
                else:
                    cell.take_output(os.read(fd, 1 << 16))
            used = self.slot.meter.working_set() - self.slot.base_bytes
            if not cell.state and used > header["memory"]:
                cell.state = "memory"
            if not cell.state and time.monotonic() > deadline:
                if interrupted:
                    cell.state = "timeout"
                else:
                    interrupted, deadline = True, deadline + _GRACE_SECONDS
                    self.interrupt()
        if cell.state in ("ok", "error"):
            self._rest(cell)
            if interrupted:
                cell.state = "interrupted"
        else:
            self.close()
        wall = time.monotonic() - cell.start
        return {"state": cell.state, "written": cell.total, "wall": wall}, b"".join(cell.kept)

    def _rest(self, cell: _Cell) -> None:
        """Take what was printed before the answer."""
        os.set_blocking(self.output, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.output, 1 << 16):
                cell.take_output(data)
                if cell.state == "output":
                    return

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the interpreter."""
        with contextlib.suppress(ProcessLookupError, PermissionError), self.slot.box.as_owner():
            os.kill(self.pid, signal.SIGINT)

    def close(self) -> None:
        """Kill it."""
        if self.alive:
            self.alive = False
            with contextlib.suppress(ProcessLookupError, PermissionError), self.slot.box.as_owner():
                os.kill(self.pid, signal.SIGKILL)
            self.zygote.wait(self.pid)
            for fd in (self.code, self.output, self.answer):
                os.close(fd)
