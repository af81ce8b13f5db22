"""Strict JSON (RFC 8259 with I-JSON's rules): no duplicate names, no NaN, no lone surrogates."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Never

from cascade.verifiers.schema.limits import DocumentError, Limits

__all__ = ["check_depth", "parse_json"]

# The closing quote is optional, so that an unterminated string is consumed once, not rescanned
# from each of its quotes: the scan stays linear on every input.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def check_depth(text: str, max_depth: int) -> None:
    """Refuse text whose brackets nest deeper than `max_depth`, before a recursive parser sees it.

    Raises:
        DocumentError: with the line of the bracket that goes too deep.
    """
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in ("[", "{"):
            depth += 1
            if depth > max_depth:
                line = text.count("\n", 0, match.start()) + 1
                raise DocumentError(f"nested deeper than {max_depth} levels", line)
        elif token in ("]", "}"):
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in value if names.count(name) > 1)
        raise DocumentError(f"duplicate key {twice[:80]!r}")
    return value


def _constant(name: str) -> Never:
    raise DocumentError(f"{name} is not a JSON number")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise DocumentError(f"{digits[:40]} is too large for a number")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def parse_json(text: str, limits: Limits) -> Any:
    """Return the one JSON value that `text` is.

    Raises:
        DocumentError: not JSON, or JSON that two readers could understand in two ways.
    """
    check_depth(text, limits.max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise DocumentError(error.msg, error.lineno, error.colno) from None
    except DocumentError:
        raise
    except ValueError:
        # The only other ValueError of the decoder: an integer beyond Python's digit limit.
        raise DocumentError("a number has too many digits") from None
    if _SURROGATE_ESCAPE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DocumentError("a lone surrogate is not a character") from None
    return value
