"""What a reference expects, from each of the forms in which gold calls are published."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cascade.errors import DataError
from cascade.verifiers.schema.json_text import parse_json
from cascade.verifiers.schema.limits import DEFAULT_LIMITS, DocumentError
from cascade.verifiers.tools.calls import Call
from cascade.verifiers.tools.comparison import ExpectedCall, Strings
from cascade.verifiers.tools.foreign_values import Language
from cascade.verifiers.tools.signatures import Signatures, resolve_name, signatures_of

__all__ = ["Expected", "bfcl_reference", "expected_of", "gold_calls"]

_REPEAT = re.compile(r"(.*)[_ ][0-9]+")


@dataclass(frozen=True, slots=True)
class Expected:
    """The calls that a response should hold, none for an irrelevance task."""

    calls: tuple[ExpectedCall, ...]
    signatures: Signatures
    order: bool = False
    """Whether the calls must come in this order."""
    reward: Literal["binary", "f1"] = "binary"
    language: Language = "python"


def expected_of(reference: Mapping[str, Any]) -> Expected:
    """Return what `reference` expects.

    Its forms: ``calls`` (a list of ``{"name", "arguments"}``; xLAM's ``expected_answers`` and
    NeMo-Gym's ``ground_truth`` list too), ``acceptable`` (BFCL's ``{name: {argument: [values]}}``),
    ``expected_action`` (NeMo-Gym's next step: a call, or a message and so no call), or
    ``irrelevance: true``. ``tools``, ``order``, ``reward``, ``language`` and ``strings`` apply to
    all of them.

    Raises:
        DataError: none of them, or one that no response could satisfy.
    """
    signatures = signatures_of(reference.get("tools"))
    reward = reference.get("reward", "binary")
    language = reference.get("language", "python")
    if reward not in ("binary", "f1") or language not in ("python", "java", "javascript"):
        raise DataError(f"the reference has reward {reward!r} and language {language!r}")
    calls = tuple(_calls_of(reference, signatures))
    for call in calls:
        if signatures and call.name not in signatures:
            raise DataError(f"the reference expects a call of {call.name!r}, which is no tool")
    return Expected(calls, signatures, bool(reference.get("order", False)), reward, language)


def _calls_of(reference: Mapping[str, Any], signatures: Signatures) -> Iterator[ExpectedCall]:
    if reference.get("irrelevance"):
        return
    action = reference.get("expected_action")
    if isinstance(action, Mapping):
        if action.get("type") == "function_call":
            yield _exact(action, signatures, reference)
        elif action.get("type") != "message":
            raise DataError(f"the expected action is of the type {action.get('type')!r}")
        return
    if reference.get("acceptable") is not None:
        yield from _acceptable(reference["acceptable"], signatures, reference)
        return
    for key in ("calls", "expected_answers", "ground_truth"):
        if isinstance(reference.get(key), Sequence):
            for call in reference[key]:
                yield _exact(call, signatures, reference)
            return
    raise DataError(f"the reference names no expected calls; it has {sorted(reference)}")


def _strings_of(reference: Mapping[str, Any], default: Strings) -> Strings:
    rule = reference.get("strings", default)
    if rule == "exact":
        return "exact"
    if rule == "loose":
        return "loose"
    raise DataError(f'strings must be "exact" or "loose", got {rule!r}')


def _exact(call: Any, signatures: Signatures, reference: Mapping[str, Any]) -> ExpectedCall:
    name = call.get("name") if isinstance(call, Mapping) else None
    arguments = call.get("arguments", {}) if isinstance(call, Mapping) else None
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments, DEFAULT_LIMITS)
        except DocumentError as error:
            raise DataError(f"the arguments of the expected call {name!r}: {error}") from None
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise DataError(f"an expected call needs a name and arguments, got {str(call)[:80]}")
    return ExpectedCall(
        resolve_name(name, signatures),
        {key: (value,) for key, value in arguments.items()},
        signatures.get(resolve_name(name, signatures), {}),
        _strings_of(reference, "exact"),
    )


def _acceptable(
    acceptable: Any, signatures: Signatures, reference: Mapping[str, Any]
) -> Iterator[ExpectedCall]:
    entries = [acceptable] if isinstance(acceptable, Mapping) else acceptable
    for entry in entries:
        for key, options in entry.items():
            name = _without_count(key, signatures)
            if not isinstance(options, Mapping) or not all(
                isinstance(values, list) and values for values in options.values()
            ):
                raise DataError(f"the acceptable values of {key!r} are not lists by argument")
            rule = _strings_of(reference, "loose")
            yield ExpectedCall(name, options, signatures.get(name, {}), rule, nested_options=True)


def _without_count(key: str, signatures: Signatures) -> str:
    """BFCL of 2024 tells calls of one function apart by ``_1`` or `` 1`` after the name."""
    name = resolve_name(key, signatures)
    if name in signatures or not signatures:
        return name
    counted = _REPEAT.fullmatch(key)
    return resolve_name(counted[1], signatures) if counted else key


def bfcl_reference(
    question: Mapping[str, Any], answer: Mapping[str, Any] | None, language: Language = "python"
) -> dict[str, Any]:
    """Return the reference of a BFCL row: its functions and ``ground_truth``.

    Without an answer the row is one of the relevance category: no call is expected.
    """
    functions = question["function"]
    tools = [functions] if isinstance(functions, Mapping) else list(functions)
    if answer is None:
        return {"tools": tools, "irrelevance": True, "language": language}
    return {"tools": tools, "acceptable": answer["ground_truth"], "language": language}


def gold_calls(reference: Mapping[str, Any]) -> tuple[Call, ...]:
    """Return calls that satisfy `reference`: the first acceptable value of each argument.

    Raises:
        DataError: as `expected_of`.
    """
    expected = expected_of(reference)
    return tuple(
        Call(
            call.name,
            {
                key: _first(values, nested=call.nested_options)
                for key, values in call.options.items()
                if not call.nested_options or any(value != "" for value in values)
            },
        )
        for call in expected.calls
    )


def _first(values: Sequence[Any], *, nested: bool) -> Any:
    if not nested:
        return values[0]
    value = next((value for value in values if value != ""), "")
    return _plain(value)


def _plain(value: Any) -> Any:
    """BFCL's nested lists of acceptable values, reduced to the first of each."""
    if isinstance(value, Mapping):
        return {
            key: _first(inner, nested=True) if isinstance(inner, list) and inner else inner
            for key, inner in value.items()
            if not isinstance(inner, list) or not inner or any(item != "" for item in inner)
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
