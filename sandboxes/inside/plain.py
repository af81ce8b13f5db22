"""Plain data as bytes, so that a value can leave a hostile process without its class.

JSON with one-letter tags for what JSON lacks. Only the data under the builtin types leaves: a
subclass of `list` with its own `__eq__` arrives as a list. Runs on both sides of the wall.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["NotPlainError", "decode", "encode"]

_SMALL = 1 << 53


class NotPlainError(ValueError):
    """A value that is not plain data, or bytes that are not an encoded value."""


def encode(value: Any, _dumps: Any = json.dumps) -> bytes:
    """Encode plain data.

    Raises:
        NotPlainError: the value holds something else, nests too deeply, or holds itself.
    """
    try:
        return _dumps(_wrap(value), separators=(",", ":")).encode()  # type: ignore[no-any-return]
    except RecursionError:
        raise NotPlainError("the value nests too deeply") from None


def _wrap(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    mro = type.mro(kind)
    if kind is float or float in mro:
        return float.__mul__(value, 1.0)  # adding zero would lose the sign of -0.0
    if int in mro:
        number = int.__add__(value, 0)
        return number if -_SMALL < number < _SMALL else {"i": hex(number)}
    if str in mro:
        return str.__str__(value)
    if dict in mro:
        return {"d": [[_wrap(k), _wrap(v)] for k, v in dict.items(value)]}
    for base, tag in ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f")):
        if base in mro:
            return {tag: [_wrap(item) for item in base.__iter__(value)]}
    if bytes in mro:
        return {"b": bytes.hex(value)}
    if bytearray in mro:
        return {"b": bytearray.hex(value)}
    if complex in mro:
        return {"c": [complex.real.__get__(value), complex.imag.__get__(value)]}
    return _wrap_foreign(value, kind)


def _wrap_foreign(value: Any, kind: Any) -> Any:
    """Arrays and scalars of NumPy, and double-ended queues, count as the lists they stand for."""
    module = kind.__module__
    if module == "numpy" and hasattr(kind, "tolist"):
        return _wrap(kind.tolist(value))
    if module == "collections" and kind.__name__ == "deque":
        return {"l": [_wrap(item) for item in kind.__iter__(value)]}
    raise NotPlainError(f"a value of type {kind.__name__!r} is not plain data")


def decode(data: bytes) -> Any:
    """Decode what `encode` made; every object in the result has an exact builtin type.

    Raises:
        NotPlainError: the bytes are not an encoded value.
    """
    try:
        return _unwrap(json.loads(data))
    except (ValueError, TypeError, RecursionError, KeyError) as error:
        raise NotPlainError(f"not an encoded value: {str(error)[:100]}") from None


def _unwrap(item: Any) -> Any:
    if not isinstance(item, dict):
        if isinstance(item, list):
            raise NotPlainError("an untagged list")
        return item
    ((tag, body),) = item.items()
    if tag == "l":
        return [_unwrap(part) for part in body]
    if tag == "t":
        return tuple(_unwrap(part) for part in body)
    if tag == "d":
        return {_unwrap(key): _unwrap(value) for key, value in body}
    if tag == "i":
        return int(body, 16)
    if tag == "s":
        return {_unwrap(part) for part in body}
    if tag == "f":
        return frozenset(_unwrap(part) for part in body)
    if tag == "b":
        return bytes.fromhex(body)
    if tag == "c":
        return complex(*body)
    raise NotPlainError(f"unknown tag {tag!r}")
