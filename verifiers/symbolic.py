r"""Compares expressions that are no literal numbers. Runs in worker processes only.

First by value: both sides are parsed by `expression` and evaluated to 90 digits, formulas at
generic points. Only what that grammar lacks (integrals, limits, relations, …) goes to math-verify,
whose own timeouts are off here: the process is killed at its deadline instead.
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
from math_verify import LatexExtractionConfig
from math_verify import parse as math_verify_parse
from math_verify import verify as math_verify_verify

from cascade.verifiers.compare import Comparer
from cascade.verifiers.expression import (
    Call,
    Literal,
    Node,
    Unreadable,
    functions_in,
    names_in,
    parse,
)
from cascade.verifiers.numeric import (
    CONSTANTS,
    DIGITS,
    TooLarge,
    Undefined,
    evaluate,
    points,
    whole_points,
)
from cascade.verifiers.policy import Policy

__all__ = ["GoldTooLarge", "compare"]

logging.getLogger("math_verify").setLevel(logging.ERROR)

_AGREEMENT = mpmath.mpf(10) ** -40
_ENOUGH_POINTS = 3
_MINUS_ONE = Literal(Fraction(-1))
_FOR_MATH_VERIFY = re.compile(
    r"\\(?:int|sum|prod|lim|det|le|ge|ne|in|cup|cap|[Rr]e|[Ii]m|p?mod)(?![A-Za-z])|[<>]"
)
_MOST_BRACKETS_FOR_MATH_VERIFY = 24  # its parser doubles its time with every nested one
_UNFINISHED = re.compile(r"\\(?:int|sum|prod|lim)(?![A-Za-z])")
_TRAILING_TEXT = re.compile(r"(?<=[^_{\s])\s*\\text\s*\{[^{}]*\}\s*(?:\^\s*\{?[0-9]\}?)?\Z")
_TRAILING_WORDS = re.compile(
    r"(?<=[0-9)}i])\s+(?:square |cubic |sq )?(?:units?|cm|km|mm|ft|feet|inch(?:es)?|meters?|degrees"
    r"|miles|yards|seconds|minutes|hours|dollars|radians)(?:\^\{?[0-9]\}?)?\Z"
)


class GoldTooLarge(ArithmeticError):
    """The gold itself is beyond what can be evaluated: no verdict is possible."""


def compare(gold: str, answer: str, policy: Policy) -> str | None:
    """Return what differs between two answers, None if they are the same.

    Raises:
        GoldTooLarge: no answer could be judged against this gold.
    """
    return Comparer(policy, _expressions_differ).difference(gold, answer)


def _expressions_differ(gold: str, answer: str, policy: Policy, equations: bool) -> str | None:
    try:
        wanted = _tree(gold, equations)
        given = _tree(answer, equations)
    except Unreadable:
        return _ask_math_verify(gold, answer)
    try:
        with mpmath.workdps(DIGITS):
            return _values_differ(wanted, given, policy, proportional=equations)
    except TooLarge as error:
        return f"the answer is too large to evaluate: {error}"
    except RecursionError:  # hundreds of operations in a row: nobody's final answer
        return "the answer has too many operations"


@lru_cache(maxsize=2048)
def _tree(text: str, equation: bool) -> Node:
    if equation:
        left, right = text.split("=")
        return Call("+", (parse(left), Call("*", (_MINUS_ONE, parse(right)))))
    text = _TRAILING_WORDS.sub("", _TRAILING_TEXT.sub("", text))
    return parse(re.sub(r"^\\(?:approx|sim)(?![A-Za-z])", "", text).replace(r"\$", ""))


def _values_differ(gold: Node, answer: Node, policy: Policy, *, proportional: bool) -> str | None:
    names = frozenset((names_in(gold) | names_in(answer)) - CONSTANTS)
    stepped = {"floor", "ceil"} & (functions_in(gold) | functions_in(answer))
    whole = bool(stepped) and all(re.match("[i-t]|[KMN]", name) for name in names)
    agreed, ratio = 0, None
    real_so_far = True
    for point in whole_points(names) if whole else points(names):
        pair = _at(gold, answer, point)
        if pair is None:
            continue
        wanted, given = pair
        signed = any(value < 0 for value in point.values())
        is_real = mpmath.im(wanted) == 0 and mpmath.im(given) == 0
        if signed and real_so_far and not is_real:
            continue  # a branch cut that positive points do not have
        real_so_far &= is_real or signed
        if proportional:
            if given == 0 or wanted == 0:
                return "the equations have different solutions"
            ratio = ratio if ratio is not None else given / wanted
            same = _agree(given, ratio * wanted)
        else:
            same = _agree(wanted, given) or _close(gold, answer, wanted, given, policy)
        if not same:
            return _what_differs(gold, answer, names)
        agreed += 1
        if not names:
            return None
    return None if agreed >= _ENOUGH_POINTS else "the answer has no value where the reference has"


def _at(gold: Node, answer: Node, point: Any) -> tuple[Any, Any] | None:
    """Both values at a point; None where neither has one."""
    try:
        wanted = evaluate(gold, point)
    except TooLarge as error:
        raise GoldTooLarge(f"the reference is too large to evaluate: {error}") from error
    except Undefined:
        wanted = None
    try:
        given = evaluate(answer, point)
    except Undefined:
        given = None
    return None if wanted is None or given is None else (wanted, given)


def _agree(a: Any, b: Any) -> bool:
    return bool(abs(a - b) <= _AGREEMENT * max(abs(a), abs(b)))


def _close(gold: Node, answer: Node, wanted: Any, given: Any, policy: Policy) -> bool:
    """Tolerance for rounded numbers: in the gold by its precision, in the answer if long enough."""
    error, size = abs(wanted - given), max(abs(wanted), abs(given))
    if isinstance(policy.tolerance, int | float):
        return bool(error <= policy.tolerance * abs(wanted))
    if policy.tolerance == "exact":
        return False
    if (rounding := _rounding(gold)) > 0:
        return bool(error <= min(rounding, policy.max_relative_error) * size)
    alone = answer
    if isinstance(alone, Call) and alone.function == "*" and alone.arguments[0] == _MINUS_ONE:
        alone = alone.arguments[1]
    if isinstance(alone, Literal) and alone.places is not None:
        long_enough = 0 < policy.decimal_digits <= alone.digits
        return long_enough and bool(error < mpmath.mpf(10) ** alone.places)
    return False


def _rounding(node: Node) -> float:
    """Relative half unit of the least precise decimal in the gold; 0 if it has none."""
    if isinstance(node, Literal):
        if node.places is None or node.value == 0:
            return 0.0
        return float(mpmath.mpf(10) ** node.places / 2 / abs(mpmath.mpf(node.value.numerator))
                     * node.value.denominator)  # fmt: skip
    if isinstance(node, Call):
        return max((_rounding(argument) for argument in node.arguments), default=0.0)
    return 0.0


def _what_differs(gold: Node, answer: Node, names: frozenset[str]) -> str:
    wanted, given = names_in(gold) - CONSTANTS, names_in(answer) - CONSTANTS
    if wanted != given:
        listed = ", ".join(sorted(given - wanted)) or "no variables"
        return (
            f"the answer has {listed} where the reference has {', '.join(sorted(wanted)) or 'none'}"
        )
    return "the values differ" if not names else "the formulas differ at some point"


def _ask_math_verify(gold: str, answer: str) -> str | None:
    if _UNFINISHED.search(answer) and not _UNFINISHED.search(gold):
        return "the answer is not evaluated"
    if not _FOR_MATH_VERIFY.search(gold + answer) or "$" in answer:
        return "no rule reads the answer, and it is not the reference's text"
    if len(re.findall(r"[(|{\[]", answer)) > _MOST_BRACKETS_FOR_MATH_VERIFY:
        return "the answer has too many brackets"
    config = (LatexExtractionConfig(),)
    wanted = math_verify_parse(f"${gold}$", config, parsing_timeout=None)
    given = math_verify_parse(f"${answer}$", config, parsing_timeout=None)
    if not wanted or not given:
        return "no rule reads the answer, and it is not the reference's text"
    if wanted[0] == given[0]:
        return None
    same = math_verify_verify(wanted, given, timeout_seconds=None)
    return None if same else "math-verify finds them different"
