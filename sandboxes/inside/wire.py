"""Frames: two lengths, a JSON header, a body of bytes. The same on both sides of the wall."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

__all__ = ["Header", "Inbox", "pack", "write_all"]

Header = dict[str, Any]
LENGTHS = struct.Struct("<II")
MAX_HEADER = 8 << 20
MAX_BODY = 1 << 30


def pack(header: Header, body: bytes = b"") -> bytes:
    """Encode one frame."""
    head = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((LENGTHS.pack(len(head), len(body)), head, body))


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Inbox:
    """Collects bytes as they come and cuts them into frames."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._needed = LENGTHS.size

    def feed(self, data: bytes) -> list[tuple[Header, bytes]]:
        """Add bytes; return the frames that they complete.

        Raises:
            ValueError: the bytes are no frame.
        """
        self._parts.append(data)
        self._held += len(data)
        if self._held < self._needed:
            return []
        buffer = b"".join(self._parts)
        frames: list[tuple[Header, bytes]] = []
        start = 0
        while True:
            have = len(buffer) - start
            if have < LENGTHS.size:
                self._needed = LENGTHS.size
                break
            head, body = LENGTHS.unpack_from(buffer, start)
            if head > MAX_HEADER or body > MAX_BODY:
                raise ValueError(f"a frame of {head} + {body} bytes")
            self._needed = LENGTHS.size + head + body
            if have < self._needed:
                break
            middle = start + LENGTHS.size + head
            header = json.loads(buffer[start + LENGTHS.size : middle])
            frames.append((header, buffer[middle : middle + body]))
            start = middle + body
        self._parts = [buffer[start:]] if start < len(buffer) else []
        self._held = len(buffer) - start
        return frames
