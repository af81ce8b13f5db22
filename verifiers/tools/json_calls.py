"""Calls as JSON: OpenAI messages, Llama's and Mistral's texts.

OpenAI: a message with ``tool_calls`` (arguments are JSON text), or that list as text; the items of
a Responses API output are read too. Llama 3: ``{"name": …, "parameters": {…}}``, several joined
by ``;``, after an optional ``<|python_tag|>``, or ``<function=name>{…}</function>``. Mistral:
``[TOOL_CALLS]`` before a JSON list of calls, or before each ``name[ARGS]{…}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cascade.verifiers.schema.json_text import check_depth, parse_json
from cascade.verifiers.schema.limits import DEFAULT_LIMITS, DocumentError
from cascade.verifiers.tools.calls import Call, Malformed, ParsedCalls
from cascade.verifiers.tools.signatures import Signatures

__all__ = [
    "call_of_object",
    "looks_like_json_calls",
    "parse_json_text",
    "parse_llama",
    "parse_message",
    "parse_mistral",
    "parse_openai_text",
]

_ARGUMENT_KEYS = ("arguments", "parameters")
_ATTEMPT = re.compile(
    r'[\[\s]*\{\s*"(?:name|function|tool_calls|type"\s*:\s*"function(?:_call)?|id|call_id)"'
)
_END_MARKS = ("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "</s>")
_TOOL_CALLS = "[TOOL_CALLS]"
_SPACE = re.compile(r"\s*")
_SEPARATORS = re.compile(r"[\s;]*")
_LLAMA_FUNCTION = re.compile(r"<function=([^<>\s=]+)>")
_MISTRAL_NAME = re.compile(r"\s*([^\s\[\]{}]+?)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(?=\{)")


def call_of_object(data: Any) -> Call:
    """Return the call that a JSON object with a name and arguments is.

    Raises:
        DocumentError: a name or arguments are missing, or of the wrong type.
    """
    if isinstance(data, Mapping) and isinstance(data.get("function"), Mapping):
        data = data["function"]
    if not isinstance(data, Mapping):
        raise DocumentError("a call must be an object")
    name = data.get("name")
    if not isinstance(name, str) or not name:
        raise DocumentError('a call without a "name"')
    keys = [key for key in _ARGUMENT_KEYS if key in data]
    if len(keys) != 1:
        raise DocumentError('a call needs its "arguments"')
    arguments = data[keys[0]]
    if isinstance(arguments, str):
        arguments = parse_json(arguments, DEFAULT_LIMITS) if arguments.strip() else {}
    if not isinstance(arguments, Mapping):
        raise DocumentError("the arguments must be an object")
    return Call(name, arguments)


def looks_like_json_calls(text: str) -> bool:
    """Whether a text begins as calls in JSON, broken or not."""
    return _ATTEMPT.match(text) is not None


def parse_message(items: Sequence[Any]) -> tuple[list[Call], list[Malformed]]:
    """Read a list of OpenAI tool calls, or of items of a Responses API output."""
    calls: list[Call] = []
    malformed: list[Malformed] = []
    for item in items:
        try:
            calls.append(call_of_object(item))
        except DocumentError as error:
            malformed.append(Malformed(str(item)[:1000], str(error)))
    return calls, malformed


def parse_openai_text(text: str, signatures: Signatures) -> ParsedCalls:
    """Read `text` as a JSON list of calls, one call, or a message with ``tool_calls``."""
    return parse_json_text(text)


def parse_json_text(text: str) -> ParsedCalls:
    """Read `text`, if it begins as a call in JSON."""
    bare = _unfenced(text)
    if not looks_like_json_calls(bare):
        return ParsedCalls((), text.strip())
    try:
        data = parse_json(bare, DEFAULT_LIMITS)
    except DocumentError as error:
        return ParsedCalls((), "", (Malformed(bare, str(error)),))
    if isinstance(data, Mapping) and isinstance(data.get("tool_calls"), list):
        data = data["tool_calls"]
    if isinstance(data, Mapping) and not _is_attempt(data):
        return ParsedCalls((), text.strip())
    calls, malformed = parse_message(data if isinstance(data, list) else [data])
    return ParsedCalls(tuple(calls), "", tuple(malformed))


def _is_attempt(data: Mapping[str, Any]) -> bool:
    """Whether an object means to be a call: not every object with an "id" does."""
    return "function" in data or ("name" in data and any(key in data for key in _ARGUMENT_KEYS))


def _unfenced(text: str) -> str:
    bare = text.strip()
    if not bare.startswith("```") or not bare.endswith("```") or bare.count("```") != 2:
        return bare
    first, _, rest = bare.partition("\n")
    return rest.removesuffix("```").strip() if rest else first.strip("`").strip()


def parse_llama(text: str, signatures: Signatures) -> ParsedCalls:
    """Read Llama 3's JSON calls."""
    bare = text.strip()
    for mark in _END_MARKS:
        bare = bare.removesuffix(mark).rstrip()
    tagged = bare.startswith("<|python_tag|>")
    bare = bare.removeprefix("<|python_tag|>").strip()
    if "<function=" in bare:
        return _llama_functions(bare)
    if not looks_like_json_calls(bare):
        stray = (Malformed(bare, "nothing callable after <|python_tag|>"),) if tagged else ()
        return ParsedCalls((), "" if tagged else bare, stray)
    return _joined_objects(bare)


