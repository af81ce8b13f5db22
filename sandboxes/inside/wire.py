"""Frames: two lengths, a JSON header, a body of bytes. The same on both sides of the wall."""

from __future__ import annotations

import functools
import json
import os
import struct
from typing import Any

__all__ = ["Header", "Inbox", "encode", "join", "pack", "write_all"]

Header = dict[str, Any]
LENGTHS = struct.Struct("<II")
MAX_HEADER = 8 << 20
MAX_BODY = 1 << 30
_SHORT = 48
"""Bytes of a header that is worth remembering: a conversation has the same few, over and over."""
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def encode(header: Header) -> bytes:
    """Encode a header, for `join`."""
    return _to_json(header).encode()


def join(head: bytes, body: bytes) -> bytes:
    """Put an encoded header and a body into one frame."""
    return b"".join((LENGTHS.pack(len(head), len(body)), head, body))


def pack(header: Header, body: bytes = b"") -> bytes:
    """Encode one frame."""
    return join(encode(header), body)


@functools.lru_cache(maxsize=64)
def _decode_short(head: bytes) -> Header:
    """Decode a header that may come again; whoever gets it must not change it."""
    header: Header = json.loads(head)
    return header


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
            text = buffer[start + LENGTHS.size : middle]
            header = _decode_short(text) if head <= _SHORT else json.loads(text)
            frames.append((header, buffer[middle : middle + body]))
            start = middle + body
        self._parts = [buffer[start:]] if start < len(buffer) else []
        self._held = len(buffer) - start
        return frames
