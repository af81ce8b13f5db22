r"""Reads literal numbers exactly: no parser, no floating point, no evaluation.

A literal is what needs no arithmetic to be a final answer: `391`, `-1,234.50`, `3/4`,
`\frac{3}{4}`, `2\frac{1}{2}`, `0.\overline{3}`, `1.5\times10^{-7}`, `4.5e33`. A product or a power
is not one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

__all__ = ["MAX_EXPONENT", "Number", "read_number"]

MAX_EXPONENT = 2000
"""Powers of ten beyond this are no literal: nobody reads them, and they cost memory."""
_MAX_DIGITS = 4000  # below CPython's own limit for int(str), which raises beyond 4,300 digits

_SIGN = r"(?P<sign>[+-]?)"
_DECIMAL = re.compile(_SIGN + r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_SPACED = re.compile(r"[+-]?[0-9]{1,3}(?: [0-9]{3})+(?:\.[0-9]*)?")
_SCIENTIFIC = re.compile(
    r"(?P<mantissa>[+-]?[0-9]*\.?[0-9]*)"
    r"(?:[eE](?P<plain>[+-]?[0-9]{1,6})|"
    r"\s*(?P<times>\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*"
    r"(?:\{\s*(?P<braced>[+-]?\s*[0-9]{1,6})\s*\}|\(?(?P<bare>[+-]?[0-9]{1,6})\)?))"
)
_POWER_OF_TEN = re.compile(
    r"(?P<sign>[+-]?)10\s*(?:\^|\*\*)\s*(?:\{\s*(?P<braced>[+-]?[0-9]{1,6})\s*\}|(?P<bare>[0-9]{1,6}))"
)
_FRACTION = re.compile(r"(?P<sign>[+-]?)\s*\\frac\s*\{(?P<top>[^{}]*)\}\s*\{(?P<bottom>[^{}]*)\}")
_SLASH = re.compile(r"(?P<top>[+-]?[^/]+?)\s*/\s*(?P<bottom>[^/]+)")
_MIXED = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<whole>[0-9]+)\s*"
    r"(?:\\frac\s*\{\s*(?P<top>[0-9]+)\s*\}\s*\{\s*(?P<bottom>[0-9]+)\s*\}"
    r"|(?<=\s)(?P<top2>[0-9]+)\s*/\s*(?P<bottom2>[0-9]+))"
)
_REPEATING = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)\.(?P<part>[0-9]*)\\(?:overline|bar|dot)\s*\{(?P<cycle>[0-9]+)\}"
)


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value and how it was written."""

    value: Fraction
    places: int | None = None
    """Exponent of ten of the last digit shown (3.25 has -2, 4.5e33 has 32); None: exact."""
    digits: int = 0
    """Significant digits shown, where `places` is not None."""
    lowest_terms: bool = True
    """False for a fraction that could be reduced."""


def read_number(text: str) -> Number | None:
    """Read `text` as one literal number; None if it is anything else.

    The text is expected in the canonical spelling of `notation.clean`.
    """
    text = _without_brackets(text.strip())
    if not text or len(text) > _MAX_DIGITS:
        return None
    if text[:2] in ("-(", "-{"):
        return _negated(text)
    for reader in (_read_decimal, _read_fraction, _read_mixed, _read_scientific, _read_repeating):
        if (number := reader(text)) is not None:
            return number
    return None


def _without_brackets(text: str) -> str:
    """`{5}`, `(5)`, `((5))`: brackets around a single number mean nothing."""
    while len(text) > 2 and (text[0], text[-1]) in (("{", "}"), ("(", ")")):
        inner = text[1:-1].strip()
        if any(c in "(){}" for c in inner):
            return text
        text = inner
    if text[:2] in ("+-", "-+"):
        text = "-" + text[2:]
    if len(text) > 1 and text[0] in "+-" and text[1] == " ":
        text = text[0] + text[1:].lstrip()
    return text


def _negated(text: str) -> Number | None:
    """Minus a bracket: `-(5)`, `-(-1/2)`."""
    inner = _without_brackets(text[1:].strip())
    number = _read_decimal(inner) or _read_fraction(inner)
    return number and Number(-number.value, number.places, number.digits, number.lowest_terms)


def _read_decimal(text: str) -> Number | None:
    if "," in text:
        if not _GROUPED.fullmatch(text):
            return None
        text = text.replace(",", "")
    elif " " in text:
        if not _SPACED.fullmatch(text):
            return None
        text = text.replace(" ", "")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, part = match["whole"], match["part"] or ""
    if not whole and not part:
        return None
    value = Fraction(int(whole + part), 10 ** len(part))
    if match["sign"] == "-":
        value = -value
    if not part:
        return Number(value)
    return Number(value, -len(part), len((whole + part).lstrip("0")))


def _read_fraction(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text) or _SLASH.fullmatch(text)
    if match is None:
        return None
    top = _read_decimal(_without_brackets(match["top"].strip()))
    bottom = _read_decimal(_without_brackets(match["bottom"].strip()))
    if top is None or bottom is None or bottom.value == 0:
        return None
    value = top.value / bottom.value
    if match.groupdict().get("sign") == "-":
        value = -value
    whole = top.value.denominator == 1 and bottom.value.denominator == 1
    reduced = whole and bottom.value > 1 and gcd(top.value.numerator, bottom.value.numerator) == 1
    return Number(value, lowest_terms=reduced)


def _read_mixed(text: str) -> Number | None:
    match = _MIXED.fullmatch(text)
    if match is None:
        return None
    top = int(match["top"] or match["top2"])
    bottom = int(match["bottom"] or match["bottom2"])
    if not 0 < top < bottom:  # 2\frac{4}{3} is a product, if anything
        return None
    value = int(match["whole"]) + Fraction(top, bottom)
    reduced = gcd(top, bottom) == 1
    return Number(-value if match["sign"] == "-" else value, lowest_terms=reduced)


def _read_scientific(text: str) -> Number | None:
    if match := _POWER_OF_TEN.fullmatch(text):
        exponent = int(match["braced"] or match["bare"])
        if abs(exponent) > MAX_EXPONENT:
            return None
        return Number(Fraction(10) ** exponent * (-1 if match["sign"] == "-" else 1))
    match = _SCIENTIFIC.fullmatch(text)
    mantissa = _read_decimal(match["mantissa"]) if match else None
    if match is None or mantissa is None:
        return None
    exponent = int((match["plain"] or match["braced"] or match["bare"]).replace(" ", ""))
    if abs(exponent) > MAX_EXPONENT:
        return None
    value = mantissa.value * Fraction(10) ** exponent
    if mantissa.places is None:  # 3e6 shows one digit, as 3.0e6 shows two
        return Number(value, exponent, len(str(abs(mantissa.value.numerator))))
    return Number(value, mantissa.places + exponent, mantissa.digits)


def _read_repeating(text: str) -> Number | None:
    match = _REPEATING.fullmatch(text)
    if match is None:
        return None
    whole, part, cycle = match["whole"] or "0", match["part"], match["cycle"]
    shift = 10 ** len(part)
    value = Fraction(int(whole + part), shift)
    value += Fraction(int(cycle), shift * (10 ** len(cycle) - 1))
    return Number(-value if match["sign"] == "-" else value)
