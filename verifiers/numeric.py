"""Evaluates expression trees to many digits, at a point, with a bound on what it will attempt.

Two expressions are equal if they agree to 40 digits at generic points: cheaper than simplification,
and free of its failures. Sizes are checked before each step, so that a tower of powers is refused
instead of computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath

from cascade.verifiers.expression import Literal, Name, Node

__all__ = ["CONSTANTS", "DIGITS", "TooLarge", "Undefined", "evaluate", "points", "whole_points"]

DIGITS = 90
"""Working precision; equality asks for 40, the rest is there to be lost by cancellation."""
_MAX_EXPONENT_BITS = 40
"""Exponents and factorial arguments beyond 2**40 are refused."""

Value = Any
"""An `mpf` or `mpc` of mpmath, which ships no types."""


class TooLarge(ArithmeticError):
    """A step would need more memory or time than an answer is worth."""


class Undefined(ArithmeticError):
    """The expression has no value at this point."""


CONSTANTS = frozenset({"pi", "e", "i", "infty"})


def evaluate(node: Node, at: Mapping[str, Fraction]) -> Value:
    """Return the value of `node` with its variables set to `at`.

    Raises:
        TooLarge: a power, factorial or binomial is beyond all bounds.
        Undefined: division by zero, a function that is not known, infinity.
    """
    with mpmath.workdps(DIGITS):
        try:
            value = _value(node, at)
        except (ZeroDivisionError, ValueError, OverflowError, mpmath.libmp.NoConvergence) as error:
            raise Undefined(str(error)) from error
        if not mpmath.isfinite(value):
            raise Undefined("the value is not finite")
        return value


def whole_points(names: frozenset[str]) -> list[dict[str, Fraction]]:
    """Return points with integer coordinates of 1 to 97, for formulas with floors and ceilings."""
    return [
        {name: Fraction(1 + _digest(f"whole {index}:{name}") % 97) for name in names}
        for index in range(12)
    ]


def _digest(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=6).digest()
    return int.from_bytes(digest, "big")


def points(names: frozenset[str]) -> list[dict[str, Fraction]]:
    """Return generic points for `names`: first all-positive ones, small and large, then mixed."""
    found = []
    for index, (scale, shift, signed) in enumerate(_SCALES):
        point = {}
        for name in names:
            digest = _digest(f"{index}:{name}")
            value = shift + scale * Fraction(digest, 2**48)
            point[name] = -value if signed and digest >> 40 & 1 else value
        found.append(point)
    return found


_SCALES = (
    (Fraction(3), Fraction(1, 5), False),
    (Fraction(5), Fraction(2), False),
    (Fraction(40), Fraction(11), False),
    (Fraction(1), Fraction(1, 50), False),
    (Fraction(3), Fraction(1, 5), True),
    (Fraction(6), Fraction(1), True),
    (Fraction(2), Fraction(1, 3), True),
)


def _value(node: Node, at: Mapping[str, Fraction]) -> Value:
    if isinstance(node, Literal):
        return mpmath.mpf(node.value.numerator) / node.value.denominator
    if isinstance(node, Name):
        return _named(node.name, at)
    arguments = [_value(argument, at) for argument in node.arguments]
    if node.function in _OPERATIONS:
        return _OPERATIONS[node.function](*arguments)
    raise Undefined(f"no value for {node.function!r}")


def _named(name: str, at: Mapping[str, Fraction]) -> Value:
    if name == "pi":
        return +mpmath.pi
    if name == "e":
        return +mpmath.e
    if name == "i":
        return mpmath.mpc(0, 1)
    if name == "infty":
        raise Undefined("infinity has no value")
    value = at[name]
    return mpmath.mpf(value.numerator) / value.denominator


def _bounded(*values: Value) -> None:
    for value in values:
        if value != 0 and mpmath.mag(value) > _MAX_EXPONENT_BITS:
            raise TooLarge(f"an argument is about 2^{int(mpmath.mag(value))}")


def _power(base: Value, exponent: Value) -> Value:
    _bounded(exponent)
    if base == 0 and mpmath.re(exponent) <= 0:
        raise Undefined("0 to a power that is not positive")
    if mpmath.isint(exponent) and abs(exponent) < 2**62:
        return base ** int(mpmath.re(exponent))
    return mpmath.power(base, exponent)


def _root(radicand: Value, index: Value) -> Value:
    odd = mpmath.isint(index) and int(mpmath.re(index)) % 2 == 1
    if odd and mpmath.im(radicand) == 0 and radicand < 0:
        return -mpmath.root(-radicand, int(index))  # the real cube root, as contests mean it
    return mpmath.sqrt(radicand) if index == 2 else _power(radicand, 1 / index)


def _factorial(value: Value) -> Value:
    _bounded(value)
    return mpmath.factorial(value)


def _binomial(n: Value, k: Value) -> Value:
    _bounded(n, k)
    return mpmath.binomial(n, k)


def _exp(value: Value) -> Value:
    _bounded(value)
    return mpmath.exp(value)


def _whole(function: Any) -> Any:
    def apply(*values: Value) -> Value:
        if not all(mpmath.isint(value) for value in values):
            raise Undefined("gcd and lcm need integers")
        _bounded(*values)
        return mpmath.mpf(function(*(int(value) for value in values)))

    return apply


def _gcd(*values: int) -> int:
    import math

    return math.gcd(*values)


def _lcm(*values: int) -> int:
    import math

    return math.lcm(*values)


def _trigonometric(function: Any) -> Any:
    def apply(value: Value) -> Value:
        _bounded(value)
        return function(value)

    return apply


def _near_integer(function: Any) -> Any:
    """Floor and ceiling, unmoved by the last digits of the working precision."""

    def apply(value: Value) -> Value:
        nearest = mpmath.nint(mpmath.re(value))
        close = abs(value - nearest) < mpmath.mpf(10) ** (-DIGITS // 2)
        return nearest if close else function(value)

    return apply


_OPERATIONS: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": _power,
    "root": _root,
    "!": _factorial,
    "binom": _binomial,
    "abs": abs,
    "floor": _near_integer(mpmath.floor),
    "ceil": _near_integer(mpmath.ceil),
    "degrees": lambda a: a * mpmath.pi / 180,
    "ln": mpmath.ln,
    "log": mpmath.ln,
    "lg": mpmath.log10,
    "log_base": lambda value, base: mpmath.ln(value) / mpmath.ln(base),
    "exp": _exp,
    "gcd": _whole(_gcd),
    "lcm": _whole(_lcm),
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "sin": _trigonometric(mpmath.sin),
    "cos": _trigonometric(mpmath.cos),
    "tan": _trigonometric(mpmath.tan),
    "cot": _trigonometric(mpmath.cot),
    "sec": _trigonometric(mpmath.sec),
    "csc": _trigonometric(mpmath.csc),
    "sinh": _trigonometric(mpmath.sinh),
    "cosh": _trigonometric(mpmath.cosh),
    "tanh": _trigonometric(mpmath.tanh),
    "coth": _trigonometric(mpmath.coth),
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arccot": mpmath.acot,
    "arcsec": mpmath.asec,
    "arccsc": mpmath.acsc,
}
