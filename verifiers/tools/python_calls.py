"""Calls in Python syntax, ``[weather.get(city="Oslo", days=3), now()]``: BFCL's and Llama 4's form.

Read with `ast` and never evaluated. Arguments must be literals; a bare name or another expression
is taken as its source text, as BFCL takes variables. Arguments by position are matched with the
declared parameters, in order. The response must be the calls and nothing else (a code fence or
Llama's ``<|python_start|>`` marks around them are taken off).
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Mapping
from typing import Any

from cascade.verifiers.schema.limits import DEFAULT_LIMITS
from cascade.verifiers.tools.calls import Call, Malformed, ParsedCalls
from cascade.verifiers.tools.signatures import (
    GLUED,
    Signatures,
    properties_of,
    resolve_name,
)

__all__ = ["called_name", "parse_python", "unwrapped"]

_FENCE = re.compile(r"```[^\n`]*\n?(.*?)\n?```", re.DOTALL)
_HEAD = re.compile(r"(\[?)\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\(")
# Closing quotes are optional and the quantifiers possessive: linear on every input.
_STRING = re.compile(
    r"""([rRbBuU]{0,2})(?:\"\"\"(?:[^"\\]|\\.|"(?!""))*+(?:\"\"\")?"""
    r"""|'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"""
    r"""|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'?)""",
    re.DOTALL,
)
_KEYWORD_ARGUMENT = "|".join(name for name in keyword.kwlist if name.islower())
_ALIAS = "tool__name__"
_BAD_ESCAPE = re.compile(r"""\\(?:[\\'"abfnrtvxuUN0-7\n]|(.))""", re.DOTALL)
_MAX_CHARS = 200_000


class _NotACall(ValueError):
    """The text parses, but not as calls."""


def unwrapped(text: str) -> str:
    """Return `text` without a code fence or model marks around it."""
    bare = text.strip()
    for mark in ("<|python_start|>", "<|python_tag|>"):
        bare = bare.removeprefix(mark)
    for mark in ("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|python_end|>"):
        bare = bare.strip().removesuffix(mark)
    bare = bare.strip()
    if bare.startswith("```") and bare.endswith("```"):
        fenced = _FENCE.fullmatch(bare)
        return fenced[1].strip() if fenced else bare
    if bare.startswith("`") and bare.endswith("`") and len(bare) > 2:
        return bare.strip("`").strip()
    return bare


def called_name(bare: str, signatures: Signatures) -> tuple[bool, str | None]:
    """Return whether `bare` begins with a list, and the name that it calls first, if any."""
    source, names = _in_python_names(bare, signatures)
    head = _HEAD.match(source)
    return (False, None) if head is None else (bool(head[1]), names.get(head[2], head[2]))


def _in_python_names(source: str, signatures: Signatures) -> tuple[str, Mapping[str, str]]:
    """Give tools such as `get-time` and arguments such as `from` names that Python can read.

    Returns:
        the source, and what its new names stand for.
    """
    odd = [name for name in signatures if not all(p.isidentifier() for p in name.split("."))]
    names = {f"{_ALIAS}{index}": name for index, name in enumerate(odd)}
    aliases = {name: alias for alias, name in names.items()}
    tools = "|".join(map(re.escape, sorted(odd, key=len, reverse=True))) or "(?!)"
    pattern = re.compile(
        rf"{_STRING.pattern}|(?<![\w.-])({tools})(?=\()"
        rf"|(?<![\w.])({_KEYWORD_ARGUMENT})(?=[ \t]*=[^=])",
        re.DOTALL,
    )

    def rename(match: re.Match[str]) -> str:
        if match[2]:
            return aliases[match[2]]
        return f"{_ALIAS}{match[3]}" if match[3] else match[0]

    reserved = {f"{_ALIAS}{name}": name for name in keyword.kwlist}
    return pattern.sub(rename, source), {**reserved, **names}


