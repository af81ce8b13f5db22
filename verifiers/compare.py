r"""Decides whether a prediction states the gold answer. Gold and prediction are not symmetric.

The gold's form says what was asked for; the prediction has to be that. A comparison returns None
for "the same", else one line that says what differs. Literal numbers, words and everything built of
them are settled here, in the caller's process. For the rest the comparison calls
`Comparer.symbolic`, which in the caller's process raises `NeedsWorker`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cascade.verifiers.notation import clean, unwrap_text
from cascade.verifiers.number import Number
from cascade.verifiers.policy import Policy
from cascade.verifiers.quantity import Quantity, Unit, read_prose, read_quantity
from cascade.verifiers.shape import Equation, Group, Leaf, Shape, is_name, read_shape

__all__ = ["Comparer", "NeedsWorker", "needs_worker"]

Difference = str | None
SymbolicTest = Callable[[str, str, Policy, bool], Difference]
"""(gold, prediction, policy, are equations) -> what differs between two expressions."""


class NeedsWorker(Exception):
    """The comparison needs the expression parser."""


def needs_worker(gold: str, answer: str, policy: Policy, equations: bool) -> Difference:
    """Stand in for the expression parser in a process that must not run it."""
    raise NeedsWorker


_PLAIN = re.compile("-?[0-9]{1,1000}")
"""Integers as nearly all of them are written: most verdicts end here."""


@lru_cache(maxsize=8192)
def _clean(text: str) -> str:
    return clean(text)


@lru_cache(maxsize=8192)
def _shape(text: str) -> Shape:
    return read_shape(text)


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares under one policy."""

    policy: Policy
    symbolic: SymbolicTest = needs_worker

    def difference(self, gold: str, answer: str) -> Difference:
        """Compare two answers as they were written."""
        if _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer):
            same = int(gold) == int(answer)
            exact = not isinstance(self.policy.tolerance, float)
            if same or exact:
                return None if same else f"{_short(answer)} is not {_short(gold)}"
        gold, answer = _clean(gold), _clean(answer)
        if _squeezed(gold) == _squeezed(answer):
            return None
        if (words := _words_of(gold)) is not None:
            return _words_differ(words, answer)
        return self._shapes(_shape(gold), _shape(answer))

    def _shapes(self, gold: Shape, answer: Shape) -> Difference:
        if isinstance(gold, Equation):
            return self._equation(gold, answer)
        if isinstance(answer, Equation):
            value = _value_of(answer)
            if value is None:
                return "the answer is an equation; a value was asked for"
            return self._shapes(gold, value)
        if isinstance(gold, Leaf):
            return self._leaf_and_any(gold, answer)
        if isinstance(answer, Leaf):
            if gold.kind in ("list", "set") and len(gold.items) == 1:
                return self._shapes(gold.items[0], answer)
            return f"the answer is one value; {_described(gold)} was asked for"
        return self._groups(gold, answer)

    def _leaf_and_any(self, gold: Leaf, answer: Leaf | Group) -> Difference:
        if isinstance(answer, Leaf):
            return self._leaves(gold.text, answer.text)
        if answer.kind == "set" and len(answer.items) == 1:
            return self._shapes(gold, answer.items[0])
        if answer.kind == "ratio" and answer.items[-1] == Leaf("00"):
            return self._shapes(gold, answer.items[0])  # 2:00 pm for 2
        if answer.kind == "list":
            if (stated := read_prose(_as_text(answer))) and (asked := read_quantity(gold.text)):
                return self._quantities(asked, stated)
            if all(self._shapes(gold, item) is None for item in answer.items):
                return None  # one value in several spellings
            return "the answer offers several values; one was asked for"
        return f"the answer is {_described(answer)}; one value was asked for"

    def _groups(self, gold: Group, answer: Group) -> Difference:
        if gold.kind in ("list", "set", "union") and len(gold.items) < len(answer.items):
            once = tuple(dict.fromkeys(answer.items))  # a solution that is named twice
            answer = Group(answer.kind, once, answer.brackets, answer.columns)
        if len(gold.items) != len(answer.items):
            return f"{len(answer.items)} values where {len(gold.items)} were asked for"
        if gold.kind in ("list", "set"):
            if answer.kind in ("list", "set"):
                return self._unordered(gold, answer)
            if gold.kind == "list" and answer.kind == "tuple" and answer.brackets == "()":
                return self._ordered(gold, answer)
        elif gold.kind == "union":
            if answer.kind in ("union", "list", "set"):
                return self._unordered(gold, answer)
        elif gold.kind == "tuple":
            return self._tuples(gold, answer)
        elif gold.kind == answer.kind and gold.columns == answer.columns:
            if gold.brackets and answer.brackets and gold.brackets != answer.brackets:
                return f"{answer.brackets} where {gold.brackets} was asked for"
            return self._ordered(gold, answer)
        return f"the answer is {_described(answer)}; {_described(gold)} was asked for"

    def _tuples(self, gold: Group, answer: Group) -> Difference:
        if answer.kind == "list" and gold.brackets == "()":
            return self._ordered(gold, answer)
        if answer.kind != "tuple":
            return f"the answer is {_described(answer)}; {_described(gold)} was asked for"
        if gold.brackets != answer.brackets and len(gold.items) == 2:
            return f"brackets {answer.brackets} where {gold.brackets} were asked for"
        return self._ordered(gold, answer)

    def _ordered(self, gold: Group, answer: Group) -> Difference:
        for place, (wanted, given) in enumerate(zip(gold.items, answer.items, strict=True), 1):
            if difference := self._shapes(wanted, given):
                return f"value {place}: {difference}"
        return None

    def _unordered(self, gold: Group, answer: Group) -> Difference:
        left = list(answer.items)
        for wanted in gold.items:
            for place, given in enumerate(left):
                if self._shapes(wanted, given) is None:
                    del left[place]
                    break
            else:
                return f"a value of {_described(gold)} is missing"
        return None

    def _equation(self, gold: Equation, answer: Shape) -> Difference:
        value = _value_of(gold)
        if not isinstance(answer, Equation):
            if value is None:
                return "the answer is no equation; one was asked for"
            return self._shapes(value, answer)
        gold_name, name = _squeezed(gold.sides[0]), _squeezed(answer.sides[0])
        if value is not None and gold_name == name:
            return self._shapes(value, read_shape(answer.sides[-1]))
        if len(gold.sides) != 2 or len(answer.sides) != 2:
            return "the equations are chains of different length"
        return self.symbolic("=".join(gold.sides), "=".join(answer.sides), self.policy, True)

    def _leaves(self, gold: str, answer: str) -> Difference:
        if _squeezed(gold) == _squeezed(answer):
            return None
        if (words := _words_of(gold)) is not None:
            return _words_differ(words, answer)
        if _is_infinite(gold) or _is_infinite(answer):
            same = _squeezed(gold).lstrip("+") == _squeezed(answer).lstrip("+")
            return None if same else f"{answer} is not {gold}"
        asked = read_quantity(gold, spaced_letters="\\" not in gold)
        if asked is None:
            return self.symbolic(gold, answer, self.policy, False)
        given = read_quantity(answer) or read_prose(answer)
        if given is None and (given := _number_before_letter(answer)) is None:
            if self.policy.final_form != "any" and not _may_be_closed_form(asked, answer):
                return "the answer is not a number in final form"
            return self.symbolic(gold, answer, self.policy, False)
        return self._quantities(asked, given)

    def _quantities(self, gold: Quantity, answer: Quantity) -> Difference:
        if gold.base != 10 or answer.base != 10:
            return _numerals_differ(gold, answer)
        given = answer.number
        if self.policy.final_form == "lowest_terms" and not given.lowest_terms:
            return "the fraction is not in lowest terms"
        if difference := self._units_differ(gold.unit, answer.unit):
            return difference
        if gold.unit and answer.unit and gold.unit.dimension == answer.unit.dimension != "":
            factor = answer.unit.factor / gold.unit.factor
            if self.policy.units != "ignore" and factor != 1:
                given = Number(given.value * factor)
        readings = [given]
        if gold.percent != answer.percent and (
            gold.percent or self.policy.percent == "sign_optional"
        ):
            scale = 1 if gold.percent else 100
            readings.append(_scaled(given, scale))
        for reading in readings:
            reference = gold.number
            if gold.percent and not answer.percent and reading is readings[-1]:
                reference = _scaled(reference, 100)  # the sign was left out: 62.5 for 62.5%
            if numbers_differ(reference, reading, self.policy) is None:
                return None
        return numbers_differ(gold.number, given, self.policy)

    def _units_differ(self, gold: Unit | None, answer: Unit | None) -> Difference:
        if self.policy.units == "ignore" or gold is None:
            return None
        if answer is None:
            return f"the unit {gold.name} is missing" if self.policy.units == "required" else None
        if gold.dimension != answer.dimension and gold.dimension and answer.dimension:
            return f"{answer.name} where {gold.name} was asked for"
        return None


