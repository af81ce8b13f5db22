"""Static bounds on a prediction, checked before anything reads it."""

from __future__ import annotations

import re

from cascade.verifiers.policy import Policy

__all__ = ["over_limit"]

_DIGITS = re.compile(r"[0-9]+")
_BRACKETS = re.compile(r"[(\[{]|[)\]}]")


def over_limit(text: str, policy: Policy) -> str | None:
    """Return which limit `text` exceeds, None if it is within all of them."""
    if len(text) > policy.max_characters:
        return f"the answer has {len(text)} characters; the limit is {policy.max_characters}"
    longest = max((len(run) for run in _DIGITS.findall(text)), default=0)
    if longest > policy.max_digits:
        return f"a number of {longest} digits; the limit is {policy.max_digits}"
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    if deepest > policy.max_depth:
        return f"{deepest} nested brackets; the limit is {policy.max_depth}"
    return None
