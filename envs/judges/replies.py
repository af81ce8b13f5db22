"""What counts as a verdict in a judge's reply: parsers, each of which returns None for none.

A judge that answers in prose has given no verdict; nothing here guesses one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cascade.errors import ConfigError

__all__ = [
    "Parse",
    "json_fields",
    "last_boxed",
    "last_label",
    "last_tagged",
    "whole_number",
]

T = TypeVar("T")
Parse = Callable[[str], T | None]
"""Takes the reply without its reasoning; returns the verdict, or None if there is none."""

_MOST_OBJECTS = 64


def last_label(labels: Sequence[str]) -> Parse[str]:
    """Find the last ``[[LABEL]]`` with one of `labels`; failing that, the last ``[LABEL]``.

    Upper and lower case do not matter. Source: lmarena/arena-hard-auto at 196f6b8,
    config/arena-hard-v2.0.yaml; there any label of the letters is taken, here only a known one.

    Raises:
        ConfigError: no label.
    """
    if not labels:
        raise ConfigError("last_label needs at least one label")
    known = {label.upper(): label for label in labels}
    either = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    patterns = (re.compile(rf"\[\[({either})\]\]"), re.compile(rf"\[({either})\]"))

    def parse(reply: str) -> str | None:
        for pattern in patterns:
            if found := pattern.findall(reply.upper()):
                return known[found[-1]]
        return None

    return parse


def last_tagged(tag: str) -> Parse[str]:
    """Return the text inside the last ``<tag>…</tag>``, stripped."""
    pattern = re.compile(rf"<{re.escape(tag)}>(.*?)</{re.escape(tag)}>", re.DOTALL | re.IGNORECASE)

    def parse(reply: str) -> str | None:
        found = pattern.findall(reply)
        return str(found[-1]).strip() if found else None

    return parse


def last_boxed(values: Sequence[str]) -> Parse[str]:
    r"""Return the content of the last ``\boxed{…}`` if it is one of `values`."""

    def parse(reply: str) -> str | None:
        found = re.findall(r"\\boxed\{([^{}]*)\}", reply)
        text = found[-1].strip() if found else None
        return text if text in values else None

    return parse


def whole_number(inner: Parse[str], low: int, high: int, of: int | None = None) -> Parse[int]:
    """Read the text that `inner` finds as a whole number from `low` to `high`.

    With `of`, "N out of M" and "N/M" are read too, where M is `of`. Anything else is no verdict.
    """
    total = "" if of is None else rf"(?:\s*(?:out of|/)\s*{of})?"
    pattern = re.compile(rf"(-?\d+){total}(?:\s*points?)?\.?", re.IGNORECASE)

    def parse(reply: str) -> int | None:
        text = inner(reply)
        match = None if text is None else pattern.fullmatch(text.strip())
        if match is None or not low <= int(match[1]) <= high:
            return None
        return int(match[1])

    return parse


def json_fields(fields: Mapping[str, tuple[float, float]]) -> Parse[dict[str, float]]:
    """Return the last JSON object of the reply that has all `fields` as numbers in their ranges.

    Args:
        fields: name -> least and greatest value. Further fields of the object are ignored.
    """

    def numbers(found: Any) -> dict[str, float] | None:
        out: dict[str, float] = {}
        for name, (low, high) in fields.items():
            value = found.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            if not low <= value <= high:
                return None
            out[name] = float(value)
        return out

    def parse(reply: str) -> dict[str, float] | None:
        decoder = json.JSONDecoder()
        starts = [match.start() for match in re.finditer(r"\{", reply)][-_MOST_OBJECTS:]
        for start in reversed(starts):
            try:
                found, _ = decoder.raw_decode(reply, start)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and (out := numbers(found)) is not None:
                return out
        return None

    return parse
