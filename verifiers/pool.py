"""Persistent worker processes that are killed at their deadline. Any thread may call.

No signals, no multiprocessing: workers are plain subprocesses that speak length-prefixed frames
over pipes, so a caller needs no `if __name__ == "__main__"` guard and may itself be a thread, a
daemon, a fork or a notebook. The pool knows nothing of what the frames mean.
"""

from __future__ import annotations

import atexit
import os
import select
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from cascade.errors import CascadeError

__all__ = ["WorkerFailedError", "WorkerPool"]

START_SECONDS = 60.0
"""A worker that is not ready by then never will be."""


class WorkerFailedError(CascadeError, RuntimeError):
    """A worker was killed at its deadline, died, or could not start; nothing was computed."""


class _Gone(Exception):
    """The worker's pipe is closed."""


@dataclass(eq=False, slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    _buffer: bytearray = field(default_factory=bytearray)

    def receive(self, deadline: float) -> bytes | None:
        """Return the next frame, None if the deadline came first.

        Raises:
            _Gone: the worker ended.
        """
        stream = self.process.stdout
        assert stream is not None
        poll = select.poll()
        poll.register(stream, select.POLLIN | select.POLLHUP)
        while (frame := self._frame()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if poll.poll(left * 1000):
                try:
                    chunk = os.read(stream.fileno(), 1 << 16)
                except (OSError, ValueError) as error:  # another thread closed the pool
                    raise _Gone from error
                if not chunk:
                    raise _Gone
                self._buffer += chunk
        return frame

    def _frame(self) -> bytes | None:
        if len(self._buffer) < 4:
            return None
        end = 4 + struct.unpack_from(">I", self._buffer)[0]
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[4:end])
        del self._buffer[:end]
        return frame

    def send(self, frame: bytes) -> None:
        """Hand over a request.

        Raises:
            _Gone: the worker had ended before.
        """
        stream = self.process.stdin
        assert stream is not None
        rest = memoryview(struct.pack(">I", len(frame)) + frame)
        try:
            while rest:
                rest = rest[os.write(stream.fileno(), rest) :]
        except (BrokenPipeError, ValueError) as error:
            raise _Gone from error

    def end(self) -> None:
        """Kill the process and free its pipes."""
        self.process.kill()
        self.close_pipes()
        self.process.wait()

    def close_pipes(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class WorkerPool:
    """Up to `size` processes of `module`, started when first needed and reused."""

    def __init__(self, module: str, size: int | None = None) -> None:
        self.module = module
        self.size = size or os.cpu_count() or 1
        self._open()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget)

    def _open(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._starting = 0
        self._closed = False

    def grow(self, size: int) -> None:
        """Allow at least `size` processes."""
        with self._changed:
            self.size = max(self.size, size)
            self._changed.notify_all()

    def call(self, frame: bytes, timeout_seconds: float) -> bytes:
        """Send one request and return the reply.

        The deadline starts when a ready worker is handed the request: waiting for a free worker and
        starting one are not charged to it.

        Raises:
            WorkerFailedError: the deadline came (the worker is then killed and replaced), the
                worker died over the request, or no worker could be started.
        """
        while True:
            worker = self._take()
            reply = None
            begun = False
            try:
                worker.send(frame)
                begun = True
                reply = worker.receive(time.monotonic() + timeout_seconds)
            except _Gone:
                if not begun or worker.process.wait() == 0:
                    continue  # it had ended or retired before this request
                code = worker.process.returncode
                raise WorkerFailedError(f"the worker died over it (exit code {code})") from None
            finally:
                self._give_back(worker, alive=reply is not None)
            if reply is None:
                raise WorkerFailedError(f"no verdict within {timeout_seconds:g} s")
            return reply

    def warm(self, count: int = 1) -> None:
        """Start workers now, so that the first call does not wait for one."""
        workers = [self._take() for _ in range(min(count, self.size))]
        for worker in workers:
            self._give_back(worker, alive=True)

    def close(self) -> None:
        """Kill all workers. A later call starts new ones."""
        with self._changed:
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            worker.end()

    def _take(self) -> _Worker:
        with self._changed:
            while not self._idle and len(self._busy) + self._starting >= self.size:
                self._changed.wait()
            if self._idle:
                worker = self._idle.pop()
                self._busy.add(worker)
                return worker
            self._starting += 1
        try:
            worker = self._start()
        except BaseException:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
            raise
        with self._changed:
            self._starting -= 1
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: _Worker, *, alive: bool) -> None:
        if not alive:
            worker.end()
        with self._changed:
            self._busy.discard(worker)
            if alive:
                self._idle.append(worker)
            self._changed.notify()

    def _start(self) -> _Worker:
        environment = os.environ | {
            # The worker finds the package and its libraries wherever the caller found them.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,  # nothing buffered that a fork could send twice
                env=environment,
            )
        except OSError as error:
            raise WorkerFailedError(f"no worker process could be started: {error}") from error
        worker = _Worker(process)
        try:
            ready = worker.receive(time.monotonic() + START_SECONDS)
        except _Gone:
            ready = None
        except BaseException:
            worker.end()
            raise
        if ready is None:
            code = process.poll()
            worker.end()
            raise WorkerFailedError(
                f"the worker `{sys.executable} -m {self.module}` did not start (exit code {code})"
            )
        return worker

    def _forget(self) -> None:
        """In a forked child: the workers belong to the parent, only the pipes are closed."""
        inherited = [*self._idle, *self._busy]
        self._open()
        for worker in inherited:
            worker.process.returncode = 0  # not this process's child: nothing to wait for
            worker.close_pipes()
