"""One connection to a runner: frames out, frames in, never a deadlock and never a silent wait."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import deque
from typing import Protocol

from cascade.errors import SandboxError
from cascade.sandboxes.inside.wire import Header, Inbox, pack

__all__ = ["Demultiplexer", "Link", "Place", "SlotLostError"]

_READ = 1 << 16
"""Below what the C library takes from the kernel, and gives back, for each piece."""


class SlotLostError(SandboxError):
    """The runner is gone, stuck, or speaks nonsense: the slot is thrown away, the run repeated."""


class Place(Protocol):
    """Where a runner lives: a container, or a set of namespaces."""

    def destroy(self) -> None:
        """Remove it and all that runs in it. Calling it twice is harmless."""
        ...

    def diagnose(self) -> str:
        """Say in one line what is known about its end."""
        ...


class Demultiplexer:
    """Takes Docker's stream of (stream, length, bytes) apart; keeps the end of standard error."""

    def __init__(self) -> None:
        self._buffer = b""
        self.stderr = b""

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to standard output."""
        buffer = self._buffer + data
        start, parts = 0, []
        while len(buffer) - start >= 8:
            stream, size = struct.unpack_from(">B3xI", buffer, start)
            if len(buffer) - start - 8 < size:
                break
            body = buffer[start + 8 : start + 8 + size]
            if stream == 2:
                self.stderr = (self.stderr + body)[-4096:]
            else:
                parts.append(body)
            start += 8 + size
        self._buffer = buffer[start:]
        return b"".join(parts)


class Link:
    """Frames over a socket.

    Args:
        sock: connected to the runner; the link owns it.
        place: what to remove when the link is lost.
        demultiplex: takes Docker's stream apart, None where the socket is the runner's own.
        silence_seconds: a runner that is busy sends a beat every two seconds; one that says
            nothing for this long is lost.
    """

    def __init__(
        self,
        sock: socket.socket,
        place: Place,
        demultiplex: Demultiplexer | None,
        silence_seconds: float,
    ) -> None:
        self._sock = sock
        self.place = place
        self._demultiplex = demultiplex
        self._silence = silence_seconds
        self._inbox = Inbox()
        self._frames: deque[tuple[Header, bytes]] = deque()
        self._poll = select.poll()
        sock.setblocking(False)
        self._poll.register(sock, select.POLLIN)

    def fileno(self) -> int:
        """The socket's descriptor, for waiting on several links."""
        return self._sock.fileno()

    def send(self, header: Header, body: bytes = b"") -> None:
        """Send one frame, taking in what comes meanwhile."""
        self.send_raw(pack(header, body))

    def send_raw(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            SlotLostError: the runner does not take them.
        """
        view = memoryview(data)
        deadline = time.monotonic() + self._silence
        while view:
            try:
                sent = self._sock.send(view)
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLOUT, deadline - time.monotonic())
                self._take()
                continue
            except OSError as error:
                raise self.lost(f"cannot send: {error.strerror}") from None
            view = view[sent:]
            deadline = time.monotonic() + self._silence

    def _wait(self, events: int, seconds: float) -> bool:
        self._poll.modify(self._sock, events)
        if seconds <= 0:
            raise self.lost(f"silent for {self._silence:g} s")
        return bool(self._poll.poll(seconds * 1000))

    def _take(self) -> bool:
        """Take in what has come; False if nothing had."""
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self.lost(f"cannot receive: {error.strerror}") from None
        if not data:
            raise self.lost("the runner has ended")
        if self._demultiplex is not None:
            data = self._demultiplex.feed(data)
        if data:
            try:
                self._frames.extend(self._inbox.feed(data))
            except ValueError as error:
                raise self.lost(f"not a frame: {error}") from None
        return True

    def receive(self) -> tuple[Header, bytes]:
        """Return the next frame that is not a beat.

        Raises:
            SlotLostError: the runner ended or fell silent.
        """
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame[0]["op"] == "lost":
                    raise self.lost(frame[0]["reason"])
                if frame[0]["op"] != "beat":
                    return frame
            deadline = time.monotonic() + self._silence
            while not self._take():
                self._wait(select.POLLIN, deadline - time.monotonic())

    def receive_ready(self) -> list[tuple[Header, bytes]]:
        """Return the frames that have come, without waiting."""
        self._take()
        frames = [frame for frame in self._frames if frame[0]["op"] != "beat"]
        self._frames.clear()
        for header, _ in frames:
            if header["op"] == "lost":
                raise self.lost(header["reason"])
        return frames

    def is_called(self, door: socket.socket) -> bool:
        """Wait for the first frame; True if someone comes to `door` before it.

        Raises:
            SlotLostError: the runner ended or fell silent.
        """
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(door, select.POLLIN)
        while not self._frames:
            ready = [fd for fd, _ in poll.poll(self._silence * 1000)]
            if not ready:
                raise self.lost(f"silent for {self._silence:g} s")
            if door.fileno() in ready:
                return True
            self._take()
        return False

    def check_silence(self, seconds: float) -> None:
        """Raise SlotLostError for a runner that has said nothing for too long."""
        if seconds > self._silence:
            raise self.lost(f"silent for {seconds:.0f} s")

    def lost(self, reason: str) -> SlotLostError:
        """Build the error for a runner that cannot be used any more."""
        details = self.place.diagnose()
        if self._demultiplex is not None and self._demultiplex.stderr:
            details += "; it said: " + self._demultiplex.stderr.decode(errors="replace").strip()
        return SlotLostError(f"sandbox slot lost: {reason} ({details})")

    def close(self) -> None:
        """Hang up, which ends the runner, and remove its place."""
        with contextlib.suppress(OSError):
            # Not only close: a response object of the Docker client may hold the descriptor too.
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self.place.destroy()
