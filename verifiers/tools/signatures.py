"""Tool declarations as one table, and texts as the values that a declaration asks for.

A declaration is taken in the OpenAI form (``{"type": "function", "function": {…}}``), in the flat
form of the Responses API and BFCL (``{"name", "parameters"}``), with the type names of JSON Schema
or of BFCL (``dict``, ``float``, ``tuple``, ``any``, Java's and JavaScript's).
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cascade.errors import DataError
from cascade.verifiers.schema.json_text import parse_json
from cascade.verifiers.schema.limits import DEFAULT_LIMITS, DocumentError

__all__ = [
    "GLUED",
    "Signatures",
    "kinds_of",
    "properties_of",
    "resolve_name",
    "signatures_of",
    "typed",
]

Signatures = Mapping[str, Mapping[str, Any]]
"""Tool name -> the schema of its parameters."""

_WORDS = "(?:and|else|for|if|in|is|not|or)"
GLUED = re.compile(rf"\b\d\w*{_WORDS}\b|\d\.(?:[eE][+-]?[\d_]+)?[jJ]?{_WORDS}\b")
"""A number that runs into a word: Python still reads it, with a warning on stderr."""
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_KINDS = {
    "string": "string", "str": "string", "String": "string", "char": "string",
    "integer": "integer", "int": "integer", "long": "integer", "short": "integer",
    "byte": "integer", "Bigint": "integer",
    "number": "number", "float": "number", "double": "number",
    "boolean": "boolean", "bool": "boolean", "Boolean": "boolean",
    "array": "array", "list": "array", "tuple": "array", "Array": "array", "ArrayList": "array",
    "Set": "array", "Queue": "array", "Stack": "array",
    "object": "object", "dict": "object", "HashMap": "object", "Hashtable": "object",
    "null": "null", "None": "null",
}  # fmt: skip
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,4000})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def signatures_of(tools: Any) -> Signatures:
    """Return the table of `tools`: a list of declarations, or a single one.

    Raises:
        DataError: a declaration without a name, or with parameters that are no object.
    """
    declared = [tools] if isinstance(tools, Mapping) else list(tools or ())
    table: dict[str, Mapping[str, Any]] = {}
    for tool in declared:
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
            raise DataError(f"a tool declaration without a name: {str(tool)[:80]}")
        parameters = function.get("parameters") or {}
        if not isinstance(parameters, Mapping):
            raise DataError(f"the parameters of the tool {name!r} are no object")
        table[name] = parameters
    return table


def resolve_name(name: str, signatures: Signatures) -> str:
    """Return the declared name that `name` means.

    Some APIs allow no dots in names, so that a model sees and says ``a_b`` for ``a.b``: that is
    taken as the one declared name that becomes it.
    """
    if name in signatures:
        return name
    meant = [known for known in signatures if known.replace(".", "_") == name]
    return meant[0] if len(meant) == 1 else name


def properties_of(schema: Any) -> Mapping[str, Any]:
    """Return the declared properties of an object schema; none if it declares none."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def kinds_of(schema: Any) -> frozenset[str]:
    """Return the JSON types that a schema allows; empty: any."""
    if not isinstance(schema, Mapping):
        return frozenset()
    types = schema.get("type")
    if types is not None:
        names = types if isinstance(types, Sequence) and not isinstance(types, str) else [types]
        kinds = {_KINDS.get(name, "any") for name in names if isinstance(name, str)}
        return frozenset() if "any" in kinds else frozenset(kinds)
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    found = [kinds_of(branch) for branch in branches]
    return frozenset().union(*found) if found and all(found) else frozenset()


def typed(text: str, schema: Any) -> Any:
    """Return the value that `text` stands for in a parameter of type `schema`.

    The text of an XML call has no quotes, so the declaration decides: where a string is allowed
    and nothing else, the text is the value. Otherwise the first type that the text has the exact
    form of, in the order null, boolean, integer, number, array or object (JSON, or a Python
    literal), string. A text of no allowed form stays a string, whose type is then wrong.
    """
    kinds = kinds_of(schema)
    if kinds == {"string"} or schema is None:
        return text
    bare = text.strip()
    if not kinds:
        return _guess(bare, text)
    if "null" in kinds and bare in ("null", "None"):
        return None
    if "boolean" in kinds and bare in ("true", "True", "false", "False"):
        return bare in ("true", "True")
    if kinds & {"integer", "number"} and _INTEGER.fullmatch(bare):
        return int(bare)
    if "number" in kinds and _NUMBER.fullmatch(bare):
        value = float(bare)
        return text if value in (float("inf"), float("-inf")) else value
    if kinds & {"array", "object"} and bare[:1] in ("[", "{", "("):
        return _literal(bare, text)
    return text


def _guess(bare: str, text: str) -> Any:
    """Without a declared type: JSON if it is, except that no quotes still mean a string."""
    try:
        return parse_json(bare, DEFAULT_LIMITS)
    except DocumentError:
        return text


def _literal(bare: str, text: str) -> Any:
    try:
        return parse_json(bare, DEFAULT_LIMITS)
    except DocumentError:
        pass
    if len(bare) > 10_000 or "\\" in bare or GLUED.search(_QUOTED.sub("", bare)):
        return text
    try:
        return _as_json(ast.literal_eval(bare))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _as_json(value: Any) -> Any:
    """Return a Python literal as JSON data: tuples are arrays."""
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise TypeError(f"{value!r} is not JSON data")
