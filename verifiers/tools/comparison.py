"""Is an argument the expected one? Types by the declaration, values by a stated rule.

Where BFCL's checker strips spaces and ``,./-_*^`` from strings, so that "-5" equals "5" and "a/b"
equals "ab", the "loose" rule here forgives only how a text is written: case, quotes, runs of
blanks, a comma, an underscore or a hyphen between words, a final full stop. Signs, slashes, decimal
points, stars and powers count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cascade.verifiers.tools.signatures import kinds_of, properties_of

__all__ = ["ExpectedCall", "Strings", "argument_problem", "call_problem", "loose_form"]

Strings = Literal["exact", "loose"]

_RELATIVE_TOLERANCE = 1e-9
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": "'", "”": "'", '"': "'", "`": "'"})
_COMMA = re.compile(r",(?!\d)|(?<!\d),|,(?=\d{4}(?!\d))")
"""Not the comma of 1,000; but that of "April 1,2024"."""
_JOINER = re.compile(r"(?<=[^\W\d_])[-_](?=[^\W\d_])")
_BEFORE_UNIT = re.compile(r"(?<=\d)\s+(?=[^\W\d])")


def loose_form(text: str) -> str:
    """Return what of `text` the loose rule compares."""
    text = text.translate(_QUOTES).casefold()
    text = " ".join(_JOINER.sub(" ", _COMMA.sub(" ", text)).split())
    return _BEFORE_UNIT.sub("", text).rstrip(".")


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """One expected call, with the values that each argument may have."""

    name: str
    options: Mapping[str, Sequence[Any]]
    """Argument -> acceptable values; in BFCL's notation "" among them means: may be left out."""
    parameters: Mapping[str, Any]
    """The declared schema of the parameters, empty if unknown."""
    strings: Strings = "exact"
    nested_options: bool = False
    """Whether objects among the values hold lists of acceptable values in turn, as in BFCL."""


def call_problem(name: str, arguments: Mapping[str, Any], expected: ExpectedCall) -> str | None:
    """Return None if a call is the expected one, else why not."""
    if name != expected.name:
        return f"{name[:60]!r} is called, not {expected.name!r}"
    declared = properties_of(expected.parameters)
    for key, value in arguments.items():
        if key in expected.options:
            problem = argument_problem(value, declared.get(key), expected.options[key], expected)
            if problem is not None:
                return f"{key}: {problem}"
        elif not _is_default(value, declared.get(key)):
            return f"the argument {key[:60]!r} is not expected"
    for key, options in expected.options.items():
        if key not in arguments and not _may_be_left_out(key, options, expected):
            return f"the argument {key!r} is missing"
    return None


def _may_be_left_out(key: str, options: Sequence[Any], expected: ExpectedCall) -> bool:
    if expected.nested_options and "" in options:
        return True
    declared = properties_of(expected.parameters).get(key)
    if key in (expected.parameters.get("required") or ()):
        return False
    return any(_is_default(option, declared) for option in options)


def _is_default(value: Any, declared: Any) -> bool:
    return (
        isinstance(declared, Mapping)
        and "default" in declared
        and _same_json(value, declared["default"])
    )


def _same_json(one: Any, two: Any) -> bool:
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    return type(one) in (int, float, str, list, dict, type(None)) and bool(one == two)


def argument_problem(
    value: Any, declared: Any, options: Sequence[Any], expected: ExpectedCall
) -> str | None:
    """Return None if `value` is one of `options`, in the declared type, else why not."""
    kinds = kinds_of(declared)
    wrong_type = bool(kinds) and not _has_kind(value, kinds)
    for option in options:
        # An option of another type than the declared one is the name of a variable, or a slip of
        # the data: the value must then be of the option's own type.
        own_type = not kinds or _has_kind(option, kinds)
        if own_type and wrong_type:
            continue
        if _matches(value, option, declared if own_type else None, expected):
            return None
    if wrong_type:
        return f"{_shown(value)} is not of type {' or '.join(sorted(kinds))}"
    return f"{_shown(value)} is none of the acceptable values"


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, (list, dict)) or len(value) < 50 else "…"
    return text if len(text) <= 80 else text[:80] + "…"


def _has_kind(value: Any, kinds: frozenset[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, int):
        return "integer" in kinds or "number" in kinds
    if isinstance(value, float):
        return "number" in kinds
    if value is None:
        return "null" in kinds
    if isinstance(value, str):
        return "string" in kinds
    return ("array" if isinstance(value, list) else "object") in kinds


def _matches(value: Any, option: Any, declared: Any, expected: ExpectedCall) -> bool:
    if isinstance(option, bool) or isinstance(value, bool):
        return option is value
    if isinstance(option, (int, float)):
        return isinstance(value, (int, float)) and _close(value, option)
    if isinstance(option, str):
        return isinstance(value, str) and _same_text(value, option, expected.strings)
    if isinstance(option, list):
        return isinstance(value, list) and _same_items(value, option, declared, expected)
    if isinstance(option, Mapping):
        return isinstance(value, Mapping) and _same_object(value, option, declared, expected)
    return option is None and value is None


def _close(value: int | float, option: int | float) -> bool:
    if isinstance(value, int) and isinstance(option, int):
        return value == option
    try:
        return math.isclose(value, option, rel_tol=_RELATIVE_TOLERANCE)
    except OverflowError:
        return False


def _same_text(value: str, option: str, rule: Strings) -> bool:
    return value == option or (rule == "loose" and loose_form(value) == loose_form(option))


def _same_items(value: list[Any], option: list[Any], declared: Any, expected: ExpectedCall) -> bool:
    items = declared.get("items") if isinstance(declared, Mapping) else None
    return len(value) == len(option) and all(
        argument_problem(one, items, [two], expected) is None
        for one, two in zip(value, option, strict=True)
    )


def _same_object(
    value: Mapping[str, Any], option: Mapping[str, Any], declared: Any, expected: ExpectedCall
) -> bool:
    properties = properties_of(declared)

    def options_of(key: str) -> Sequence[Any]:
        own = option[key]
        if not expected.nested_options or not isinstance(own, list):
            return [own]
        # A list here holds the acceptable values; some rows give the value itself.
        return [*own, own] if own else [own]

    for key, item in value.items():
        if key not in option:
            return False
        if argument_problem(item, properties.get(key), options_of(key), expected) is not None:
            return False
    return all(
        key in value or (expected.nested_options and "" in options_of(key)) for key in option
    )