def numbers_differ(gold: Number, answer: Number, policy: Policy) -> Difference:
    """Compare two literal numbers under the policy's tolerance."""
    error = abs(gold.value - answer.value)
    if error == 0:
        return None
    size = max(abs(gold.value), abs(answer.value))
    if isinstance(policy.tolerance, int | float):
        allowed = policy.tolerance * abs(gold.value)
        return None if error <= allowed else f"off by {_short(error)}"
    if policy.tolerance == "gold_precision" and gold.places is not None:
        half_unit = 10 ** float(gold.places) / 2 if abs(gold.places) < 300 else 0
        if error <= half_unit and float(error / size) <= policy.max_relative_error:
            return None
    shown = answer.places is not None and 0 < policy.decimal_digits <= answer.digits
    if policy.tolerance != "exact" and gold.places is None and shown and not _ends(gold):
        places = answer.places or 0
        if abs(places) < 300 and error < 10.0**places:
            return None
    return f"off by {_short(error)}"


def _ends(number: Number) -> bool:
    """Whether the exact value has a finite decimal, which an answer can be expected to give."""
    rest = number.value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _scaled(number: Number, factor: int) -> Number:
    places = None if number.places is None else number.places + len(str(factor)) - 1
    return Number(number.value * factor, places, number.digits)