def _joined_objects(text: str) -> ParsedCalls:
    calls: list[Call] = []
    try:
        check_depth(text, DEFAULT_LIMITS.max_depth)
        at = 0
        while at < len(text):
            data, at = _object_at(text, at)
            if not calls and not (isinstance(data, list) or _is_attempt(data)):
                return ParsedCalls((), text)
            calls.extend(map(call_of_object, data if isinstance(data, list) else [data]))
            at = _SEPARATORS.match(text, at).end()  # type: ignore[union-attr]
    except DocumentError as error:
        return ParsedCalls(tuple(calls), "", (Malformed(text, str(error)),))
    return ParsedCalls(tuple(calls))


def _object_at(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that starts at `at`, read strictly, and where it ends."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(error).split(":")[0]) from None
    return parse_json(text[at:end], DEFAULT_LIMITS), end


def _llama_functions(text: str) -> ParsedCalls:
    calls: list[Call] = []
    malformed: list[Malformed] = []
    outside: list[str] = []
    at = 0
    while (start := text.find("<function=", at)) >= 0:
        outside.append(text[at:start])
        end = text.find("</function>", start)
        head = _LLAMA_FUNCTION.match(text, start)
        if end < 0 or head is None or head.end() > end:
            malformed.append(Malformed(text[start:], "a function that never closes"))
            at = len(text)
            break
        at = end + len("</function>")
        try:
            arguments = parse_json(text[head.end() : end].strip(), DEFAULT_LIMITS)
            calls.append(call_of_object({"name": head[1], "arguments": arguments}))
        except DocumentError as error:
            malformed.append(Malformed(text[start:at], str(error)))
    outside.append(text[at:])
    return ParsedCalls(tuple(calls), "".join(outside).strip(), tuple(malformed))


def parse_mistral(text: str, signatures: Signatures) -> ParsedCalls:
    """Read the calls after ``[TOOL_CALLS]``."""
    before, mark, rest = text.partition(_TOOL_CALLS)
    if not mark:
        return ParsedCalls((), text.strip())
    rest = rest.strip()
    for end_mark in _END_MARKS:
        rest = rest.removesuffix(end_mark).rstrip()
    calls: list[Call] = []
    try:
        check_depth(rest, DEFAULT_LIMITS.max_depth)
        at = 0
        while at < len(rest) or not calls:
            found, at = _mistral_calls_at(rest, at)
            calls.extend(found)
            at = _SPACE.match(rest, at).end()  # type: ignore[union-attr]
            if rest.startswith(_TOOL_CALLS, at):
                at += len(_TOOL_CALLS)
    except DocumentError as error:
        return ParsedCalls(tuple(calls), before.strip(), (Malformed(rest, str(error)),))
    return ParsedCalls(tuple(calls), before.strip())


def _mistral_calls_at(text: str, at: int) -> tuple[list[Call], int]:
    """Return the calls of the list, or the named call, that starts at `at`, and its end."""
    if text.startswith("[", at):
        data, end = _object_at(text, at)
        if not data:
            raise DocumentError("[TOOL_CALLS] before an empty list")
        return [call_of_object(item) for item in data], end
    head = _MISTRAL_NAME.match(text, at)
    if head is None:
        raise DocumentError("[TOOL_CALLS] without a name and its arguments")
    arguments, end = _object_at(text, head.end())
    return [call_of_object({"name": head[1], "arguments": arguments})], end
