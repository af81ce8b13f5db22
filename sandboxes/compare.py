"""Comparisons of outputs. They run outside the sandbox, on bytes or plain data.

A text comparison is a callable of (expected, actual) bytes that returns a `Status`; a comparison
of values is a callable of two plain values that returns a bool. NaN equals nothing, and a number
is compared with tolerance only where the task says so.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cascade.errors import ConfigError
from cascade.sandboxes.verdicts import Status

__all__ = ["Exact", "Floats", "JsonValue", "Lines", "Same", "TextCompare", "Tokens", "Unordered"]

TextCompare = Callable[[bytes, bytes], Status]

_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")


def _verdict(equal: bool) -> Status:
    return Status.ACCEPTED if equal else Status.WRONG_ANSWER


@dataclass(frozen=True, slots=True)
class Tokens:
    """Equal words, whatever white space lies between them. Case matters."""

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        return _verdict(expected == actual or expected.split() == actual.split())


@dataclass(frozen=True, slots=True)
class Exact:
    """Equal byte for byte; PRESENTATION_ERROR where only white space differs."""

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        if expected == actual:
            return Status.ACCEPTED
        if expected.split() == actual.split():
            return Status.PRESENTATION_ERROR
        return Status.WRONG_ANSWER


@dataclass(frozen=True, slots=True)
class Lines:
    """Equal lines, but for white space at their ends and empty lines at the end."""

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        return _verdict(_lines(expected) == _lines(actual))


def _lines(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in text.rstrip().split(b"\n")]


@dataclass(frozen=True, slots=True)
class Floats:
    """Equal words, where decimal numbers may differ by `rel` × |expected| or by `abs`.

    Raises:
        ConfigError: a tolerance is negative or not finite, or both are 0.
    """

    rel: float = 0.0
    abs: float = 0.0

    def __post_init__(self) -> None:
        """Refuse tolerances that accept all or mean nothing."""
        for name in ("rel", "abs"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"tolerance {name} must be finite and 0 or more, got {value!r}")
        if self.rel == 0 and self.abs == 0:
            raise ConfigError("Floats needs a tolerance; use Tokens for exact words")

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        wanted, got = expected.split(), actual.split()
        return _verdict(len(wanted) == len(got) and all(map(self._close, wanted, got)))

    def _close(self, wanted: bytes, got: bytes) -> bool:
        if wanted == got:
            return True
        if not (_NUMBER.match(wanted) and _NUMBER.match(got)) or len(got) > 400:
            return False
        target, value = float(wanted), float(got)
        if not (math.isfinite(target) and math.isfinite(value)):
            return False
        return abs(target - value) <= max(self.abs, self.rel * abs(target))


@dataclass(frozen=True, slots=True)
class Unordered:
    """Equal lines (or words) in any order, each as often as expected."""

    words: bool = False
    """Compare words instead of lines."""

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        if self.words:
            return _verdict(Counter(expected.split()) == Counter(actual.split()))
        return _verdict(Counter(_lines(expected)) == Counter(_lines(actual)))


@dataclass(frozen=True, slots=True)
class JsonValue:
    """Equal JSON values; the order of an object's keys does not matter."""

    rel: float = 0.0
    abs: float = 0.0

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        try:
            return _verdict(Same(self.rel, self.abs)(json.loads(expected), json.loads(actual)))
        except (ValueError, RecursionError):
            return Status.WRONG_ANSWER


@dataclass(frozen=True, slots=True)
class Same:
    """Equality of plain data. True is not 1, and NaN is not equal to itself."""

    rel: float = 0.0
    """Relative tolerance of floats."""
    abs: float = 0.0
    """Absolute tolerance of floats."""
    tuples_are_lists: bool = False
    """Take a tuple for the list of its items, as JSON does."""
    unordered: bool = False
    """Take the outermost list for a multiset."""

    def __call__(self, expected: Any, actual: Any) -> bool:
        """Compare two values of exact builtin types."""
        if (
            self.unordered
            and isinstance(expected, list | tuple)
            and isinstance(actual, list | tuple)
        ):
            return self._multiset(list(expected), list(actual))
        return self._same(expected, actual)

    def _multiset(self, expected: list[Any], actual: list[Any]) -> bool:
        if len(expected) != len(actual):
            return False
        for wanted in expected:
            found = next((i for i, got in enumerate(actual) if self._same(wanted, got)), None)
            if found is None:
                return False
            del actual[found]
        return True

    def _same(self, expected: Any, actual: Any) -> bool:
        if isinstance(expected, bool) or isinstance(actual, bool):
            return expected is actual
        if isinstance(expected, int | float | complex):
            return isinstance(actual, int | float | complex) and self._close(expected, actual)
        if isinstance(expected, list | tuple):
            alike = self.tuples_are_lists or type(expected) is type(actual)
            return (
                alike
                and isinstance(actual, list | tuple)
                and len(expected) == len(actual)
                and all(map(self._same, expected, actual))
            )
        if isinstance(expected, dict):
            return (
                isinstance(actual, dict)
                and expected.keys() == actual.keys()
                and all(self._same(value, actual[key]) for key, value in expected.items())
            )
        return type(expected) is type(actual) and bool(expected == actual)

    def _close(self, expected: complex, actual: complex) -> bool:
        if expected == actual:
            return True
        if isinstance(expected, int) and isinstance(actual, int):
            return False
        try:
            gap = abs(expected - actual)
            return math.isfinite(gap) and gap <= max(self.abs, self.rel * abs(expected))
        except OverflowError:
            return False
