"""The choices a grader has to make, as named options; see docs/verifiers.md for the reasons."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from cascade.errors import ConfigError

__all__ = ["Policy"]

Extraction = Literal["lenient", "marked", "boxed", "whole"]
Reasoning = Literal["strip", "keep"]
Boxes = Literal["last", "first", "agree"]
FinalForm = Literal["evaluated", "lowest_terms", "any"]
Units = Literal["compatible", "ignore", "required"]
Percent = Literal["value", "sign_optional"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "extraction": get_args(Extraction),
    "reasoning": get_args(Reasoning),
    "boxes": get_args(Boxes),
    "final_form": get_args(FinalForm),
    "units": get_args(Units),
    "percent": get_args(Percent),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How `verify` reads and compares. Frozen and hashable: it is part of the cache key.

    Raises:
        ConfigError: a field has a value that is no choice; the message lists the choices.
    """

    extraction: Extraction = "lenient"
    """Where the answer may stand: `boxed` (last box only), `marked` (also "the answer is …"),
    `lenient` (also the last number or expression), `whole` (the text is the answer already)."""
    reasoning: Reasoning = "strip"
    """`strip` ignores everything up to the end of the reasoning block; `keep` reads it too."""
    boxes: Boxes = "last"
    """Which of several boxes counts: the `last` (boxes side by side count together, as several
    answers), the `first`, or `agree`: all must hold the same text."""
    final_form: FinalForm = "evaluated"
    """What a number must look like: `evaluated` refuses 17*23 for 391, `lowest_terms` also 2/4
    for 1/2, `any` evaluates whatever is there."""
    units: Units = "compatible"
    """`compatible`: a unit may be left out, but one that is given must measure the same quantity
    (100 cm for 1 m is right, 1 cm is not); `ignore`: never looked at; `required`: the gold's unit
    must be there."""
    percent: Percent = "value"
    """`value`: 9% is 0.09, and not 9; `sign_optional`: 9% may also answer a gold of 9, for
    data sets that ask "what percent" and store the bare number (GSM8K, MATH)."""
    tolerance: Literal["gold_precision", "exact"] | float = "gold_precision"
    """`gold_precision`: a decimal gold accepts what lies within half a unit of its last place and
    within `max_relative_error`; `exact`: nothing else; a float: that relative error, also for
    integers."""
    max_relative_error: float = 0.01
    """Ceiling of `gold_precision`: 0.52 is not 0.5 although it rounds to it."""
    decimal_digits: int = 6
    """A decimal may answer an exact gold (1/3, a surd) if it shows at least this many significant
    digits and all are right; 0 never."""
    max_characters: int = 2000
    """Longer predictions are WRONG unread."""
    max_digits: int = 1000
    """Digits of one number in a prediction; more are WRONG unread."""
    max_depth: int = 40
    """Nested brackets in a prediction; more are WRONG unread."""

    def __post_init__(self) -> None:
        """Refuse values that are no choice."""
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"Policy.{name} must be one of {choices}, got {value!r}")
        tolerance = self.tolerance
        named = tolerance in ("gold_precision", "exact")
        if not named and not (isinstance(tolerance, int | float) and 0 <= tolerance < 1):
            raise ConfigError(
                "Policy.tolerance must be 'gold_precision', 'exact' or a relative error in "
                f"[0, 1), got {tolerance!r}"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the fields, for reports and for the worker processes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
