"""What a rule is: a check, its typed arguments, its wording, and texts that pass and fail.

A `Rule` knows nothing of rows, modes or rewards. Its functions take the parsed arguments by
their published names, so a `Constraint` (a rule's id with its arguments) is all that is needed
to judge, to word or to satisfy an instruction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cascade.verifiers.instructions import language, prose

__all__ = [
    "Argument",
    "Constraint",
    "Rule",
    "choice",
    "compare",
    "language_code",
    "letter",
    "passage",
    "percent",
    "phrase",
    "phrases",
    "relation",
    "whole",
]

RELATIONS = ("at least", "less than")


@dataclass(frozen=True, slots=True)
class Argument:
    """One typed argument of a rule, under its published name."""

    name: str
    parse: Callable[[Any], Any]
    """Turns the value in a row into the value the check takes; raises ValueError if it cannot."""
    draw: Callable[[Random], Any]
    """A value from the small range in which tasks are generated."""
    used: bool = True
    """False: published rows carry it, the instruction does not depend on it, it may be missing."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule's id with its parsed arguments."""

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One instruction that a program can check."""

    id: str
    """The published id, `family:name`."""
    check: Callable[..., bool]
    """``check(text, **arguments)``: whether `text` follows the instruction. Pure."""
    wording: str
    """The instruction, with a ``{field}`` for each argument."""
    witness: Callable[..., str]
    """``witness(rng, **arguments)``: a text that follows the instruction."""
    counterexample: Callable[..., str]
    """``counterexample(rng, **arguments)``: a text that does not."""
    arguments: tuple[Argument, ...] = ()
    joint: Callable[[Random], dict[str, Any]] | None = None
    """Draws all arguments at once, where they depend on each other."""
    blind: bool = False
    """True where a text without meaning follows it by its size or by what it leaves out."""

    def describe(self, **arguments: Any) -> str:
        """Return the instruction in words; every argument that is used appears in it."""
        return self.wording.format_map({name: _spoken(value) for name, value in arguments.items()})

    def draw(self, rng: Random) -> dict[str, Any]:
        """Return random arguments of a satisfiable instruction."""
        if self.joint is not None:
            return self.joint(rng)
        return {arg.name: arg.draw(rng) for arg in self.arguments if arg.used}


def _spoken(value: Any) -> str:
    """Write a value as an instruction words it."""
    if isinstance(value, tuple):
        return ", ".join(f'"{item}"' for item in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def compare(count: float, relation: str, threshold: float) -> bool:
    """Whether `count` stands in `relation` to `threshold`."""
    return count < threshold if relation == "less than" else count >= threshold


def whole(name: str, low: int, high: int, *, least: int = 0) -> Argument:
    """An integer of at least `least`; published rows also write it as a float, 5.0."""

    def parse(value: Any) -> int:
        number = _number(value)
        if number != int(number) or number < least:
            raise ValueError(f"an integer of at least {least}")
        return int(number)

    return Argument(name, parse, lambda rng: rng.randint(low, high))


def percent(name: str, low: int, high: int) -> Argument:
    """A number from 0 to 100."""

    def parse(value: Any) -> float:
        number = _number(value)
        if not 0 <= number <= 100:
            raise ValueError("a number from 0 to 100")
        return number

    return Argument(name, parse, lambda rng: float(rng.randint(low, high)))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a finite number")
    return float(value)


def phrase(name: str) -> Argument:
    """A string with something in it; published rows also write it as a list of one string."""
    return Argument(name, _phrase, prose.keyword)


def _phrase(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a string that is not empty")
    return value.strip()


def phrases(name: str) -> Argument:
    """A list of one or more strings, none empty; kept in order, once each."""

    def parse(value: Any) -> tuple[str, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise ValueError("a list of strings that is not empty")
        return tuple(dict.fromkeys(_phrase(item) for item in value))

    return Argument(name, parse, lambda rng: tuple(prose.keywords(rng, 2)))


def passage(name: str) -> Argument:
    """A text with something in it, kept exactly as it is (spans count its characters)."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("a string that is not empty")
        return value

    return Argument(name, parse, lambda rng: prose.sentence(rng, rng.randint(6, 9)))


def choice(name: str, options: tuple[str, ...], *, used: bool = True) -> Argument:
    """One of a few strings."""

    def parse(value: Any) -> str:
        if value not in options:
            raise ValueError(f"one of {', '.join(map(repr, options))}")
        return str(value)

    return Argument(name, parse, lambda rng: rng.choice(options), used)


def relation(name: str = "relation", *, used: bool = True) -> Argument:
    """How a count compares with its threshold: "at least" or "less than"."""
    return choice(name, RELATIONS, used=used)


def letter(name: str) -> Argument:
    """One character; two published prompts ask for "#" and "!", which are counted as given."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value.strip()) != 1:
            raise ValueError("a single character")
        return value.strip()

    return Argument(name, parse, lambda rng: rng.choice("aeiost"))


def language_code(name: str) -> Argument:
    """An ISO 639-1 code among those that `language.detect` can return."""

    def parse(value: Any) -> str:
        if value not in language.LANGUAGES:
            raise ValueError(f"one of the codes {', '.join(language.LANGUAGES)}")
        return str(value)

    return Argument(name, parse, lambda rng: rng.choice(tuple(language.LANGUAGES)))
