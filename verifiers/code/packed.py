"""Unpacks LiveCodeBench's private tests: base64 of zlib of a pickled string.

Unpickling runs whatever the file says. A pickled string needs five kinds of opcodes and none that
could call anything, so the stream is read with `pickletools`, which only parses: anything else in
it is an error, and nothing of it is ever executed.
"""

from __future__ import annotations

import base64
import binascii
import pickletools
import zlib

from cascade.errors import DataError

__all__ = ["MAX_UNPACKED_BYTES", "unpack_tests"]

MAX_UNPACKED_BYTES = 1 << 30
_TEXT = frozenset({"BINUNICODE", "BINUNICODE8", "SHORT_BINUNICODE", "UNICODE"})
_HARMLESS = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"})


def unpack_tests(packed: str) -> str:
    """Return the text inside.

    Raises:
        DataError: it is not in that form, unpacks to more than 1 GiB, or the pickle holds
            anything but one string.
    """
    try:
        compressed = base64.b64decode(packed, validate=True)
        stream = zlib.decompressobj()
        raw = stream.decompress(compressed, MAX_UNPACKED_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(f"private tests are not base64 of zlib data ({error})") from error
    if stream.unconsumed_tail or not stream.eof:
        raise DataError(
            f"private tests are cut off or unpack to more than {MAX_UNPACKED_BYTES:,} bytes"
        )
    return _pickled_text(raw)


def _pickled_text(raw: bytes) -> str:
    """Return the one string of a pickle, without unpickling."""
    found: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in _TEXT and isinstance(argument, str):
                found.append(argument)
            elif opcode.name not in _HARMLESS:
                raise DataError(
                    f"private tests hold the pickle opcode {opcode.name}; only a pickled string "
                    f"is read, anything else could run code"
                )
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise DataError(f"private tests hold a broken pickle ({error})") from error
    if len(found) != 1:
        raise DataError(f"private tests must hold one pickled string, got {len(found)}")
    return found[0]
