"""The output comparisons that the formats define, beside those of `cascade.sandboxes.compare`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cascade.errors import DataError
from cascade.sandboxes.compare import Same
from cascade.sandboxes.verdicts import Status

__all__ = ["DecimalLines", "KattisTokens", "OneWrapped", "kattis_tokens"]

_DECIMAL = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?\Z")
_LONGEST_NUMBER = 400
_SPACES = re.compile(rb"(\s+)")


@dataclass(frozen=True, slots=True)
class DecimalLines:
    """Equal lines but for white space around them; else equal numbers, so that 1.0 is 1.

    The rule of LiveCodeBench (lcb_runner/evaluation/testing_util.py at 28fef95), on which
    NeMo-Gym's ``code_gen`` rests: exact decimals, no tolerance.
    """

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        wanted, got = _stripped_lines(expected), _stripped_lines(actual)
        equal = len(wanted) == len(got) and all(map(_same_line, wanted, got))
        return Status.ACCEPTED if equal else Status.WRONG_ANSWER


def _stripped_lines(text: bytes) -> list[bytes]:
    return [line.strip() for line in text.strip().split(b"\n")]


def _same_line(wanted: bytes, got: bytes) -> bool:
    if wanted == got:
        return True
    left, right = wanted.split(), got.split()
    return len(left) == len(right) and all(map(_same_decimal, left, right))


def _same_decimal(wanted: bytes, got: bytes) -> bool:
    """Both must be numbers, even equal words: a line is compared as text or as numbers."""
    if max(len(wanted), len(got)) > _LONGEST_NUMBER:
        return False
    if not (_DECIMAL.match(wanted) and _DECIMAL.match(got)):
        return False
    return Decimal(wanted.decode()) == Decimal(got.decode())


@dataclass(frozen=True, slots=True)
class OneWrapped:
    """Equal values, where APPS may have put the expected one into a list of one.

    The rule of APPS' own tester (hendrycks/apps, eval/testing_util.py).
    """

    def __call__(self, expected: Any, actual: Any) -> bool:
        """Compare two values of exact builtin types."""
        same = Same(tuples_are_lists=True)
        wrapped = isinstance(expected, list) and len(expected) == 1
        return same(expected, actual) or (wrapped and same(expected[0], actual))


@dataclass(frozen=True, slots=True)
class KattisTokens:
    """The default output validator of the Kattis problem format.

    Words are compared without regard to case, and as numbers where the judge's word is one and a
    tolerance is given. Source: the problem package format, "Default Validator".
    """

    case_sensitive: bool = False
    space_change_sensitive: bool = False
    absolute: float | None = None
    """Largest absolute error of a number; None: none is allowed."""
    relative: float | None = None
    """Largest error relative to the judge's number."""

    def __call__(self, expected: bytes, actual: bytes) -> Status:
        """Compare two outputs."""
        if self.space_change_sensitive and not _same_spaces(expected, actual):
            return Status.WRONG_ANSWER
        wanted, got = expected.split(), actual.split()
        equal = len(wanted) == len(got) and all(map(self._same, wanted, got))
        return Status.ACCEPTED if equal else Status.WRONG_ANSWER

    def _same(self, wanted: bytes, got: bytes) -> bool:
        if wanted == got or (not self.case_sensitive and wanted.lower() == got.lower()):
            return True
        if self.absolute is None and self.relative is None:
            return False
        if len(got) > _LONGEST_NUMBER or not (_DECIMAL.match(wanted) and _DECIMAL.match(got)):
            return False
        target, value = float(wanted), float(got)
        if not (math.isfinite(target) and math.isfinite(value)):
            return False
        error = abs(target - value)
        return (self.absolute is not None and error <= self.absolute) or (
            self.relative is not None and error <= self.relative * abs(target)
        )


def _same_spaces(expected: bytes, actual: bytes) -> bool:
    wanted, got = _SPACES.split(expected), _SPACES.split(actual)
    return wanted[1::2] == got[1::2] and bool(wanted[0]) == bool(got[0])


_TOLERANCES = {
    "float_absolute_tolerance": ("absolute",),
    "float_relative_tolerance": ("relative",),
    "float_tolerance": ("absolute", "relative"),
}


def kattis_tokens(flags: str) -> KattisTokens:
    """Read ``validator_flags`` of the default validator.

    Raises:
        DataError: an unknown flag, or a tolerance that is not a number of 0 or more.
    """
    options: dict[str, Any] = {}
    words = iter(flags.split())
    for word in words:
        if word in ("case_sensitive", "space_change_sensitive"):
            options[word] = True
        elif word in _TOLERANCES:
            given = next(words, "")
            if not _DECIMAL.match(given.encode()) or float(given) < 0:
                raise DataError(f"validator flag {word} needs a number of 0 or more, got {given!r}")
            options |= dict.fromkeys(_TOLERANCES[word], float(given))
        else:
            raise DataError(f"the default output validator has no flag {word!r}")
    return KattisTokens(**options)
