"""Why data fails, for the failures that nearly all wrong documents have.

`jsonschema` names any failure, at the price of a whole validation. The common ones (a wrong type,
a property too few or too many, a value not in an enumeration or outside its bounds) are found here
by one walk, in `jsonschema`'s words; whatever else is wrong is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade.verifiers.schema.checks import TYPES, identity

__all__ = ["first_problem"]

Path = tuple[str | int, ...]


def first_problem(schema: Any, data: Any, path: Path = ()) -> tuple[Path, str] | None:
    """Return ``(path, message)`` of the first common failure; None: there is none of these."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return None
    message = _own_problem(schema, data)
    if message is not None:
        return path, message
    if type(data) is dict:
        for name, item in schema.get("properties", {}).items():
            if name in data:
                found = first_problem(item, data[name], (*path, name))
                if found is not None:
                    return found
    elif type(data) is list and "prefixItems" not in schema:
        items = schema.get("items")
        for index, item in enumerate(data):
            found = first_problem(items, item, (*path, index))
            if found is not None:
                return found
    return None


def _own_problem(schema: Mapping[str, Any], data: Any) -> str | None:
    types = schema.get("type")
    if types is not None:
        names = [types] if isinstance(types, str) else types
        if not any(TYPES[name](data) for name in names):
            return f"{_shown(data)} is not of type {', '.join(map(repr, names))}"
    if "enum" in schema and identity(data) not in map(identity, schema["enum"]):
        return f"{_shown(data)} is not one of {_shown(schema['enum'])}"
    if type(data) is dict:
        return _object_problem(schema, data)
    if type(data) is int or type(data) is float:
        if "minimum" in schema and data < schema["minimum"]:
            return f"{_shown(data)} is less than the minimum of {schema['minimum']!r}"
        if "maximum" in schema and data > schema["maximum"]:
            return f"{_shown(data)} is greater than the maximum of {schema['maximum']!r}"
    if type(data) is str or type(data) is list:
        kind = "Length" if type(data) is str else "Items"
        if len(data) < schema.get(f"min{kind}", 0):
            return f"{_shown(data)} is too short"
        if len(data) > schema.get(f"max{kind}", len(data)):
            return f"{_shown(data)} is too long"
    return None


def _object_problem(schema: Mapping[str, Any], data: dict[str, Any]) -> str | None:
    for name in schema.get("required", ()):
        if name not in data:
            return f"{name!r} is a required property"
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        extra = [name for name in data if name not in schema.get("properties", {})]
        if extra:
            return f"{_shown(extra[0])} is a property that is not allowed"
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:80] + " … " + text[-15:]
