"""Gives the texts of XML and CSV the types that the schema asks for.

XML and CSV know only text, so the schema says what a text means; a text that does not have the
form of the wanted type stays a string, and validation then names it. The forms are those of JSON
and XML Schema: integers ``-?[0-9]+`` with an optional ``+``, numbers as in JSON (no ``nan``, no
``1_000``), booleans ``true``, ``false``, ``1``, ``0``. An empty text is null where null is
allowed, else the empty string.

XML: where the schema has an array, one element whose children share a name is that array
(``<tags><tag>a</tag><tag>b</tag></tags>``), so are repeated elements, a single element is an
array of one, and an empty one an array of none. An empty element is an empty object where the
schema has an object. The root element may be the object itself or the only property of it.

CSV: a cell whose column is an array or object holds JSON. A schema of type object takes the only
row; otherwise the document is the array of rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from cascade.verifiers.schema.checks import spend
from cascade.verifiers.schema.compiled import CompiledSchema
from cascade.verifiers.schema.json_text import parse_json
from cascade.verifiers.schema.limits import DocumentError
from cascade.verifiers.schema.structure import resolve

__all__ = ["typed_csv", "typed_xml"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def typed_xml(data: dict[str, Any], compiled: CompiledSchema) -> Any:
    """Return the data of `parse_xml` with the types of the schema."""
    typer = _Typer(compiled, "xml")
    schema = typer.followed(compiled.schema)
    (root, content), *_ = data.items()
    named = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    return typer.typed(data if root in named else content, compiled.schema)


def typed_csv(rows: list[dict[str, str]], compiled: CompiledSchema) -> Any:
    """Return the rows of `parse_csv` with the types of the schema."""
    typer = _Typer(compiled, "csv")
    schema = typer.followed(compiled.schema)
    types = _types(schema) if isinstance(schema, Mapping) else ()
    only = "object" in types and "array" not in types and len(rows) == 1
    return typer.typed(rows[0] if only else rows, compiled.schema)


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    types = schema.get("type")
    if isinstance(types, str):
        return (types,)
    if isinstance(types, list):
        return tuple(types)
    if "properties" in schema:
        return ("object",)
    if "items" in schema or "prefixItems" in schema:
        return ("array",)
    return ()


class _Typer:
    """One walk over one document."""

    def __init__(self, compiled: CompiledSchema, source: Literal["xml", "csv"]) -> None:
        self.compiled = compiled
        self.source = source
        self.fuel = [compiled.limits.max_steps]

    def followed(self, schema: Any) -> Any:
        """The schema that a chain of plain references ends in."""
        while isinstance(schema, Mapping) and "$ref" in schema and "properties" not in schema:
            spend(self.fuel)
            schema = resolve(self.compiled.schema, schema["$ref"])
        return schema

    def typed(self, data: Any, schema: Any) -> Any:
        """`data` with the types that `schema` asks for."""
        spend(self.fuel)
        schema = self.followed(schema)
        if not isinstance(schema, Mapping):
            return data
        for part in schema.get("allOf", ()):
            data = self.typed(data, part)
        for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            candidate = self.typed(data, branch)
            if self.compiled.accepts(branch, candidate):
                data = candidate
                break
        types = _types(schema)
        if "array" in types and "object" not in types and not isinstance(data, list):
            data = self._array(data, schema)
        if isinstance(data, list):
            return self._items(data, schema)
        if isinstance(data, dict):
            return self._properties(data, schema)
        return self._text(data, schema, types) if isinstance(data, str) else data

    def _array(self, data: Any, schema: Mapping[str, Any]) -> Any:
        if self.source == "csv":
            return self._json(data) if isinstance(data, str) else data
        if data == "":
            return []
        if isinstance(data, dict) and len(data) == 1:
            (name, inner), *_ = data.items()
            items = self.followed(schema.get("items", True))
            own = items.get("properties", {}) if isinstance(items, Mapping) else {}
            if name not in own:
                return inner if isinstance(inner, list) else [inner]
        return [data]

    def _items(self, data: list[Any], schema: Mapping[str, Any]) -> list[Any]:
        prefix = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        if isinstance(rest, list):
            prefix, rest = rest, schema.get("additionalItems", True)
        return [
            self.typed(item, prefix[index] if index < len(prefix) else rest)
            for index, item in enumerate(data)
        ]

    def _properties(self, data: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
        named = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        return {name: self.typed(item, named.get(name, others)) for name, item in data.items()}

    def _text(self, text: str, schema: Mapping[str, Any], types: tuple[str, ...]) -> Any:
        for allowed in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())):
            if not isinstance(allowed, str) and text == _written(allowed):
                return allowed
        if not text.strip() and "null" in types:
            return None
        if self.source == "xml" and text == "" and "object" in types:
            return {}
        bare = text.strip()
        for name in types:
            if name == "integer" and _INTEGER.fullmatch(bare):
                return int(bare)
            if name == "number" and _NUMBER.fullmatch(bare):
                return _number(bare, text)
            if name == "boolean" and bare.lower() in _BOOLEANS:
                return _BOOLEANS[bare.lower()]
            if name in ("array", "object") and self.source == "csv":
                return self._json(text)
        return text

    def _json(self, text: str) -> Any:
        try:
            return parse_json(text, self.compiled.limits)
        except DocumentError:
            return text


def _number(bare: str, text: str) -> int | float | str:
    if _INTEGER.fullmatch(bare):
        return int(bare)
    value = float(bare)
    return text if value in (float("inf"), float("-inf")) else value


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
