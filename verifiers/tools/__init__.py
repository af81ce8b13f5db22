"""Tool calls: parsed from every format in use, and compared with the expected ones.

    from cascade.verifiers import tools

    parsed = tools.parse_calls(response, "nemotron", tools=declared)
    verdict = tools.verify(response, {"calls": [{"name": …, "arguments": …}], "tools": declared})

A response that tries to call and fails is WRONG with a reason that begins "malformed": also where
no call was expected, so that a broken call is never taken for an abstention (BFCL #1362). Types
follow the declaration: an integer is not a string, nor 5.0 an integer. Calls may come in any order
unless ``order`` is set, are paired by maximum matching, and surplus calls cost reward.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade.errors import UnknownNameError
from cascade.types import Verdict, VerdictStatus
from cascade.verifiers.tools.calls import FORMATS, Call, CallFormat, Malformed, ParsedCalls
from cascade.verifiers.tools.comparison import ExpectedCall, call_problem
from cascade.verifiers.tools.foreign_values import foreign_value
from cascade.verifiers.tools.matching import longest_common_order, maximum_matching
from cascade.verifiers.tools.parsing import Response, parse_calls
from cascade.verifiers.tools.references import Expected, bfcl_reference, expected_of, gold_calls
from cascade.verifiers.tools.rendering import message_of, render_calls
from cascade.verifiers.tools.signatures import properties_of, resolve_name

__all__ = [
    "FORMATS",
    "Call",
    "CallFormat",
    "Malformed",
    "ParsedCalls",
    "ToolCallVerifier",
    "bfcl_reference",
    "gold_calls",
    "message_of",
    "parse_calls",
    "render_calls",
    "verify",
]

_MAX_CALLS = 256
"""More calls in one message than any task expects; beyond it nothing is compared."""
_MAX_SHOWN = 4_000


@dataclass(frozen=True, slots=True)
class ToolCallVerifier:
    """Judges the calls in responses against the expected ones. Any thread may call it."""

    format: CallFormat = "auto"
    """How calls are written in text; see `parse_calls`."""

    def __post_init__(self) -> None:
        """Refuse a format that does not exist."""
        if self.format not in FORMATS:
            raise UnknownNameError.near("tool-call format", str(self.format), FORMATS)

    def __call__(self, response: Response, reference: Mapping[str, Any], /) -> Verdict:
        """Judge `response`; the forms of the reference are those of `references.expected_of`.

        Raises:
            DataError: a reference that no response could satisfy.
        """
        expected = expected_of(reference)
        parsed = parse_calls(response, self.format, reference.get("tools") or ())
        return _judge(parsed, expected)


def verify(
    response: Response, reference: Mapping[str, Any], *, format: CallFormat = "auto"
) -> Verdict:
    """Judge `response` with a `ToolCallVerifier` of that format."""
    return ToolCallVerifier(format)(response, reference)


def _judge(parsed: ParsedCalls, expected: Expected) -> Verdict:
    shown = _shown(parsed.calls)
    if parsed.malformed:
        return Verdict.wrong(shown, f"malformed call: {parsed.malformed[0].reason}")
    if not parsed.calls and not parsed.text:
        return Verdict.no_answer("neither a call nor a text")
    if not expected.calls:
        if parsed.calls:
            return Verdict.wrong(shown, f"no call was expected, {len(parsed.calls)} were made")
        return Verdict.correct(None, "no call, as expected")
    if not parsed.calls:
        return Verdict.no_answer(f"no call, {len(expected.calls)} expected")
    if len(parsed.calls) > _MAX_CALLS:
        return Verdict.wrong(shown, f"{len(parsed.calls)} calls, {len(expected.calls)} expected")
    return _score(tuple(_read(call, expected) for call in parsed.calls), expected, shown)


def _read(call: Call, expected: Expected) -> Call:
    """The call with its declared name, and values in the types of the task's language."""
    name = resolve_name(call.name, expected.signatures)
    declared = properties_of(expected.signatures.get(name))
    arguments = {
        key: foreign_value(value, declared.get(key, {}), expected.language)
        for key, value in call.arguments.items()
    }
    return Call(name, arguments)


def _score(calls: tuple[Call, ...], expected: Expected, shown: str) -> Verdict:
    wanted = expected.calls

    def fits(row: int, column: int) -> bool:
        call = calls[column]
        return call_problem(call.name, call.arguments, wanted[row]) is None

    pair = longest_common_order if expected.order else maximum_matching
    matched = pair(len(wanted), len(calls), fits)
    f1 = 2 * len(matched) / (len(wanted) + len(calls))
    if f1 == 1:
        return Verdict.correct(shown)
    reason = _why_not(calls, wanted, matched)
    if expected.reward == "binary" or f1 == 0:
        return Verdict.wrong(shown, reason)
    return Verdict(f1, VerdictStatus.PARTIAL, shown, reason=reason)


def _why_not(
    calls: tuple[Call, ...], wanted: tuple[ExpectedCall, ...], matched: dict[int, int]
) -> str:
    missing = [row for row in range(len(wanted)) if row not in matched]
    surplus = [column for column in range(len(calls)) if column not in set(matched.values())]
    if not missing:
        return f"{len(surplus)} surplus calls, first {calls[surplus[0]].name[:60]!r}"
    want = wanted[missing[0]]
    near = next((c for c in surplus if calls[c].name == want.name), None)
    if near is None and len(surplus) == 1:
        near = surplus[0]
    if near is None:
        return f"the call of {want.name!r} is missing"
    problem = call_problem(calls[near].name, calls[near].arguments, want)
    return f"{want.name}: {problem or 'out of order'}"


def _shown(calls: tuple[Call, ...]) -> str:
    """The calls as ASCII JSON, so that any file can hold them."""
    text = json.dumps([{"name": c.name, "arguments": c.arguments} for c in calls[:_MAX_CALLS]])
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + " …"
