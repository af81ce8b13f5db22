"""Calls and values in the syntax of Java and JavaScript, as BFCL declares them.

BFCL's Java and JavaScript tools have parameters such as ``long``, ``ArrayList`` or ``Bigint``, and
a model writes their values as source code: ``5L``, ``new int[]{1, 2}``, ``10n``. `foreign_value`
gives such a text the value it stands for under the declared type; a text that is not of that form
stays a string (a variable, which the gold answers name as text). The types and suffixes are those
of BFCL's converters (`java_type_converter`, `js_type_converter`); the reading is a real parser, so
commas in strings and nested collections are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from cascade.verifiers.schema.limits import DEFAULT_LIMITS
from cascade.verifiers.tools.calls import Call, Malformed, ParsedCalls
from cascade.verifiers.tools.python_calls import unwrapped
from cascade.verifiers.tools.signatures import Signatures, properties_of, resolve_name

__all__ = ["Language", "foreign_value", "parse_foreign"]

Language = Literal["python", "java", "javascript"]

_HEAD = re.compile(r"([^\W\d][\w$]*(?:\.[^\W\d][\w$]*)*)\s*\(")
_NAMED = re.compile(r"\s*([^\W\d][\w$]*)\s*[=:](?![=>])\s*(.*)", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`(?:[^`\\]|\\.)*`', re.DOTALL)
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"?|\'(?:[^\'\\]|\\.)*\'?|`(?:[^`\\]|\\.)*`?'
    r"|<[\w\s,.?<>\[\]]{0,200}>(?=\s*[(\[])|[\[\](){},]",
    re.DOTALL,
)
"""Strings, type arguments and single brackets and commas: what the others in them do not count."""
_DECIMAL = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_JAVA_ARRAY = re.compile(r"new\s+[\w.<>]+\s*(?:\[\s*\]\s*)+\{(.*)\}", re.DOTALL)
_JAVA_LIST = re.compile(
    r"(?:new\s+\w+\s*(?:<[^()]*>)?\s*\(\s*)?(?:Arrays\.asList|List\.of|Set\.of)\s*\((.*)\)",
    re.DOTALL,
)
_JAVA_NEW = re.compile(r"new\s+\w+\s*(?:<[^()]*>)?\s*\(\s*\)")
_JAVA_STATEMENT = re.compile(r"\s*(?:this\s*\.\s*)?(add|put)\s*\(", re.DOTALL)
_JS_ARRAY = re.compile(r"new\s+Array\s*\((.*)\)", re.DOTALL)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_MAX_CHARS = 200_000
_MAX_VALUE_CHARS = 20_000


class _NotOfType(ValueError):
    """The text does not have the form of the wanted type: it stays text."""


def parse_foreign(text: str, signatures: Signatures) -> ParsedCalls:
    """Read ``name(parameter=value, …)``, or a list of such calls; values stay source text."""
    bare = unwrapped(text).removesuffix(";").strip()
    if len(bare) > _MAX_CHARS:
        return ParsedCalls((), "", (Malformed(bare, f"more than {_MAX_CHARS} characters"),))
    in_list = bare.startswith("[") and bare.endswith("]")
    head = _HEAD.match(bare.removeprefix("[").strip())
    if head is None or (signatures and not in_list and head[1] not in signatures):
        return ParsedCalls((), text.strip())
    try:
        parts = _split(bare[1:-1]) if in_list else [bare]
        return ParsedCalls(tuple(_call(part.strip(), signatures) for part in parts))
    except _NotOfType as error:
        return ParsedCalls((), "", (Malformed(bare, str(error)),))


def _call(text: str, signatures: Signatures) -> Call:
    text = text.removeprefix("new ").strip()
    head = _HEAD.match(text)
    if head is None or not text.endswith(")"):
        raise _NotOfType("a call that never closes")
    declared = list(properties_of(signatures.get(resolve_name(head[1], signatures))))
    arguments: dict[str, Any] = {}
    for index, part in enumerate(_split(text[head.end() : -1])):
        named = _NAMED.fullmatch(part)
        if named is None and index >= len(declared):
            raise _NotOfType("an argument by position that no declared parameter takes")
        name, value = (named[1], named[2]) if named else (declared[index], part)
        if name in arguments:
            raise _NotOfType(f"the argument {name[:60]!r} twice")
        arguments[name] = value.strip()
    return Call(head[1], arguments)


def _split(text: str) -> list[str]:
    """Split at the commas outside strings and brackets; nothing for blank text."""
    parts: list[str] = []
    depth = begin = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _OPENING:
            depth += 1
        elif token in _CLOSING:
            depth -= 1
        elif token == "," and depth == 0:
            parts.append(text[begin : match.start()])
            begin = match.end()
        if depth < 0 or depth > DEFAULT_LIMITS.max_depth:
            raise _NotOfType("brackets that do not match, or nest too deep")
    if depth:
        raise _NotOfType("a bracket that never closes")
    last = text[begin:]
    return [*parts, last] if last.strip() else parts


def foreign_value(text: Any, schema: Mapping[str, Any], language: Language) -> Any:
    """Return what the source text of an argument means under its declared type.

    What is not text (a JSON call that gave a number) is returned as it is.
    """
    if not isinstance(text, str) or language == "python" or len(text) > _MAX_VALUE_CHARS:
        return text
    declared = schema.get("type", "any")
    items = schema.get("items")
    nested = items.get("type") if isinstance(items, Mapping) else None
    try:
        return _READERS[language](text.strip(), declared, nested)
    except _NotOfType:
        return text


def _java(text: str, declared: str, nested: str | None) -> Any:
    if declared in ("byte", "short", "integer", "int"):
        return int(_matched(r"-?[0-9]{1,400}", text))
    if declared == "long":
        return int(_matched(r"-?[0-9]{1,400}[lL]", text)[:-1])
    if declared == "float":
        return _finite(_matched(_DECIMAL + "[fF]", text)[:-1])
    if declared == "double":
        return _finite(_matched(_DECIMAL, text))
    if declared == "boolean":
        return _matched("true|false", text) == "true"
    if declared == "char":
        return _unquoted(text, "'")
    if declared in ("Array", "ArrayList", "Set", "Queue", "Stack", "array"):
        return _java_array(text, nested)
    if declared in ("HashMap", "Hashtable", "dict"):
        return _java_map(text)
    return _unquoted(text, '"')


def _java_element(text: str, nested: str | None) -> Any:
    text = text.strip()
    if nested and nested not in ("String", "any"):
        try:
            return _java(text, nested, None)
        except _NotOfType:
            return text
    return _untyped(text, "lLfFdD")


def _java_array(text: str, nested: str | None) -> list[Any]:
    found = _JAVA_ARRAY.fullmatch(text)
    if found is None and (found := _JAVA_LIST.fullmatch(text)) is not None:
        inner = found[1]
        inner = inner.rstrip().removesuffix(")") if text.lstrip().startswith("new") else inner
        return [_java_element(part, nested) for part in _split(inner)]
    if found is not None:
        return [_java_element(part, nested) for part in _split(found[1])]
    return [_java_element(arguments[0], nested) for arguments in _statements(text, "add", 1)]


def _java_map(text: str) -> dict[str, Any]:
    pairs = _statements(text, "put", 2)
    return {str(_untyped(key.strip(), "")): _java_element(value, None) for key, value in pairs}


def _statements(text: str, verb: str, count: int) -> list[list[str]]:
    """Return the arguments of each ``add(…);`` or ``put(…);`` of a double-brace block."""
    made = _JAVA_NEW.match(text)
    if made is None:
        raise _NotOfType("not a Java collection")
    found: list[list[str]] = []
    rest = text[made.end() :].strip()
    for _ in range(2):
        if rest.startswith("{") and rest.endswith("}"):
            rest = rest[1:-1].strip()
    while rest:
        head = _JAVA_STATEMENT.match(rest)
        end = _closing(rest, head.end()) if head else -1
        if head is None or end < 0 or head[1] != verb:
            raise _NotOfType("not a Java collection")
        arguments = _split(rest[head.end() : end])
        if len(arguments) != count:
            raise _NotOfType("not a Java collection")
        found.append(arguments)
        rest = rest[end + 1 :].lstrip().removeprefix(";").strip()
    return found


def _closing(text: str, at: int) -> int:
    depth = 1
    for match in _TOKEN.finditer(text, at):
        depth += (match[0] in _OPENING) - (match[0] in _CLOSING)
        if depth == 0:
            return match.start()
    return -1


def _javascript(text: str, declared: str, nested: str | None) -> Any:
    if declared in ("integer", "int"):
        return int(_matched(r"-?[0-9]{1,400}", text))
    if declared in ("float", "number"):
        return _finite(_matched(_DECIMAL, text))
    if declared == "Bigint":
        return int(_matched(r"-?[0-9]{1,400}n", text)[:-1])
    if declared in ("Boolean", "boolean"):
        return _matched("true|false", text) == "true"
    if declared == "array":
        return _javascript_array(text, nested)
    if declared in ("dict", "object"):
        return _javascript_object(text)
    return _unquoted(text, "\"'`")


def _javascript_array(text: str, nested: str | None) -> list[Any]:
    made = _JS_ARRAY.fullmatch(text)
    if made is None and not (text.startswith("[") and text.endswith("]")):
        raise _NotOfType("not a JavaScript array")
    parts = _split(made[1] if made else text[1:-1])
    return [_javascript_element(part.strip(), nested) for part in parts]


def _javascript_element(text: str, nested: str | None) -> Any:
    try:
        if nested:
            return _javascript(text, nested, None)
        if text.startswith(("[", "new Array")):
            return _javascript_array(text, None)
        if text.startswith("{"):
            return _javascript_object(text)
    except _NotOfType:
        return text
    return _untyped(text, "n")


def _javascript_object(text: str) -> dict[str, Any]:
    if not (text.startswith("{") and text.endswith("}")):
        raise _NotOfType("not a JavaScript object")
    found: dict[str, Any] = {}
    for part in _split(text[1:-1]):
        string = _STRING.match(part.strip())
        key, colon, value = (
            (string[0][1:-1], *_after(part.strip()[string.end() :]))
            if string
            else part.partition(":")
        )
        if not colon or not key.strip():
            raise _NotOfType("a JavaScript property without a value")
        found[key.strip()] = _javascript_element(value.strip(), None)
    return found


def _after(text: str) -> tuple[str, str]:
    before, colon, value = text.partition(":")
    return ("" if before.strip() else colon), value


def _untyped(text: str, suffixes: str) -> Any:
    """A literal by its own look: boolean, null, string, number with an optional suffix, or text."""
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return None
    if _STRING.fullmatch(text):
        return _unquoted(text, text[0])
    bare = text[:-1] if len(text) > 1 and text[-1] in suffixes else text
    if re.fullmatch(r"-?[0-9]{1,400}", bare):
        return float(bare) if text[-1] in "fFdD" and text is not bare else int(bare)
    if re.fullmatch(_DECIMAL, bare):
        return _finite(bare)
    return text


def _unquoted(text: str, quotes: str) -> str:
    if len(text) >= 2 and text[0] in quotes and _STRING.fullmatch(text):
        return re.sub(r"\\(.)", _escape, text[1:-1], flags=re.DOTALL)
    return text


def _escape(match: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1])


def _matched(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise _NotOfType("another form")
    return text


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _NotOfType("too large")
    return value


_READERS: Mapping[str, Callable[[str, str, str | None], Any]] = {
    "java": _java,
    "javascript": _javascript,
}