def _short(error: object) -> str:
    text = str(error)
    return text if len(text) <= 24 else f"{text[:20]}…"


def _numerals_differ(gold: Quantity, answer: Quantity) -> Difference:
    if gold.base == answer.base:
        same = gold.number.value == answer.number.value
        return None if same else f"{answer.numeral} is not {gold.numeral}"
    if answer.base == 10 and answer.number.value.denominator == 1:
        same = str(answer.number.value.numerator) == gold.numeral
        return None if same else f"not {gold.numeral} in base {gold.base}"
    return f"a numeral of base {answer.base}; base {gold.base} was asked for"


def _value_of(equation: Equation) -> Shape | None:
    """What `x = 5`, `f(x) = x + 1` and `x = 2 + 3 = 5` say x is; None for other equations."""
    if not is_name(equation.sides[0]):
        return None
    return read_shape(equation.sides[-1])


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _is_infinite(text: str) -> bool:
    return _squeezed(text).lstrip("+-") in (r"\infty", "infinity", "inf", "oo")


def _as_text(group: Group) -> str:
    return ", ".join(item.text for item in group.items if isinstance(item, Leaf))


def _described(group: Group) -> str:
    names = {"list": "a list", "set": "a set", "union": "a union", "matrix": "a matrix"}
    if group.kind == "tuple":
        return f"a tuple or interval {group.brackets[:1]}…{group.brackets[1:]}"
    return names.get(group.kind, "a ratio or time")


def _number_before_letter(answer: str) -> Quantity | None:
    """`10m` and `1001_b` for golds without a variable: the letter is a unit, or a base."""
    if based := re.fullmatch(r"(-?[0-9]+)_\{?[a-z]\}?", answer):
        return read_quantity(based[1])
    match = re.fullmatch(r"(-?[0-9.,]+)\s*([A-Za-z]{1,2})", answer)
    return read_quantity(f"{match[1]} \\text{{{match[2]}}}") if match else None


def _may_be_closed_form(gold: Quantity, answer: str) -> bool:
    r"""A rounded gold may be answered exactly (`\pi/4` for 0.785), an angle in radians."""
    irrational = r"\\pi|\bpi\b|\\sqrt|sqrt|\\ln|\\log|\be\b|\\a?r?c?(?:sin|cos|tan)"
    if gold.number.places is not None:
        return bool(re.search(irrational, answer))
    return gold.unit is not None and gold.unit.dimension == "angle" and "pi" in answer


_WORD = re.compile(r"[A-Za-z][a-z'’-]{2,}")
_FUNCTION_WORDS = frozenset(
    {
        "sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "sqrt", "max", "min",
        "alpha", "beta", "gamma", "delta", "theta", "lambda", "omega",
    }
)  # fmt: skip
_NAMES = re.compile(r"[A-Z]{2,6}")
_CHOICE = re.compile(r"\(?([A-Z])[).:]?")


def _words_of(gold: str) -> str | None:
    """Return the words if the gold is text: "Monday", "no solution", the segment AB, option C."""
    text = unwrap_text(gold)
    if _NAMES.fullmatch(text) or _CHOICE.fullmatch(text):
        return text
    if not re.fullmatch(r"[A-Za-z][A-Za-z .'’-]*", text):
        return None
    words = [w for w in text.split() if _WORD.fullmatch(w) and re.search("[aeiouy]", w.lower())]
    if not words or any(word.lower() in _FUNCTION_WORDS for word in words):
        return None
    return text


def _words_differ(gold: str, answer: str) -> Difference:
    given = unwrap_text(answer).replace("**", "").strip()
    if choice := _CHOICE.fullmatch(gold):
        named = _CHOICE.fullmatch(given) or re.match(
            r"\(?([A-J])[).:]\s+(?=[\w\\$])(?!.*\b[A-J][).])", given
        )
        if named is None and (side := re.fullmatch(r"[A-Za-z ]+=\s*(.+)", given)):
            named = _CHOICE.fullmatch(side[1])
        same = named is not None and named[1] == choice[1]
    elif _NAMES.fullmatch(gold):
        same = _squeezed(given) == gold
    else:
        same = _plain_words(given) == _plain_words(gold)
    return None if same else f"{given[:40]!r} is not {gold[:40]!r}"


def _plain_words(text: str) -> str:
    words = re.sub(r"[^0-9a-z ]+", " ", text.casefold()).split()
    return " ".join(word for word in words if word not in ("the", "a", "an"))
