"""Calls between ``<tool_call>`` marks: XML parameters (Nemotron, qwen3-coder) or JSON (Hermes).

::

    <tool_call>                            <tool_call>
    <function=get_weather>                 {"name": "get_weather", "arguments": {"city": "Oslo"}}
    <parameter=city>                       </tool_call>
    Oslo
    </parameter>
    </function>
    </tool_call>

Nemotron-Cascade 2 and qwen3-coder share the left form. Each call must be complete: an open or a
stray mark is a malformed call, where the serving parsers guess.
"""

from __future__ import annotations

from collections.abc import Callable

from cascade.verifiers.schema.json_text import parse_json
from cascade.verifiers.schema.limits import DEFAULT_LIMITS, DocumentError
from cascade.verifiers.tools.calls import Call, Malformed, ParsedCalls
from cascade.verifiers.tools.json_calls import call_of_object
from cascade.verifiers.tools.signatures import (
    Signatures,
    properties_of,
    resolve_name,
    typed,
)

__all__ = ["parse_hermes", "parse_tagged", "parse_xml_calls"]

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_STRAY = ("<tool_call", _CLOSE, "<function=", "</function>", "<parameter=", "</parameter>")
_NOT_NAMES = frozenset("<>\n\r\t =\"'")

_Body = Callable[[str, Signatures], Call]


class BrokenCall(ValueError):
    """The inside of a call is not what its format says."""


def parse_xml_calls(text: str, signatures: Signatures) -> ParsedCalls:
    """Read calls with XML parameters; values get the types of `signatures`."""
    return _parse(text, signatures, _xml_body)


def parse_hermes(text: str, signatures: Signatures) -> ParsedCalls:
    """Read calls that are a JSON object each."""
    return _parse(text, signatures, _json_body)


def parse_tagged(text: str, signatures: Signatures) -> ParsedCalls:
    """Read both forms, told apart by the first character inside each call."""
    return _parse(text, signatures, _either_body)


def _parse(text: str, signatures: Signatures, body: _Body) -> ParsedCalls:
    calls: list[Call] = []
    malformed: list[Malformed] = []
    outside: list[str] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        outside.append(text[at:start])
        end = text.find(_CLOSE, start)
        if end < 0:
            malformed.append(Malformed(text[start:], "a call that never closes"))
            at = len(text)
            break
        inside = text[start + len(_OPEN) : end]
        at = end + len(_CLOSE)
        try:
            if _OPEN in inside:
                raise BrokenCall("a call that opens inside another")
            calls.append(body(inside.strip(), signatures))
        except (BrokenCall, DocumentError) as error:
            malformed.append(Malformed(text[start:at], str(error)))
    outside.append(text[at:])
    around = "".join(outside)
    for mark in _STRAY:
        if mark in around:
            malformed.append(Malformed(mark, f"{mark} outside a call"))
            break
    return ParsedCalls(tuple(calls), around.strip(), tuple(malformed))


def _either_body(inside: str, signatures: Signatures) -> Call:
    body = _json_body if inside.startswith(("{", "[")) else _xml_body
    return body(inside, signatures)


def _json_body(inside: str, signatures: Signatures) -> Call:
    return call_of_object(parse_json(inside, DEFAULT_LIMITS))


def _xml_body(inside: str, signatures: Signatures) -> Call:
    if not inside.startswith("<function="):
        raise BrokenCall("a call that does not begin with <function=NAME>")
    name, closed, rest = inside[len("<function=") :].partition(">")
    if not closed or not name or not _NOT_NAMES.isdisjoint(name):
        raise BrokenCall("a call without the name of a function")
    rest = rest.rstrip()
    if not rest.endswith("</function>"):
        raise BrokenCall("a function that never closes, or text after it")
    texts = _parameters(rest.removesuffix("</function>"))
    declared = properties_of(signatures.get(resolve_name(name, signatures)))
    known = bool(signatures)
    arguments = {
        key: typed(value, declared.get(key, {} if known else None)) for key, value in texts.items()
    }
    return Call(name, arguments)


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while True:
        start = text.find("<parameter=", at)
        between = text[at:] if start < 0 else text[at:start]
        if between.strip():
            raise BrokenCall("text between parameters")
        if start < 0:
            return found
        name_end = text.find(">", start)
        end = text.find("</parameter>", start)
        if name_end < 0 or end < name_end:
            raise BrokenCall("a parameter that never closes")
        name = text[start + len("<parameter=") : name_end]
        value = text[name_end + 1 : end]
        if not name or not _NOT_NAMES.isdisjoint(name) or "<parameter=" in value:
            raise BrokenCall("a parameter without a name, or one that never closes")
        if name in found:
            raise BrokenCall(f"the parameter {name[:60]!r} twice")
        found[name] = value.removeprefix("\n").removesuffix("\n")
        at = end + len("</parameter>")