def parse_python(text: str, signatures: Signatures) -> ParsedCalls:
    """Read `text` as one call or a list of calls."""
    bare = unwrapped(text)
    in_list, name = called_name(bare, signatures)
    if bare == "[]":
        return ParsedCalls()
    if name is None:
        return _prose(text, signatures)
    try:
        return ParsedCalls(tuple(_calls(bare, signatures)))
    except (_NotACall, SyntaxError, ValueError, MemoryError, RecursionError) as error:
        known = resolve_name(name, signatures) in signatures or not signatures
        if in_list or known:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            return ParsedCalls((), "", (Malformed(bare, reason or type(error).__name__),))
    return _prose(text, signatures)


def _prose(text: str, signatures: Signatures) -> ParsedCalls:
    """A text that is no call; one that calls a declared tool on a line of its own tried to."""
    source, names = _in_python_names(text, signatures) if signatures else ("", {})
    for line in source.splitlines():
        head = _HEAD.match(line.strip().lstrip("`").strip())
        if head and resolve_name(names.get(head[2], head[2]), signatures) in signatures:
            return ParsedCalls((), "", (Malformed(text, "a call inside other text"),))
    return ParsedCalls((), text.strip())


def _calls(bare: str, signatures: Signatures) -> list[Call]:
    if len(bare) > _MAX_CHARS:
        raise _NotACall(f"{len(bare)} characters of calls, more than {_MAX_CHARS}")
    source, names = _in_python_names(_without_bad_escapes(bare), signatures)
    if GLUED.search(_STRING.sub("", source)):
        raise _NotACall("a number that runs into a word")
    tree = ast.parse(source, mode="eval").body
    nodes = tree.elts if isinstance(tree, (ast.List, ast.Tuple)) else [tree]
    return [_call(node, signatures, names) for node in nodes]


def _without_bad_escapes(source: str) -> str:
    r"""Double the backslash of ``\d`` and its like, which Python reads so but warns about."""
    if "\\" not in source:
        return source

    def fix(string: re.Match[str]) -> str:
        if "r" in string[1].lower():
            return string[0]
        return _BAD_ESCAPE.sub(lambda e: "\\" + e[0] if e[1] else e[0], string[0])

    return _STRING.sub(fix, source)


def _call(node: ast.expr, signatures: Signatures, names: Mapping[str, str]) -> Call:
    if not isinstance(node, ast.Call):
        raise _NotACall(f"{ast.unparse(node)[:60]!r} is not a call")
    name = _dotted(node.func)
    name = names.get(name, name)
    arguments: dict[str, Any] = {}
    declared = list(properties_of(signatures.get(resolve_name(name, signatures))))
    if len(node.args) > len(declared):
        raise _NotACall("an argument by position that no declared parameter takes")
    for parameter, value in zip(declared, node.args, strict=False):
        arguments[parameter] = _value(value, 0)
    for given in node.keywords:
        key = names.get(given.arg or "", given.arg)
        if key is None or key in arguments:
            raise _NotACall(f"the argument {key or '**'!r} cannot be given here")
        arguments[key] = _value(given.value, 0)
    return Call(name, arguments)


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise _NotACall("what is called is not a name")
    return ".".join([node.id, *reversed(parts)])


def _value(node: ast.expr, depth: int) -> Any:
    if depth > DEFAULT_LIMITS.max_depth:
        raise _NotACall(f"nested deeper than {DEFAULT_LIMITS.max_depth} levels")
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_value(item, depth + 1) for item in node.elts]
    if isinstance(node, ast.Dict):
        return _dict(node, depth)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _value(node.operand, depth + 1)
        if type(inner) in (int, float):
            return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.Name) and node.id in _JSON_NAMES:
        return _JSON_NAMES[node.id]
    return ast.unparse(node)


_JSON_NAMES: dict[str, Any] = {"true": True, "false": False, "null": None}


def _constant(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise _NotACall("a number that is too large")
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    raise _NotACall(f"a value of type {type(value).__name__}")


def _dict(node: ast.Dict, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name = None if key is None else _value(key, depth + 1)
        if not isinstance(name, (str, int, float)) or str(name) in found:
            raise _NotACall("a key that is missing, not a scalar, or there twice")
        found[str(name)] = _value(value, depth + 1)
    return found
