"""From a response to its calls: one entry for every format, and the telling apart of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cascade.errors import UnknownNameError
from cascade.verifiers.schema.extraction import answer_part
from cascade.verifiers.tools.calls import FORMATS, CallFormat, Malformed, ParsedCalls
from cascade.verifiers.tools.foreign_values import parse_foreign
from cascade.verifiers.tools.json_calls import (
    looks_like_json_calls,
    parse_llama,
    parse_message,
    parse_mistral,
    parse_openai_text,
)
from cascade.verifiers.tools.python_calls import called_name, parse_python, unwrapped
from cascade.verifiers.tools.signatures import Signatures, resolve_name, signatures_of
from cascade.verifiers.tools.xml_calls import parse_hermes, parse_tagged, parse_xml_calls

__all__ = ["MAX_CHARS", "Response", "parse_calls"]

Response = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Text, an OpenAI message, or the items of a Responses API output."""

MAX_CHARS = 1_000_000
"""A longer response is one malformed call: no tool takes such arguments."""

_PARSERS: Mapping[CallFormat, Callable[[str, Signatures], ParsedCalls]] = {
    "nemotron": parse_xml_calls,
    "qwen3_coder": parse_xml_calls,
    "hermes": parse_hermes,
    "openai": parse_openai_text,
    "python": parse_python,
    "llama": parse_llama,
    "mistral": parse_mistral,
    "java": parse_foreign,
    "javascript": parse_foreign,
}


def parse_calls(response: Response, format: CallFormat = "auto", tools: Any = ()) -> ParsedCalls:
    """Return the calls in `response`, the text around them, and what failed to be a call.

    Args:
        response: text with its reasoning block, if any; an OpenAI message (its ``tool_calls`` are
            read, and its content too, for a server leaves there what its parser did not
            understand); or the items of a Responses API output.
        format: how calls are written in text. "auto" goes by the marks in the text.
        tools: the declared tools; they give XML parameters their types and positional Python
            arguments their names, and tell a mention of a tool from prose with brackets.

    Raises:
        UnknownNameError: there is no such format.
    """
    if format not in FORMATS:
        raise UnknownNameError.near("tool-call format", str(format), FORMATS)
    signatures = signatures_of(tools)
    if isinstance(response, str):
        return _parse_text(response, format, signatures)
    text, items = _parts_of(response)
    calls, malformed = parse_message(items)
    if not text:
        return ParsedCalls(tuple(calls), "", tuple(malformed), "openai")
    # Beside calls in their own field, only marks that mean nothing else are read as calls.
    guess = _marked_format(text) if format in ("auto", "openai") and items else format
    rest = ParsedCalls(text=text.strip()) if guess is None else _parse_text(text, guess, signatures)
    return ParsedCalls(
        (*calls, *rest.calls),
        rest.text,
        (*malformed, *rest.malformed),
        "openai" if items else rest.format,
    )


def _parts_of(response: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    """The text and the raw calls of a message or of output items."""
    if isinstance(response, Mapping):
        content = response.get("content")
        return _content_text(content), list(response.get("tool_calls") or ())
    texts = [_content_text(i.get("content")) for i in response if i.get("type") == "message"]
    return "".join(texts), [item for item in response if item.get("type") == "function_call"]


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _parse_text(text: str, format: CallFormat, signatures: Signatures) -> ParsedCalls:
    answer = answer_part(text)
    if answer is None:
        # The reasoning never ended: there is nothing yet that could be a call or a text.
        return ParsedCalls(format=format)
    if len(answer) > MAX_CHARS:
        reason = f"{len(answer)} characters, more than {MAX_CHARS}"
        return ParsedCalls((), "", (Malformed(answer[:1000], reason),), format)
    if format != "auto":
        return replace(_PARSERS[format](answer, signatures), format=format)
    return _parse_auto(answer, signatures)


def _marked_format(text: str) -> CallFormat | None:
    """The format whose marks are in `text`, which prose does not contain by chance."""
    if "<tool_call" in text or "</tool_call>" in text:
        return "auto"
    if "[TOOL_CALLS]" in text:
        return "mistral"
    if "<|python_tag|>" in text:
        return "llama"
    if "<function=" in text:
        return "llama" if "<parameter=" not in text else "nemotron"
    if "<parameter=" in text or "</function>" in text:
        return "nemotron"
    return None


def _parse_auto(text: str, signatures: Signatures) -> ParsedCalls:
    marked = _marked_format(text)
    if marked == "auto":
        shape: CallFormat = "hermes" if "<function=" not in text else "nemotron"
        return replace(parse_tagged(text, signatures), format=shape)
    if marked is not None:
        return replace(_PARSERS[marked](text, signatures), format=marked)
    bare = unwrapped(text)
    if looks_like_json_calls(bare):
        parsed = parse_openai_text(bare, signatures)
        if parsed.malformed and ";" in bare:
            parsed = parse_llama(bare, signatures)
        return replace(parsed, format="openai")
    in_list, name = called_name(bare, signatures)
    if name is None or in_list or not signatures or resolve_name(name, signatures) in signatures:
        parsed = replace(parse_python(text, signatures), format="python")
        # Without declarations, "f(x) is even" may be prose: only a clean reading is a call.
        if signatures or in_list or not parsed.malformed:
            return parsed
    return ParsedCalls((), text.strip())
