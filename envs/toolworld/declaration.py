"""From a Python function to the declaration of a tool: signature and docstring are the schema."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from cascade.errors import ConfigError

__all__ = ["Constraint", "Date", "DateTime", "declare"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """What `Annotated` adds to a parameter's type."""

    pattern: str
    format: str | None = None

    def schema(self) -> dict[str, str]:
        """The keywords of JSON Schema that say so."""
        named = {"format": self.format} if self.format else {}
        return {"pattern": self.pattern, **named}


Date = Annotated[str, Constraint(r"^\d{4}-\d{2}-\d{2}$", "date")]
"""A parameter written as YYYY-MM-DD."""
DateTime = Annotated[str, Constraint(r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$")]
"""A parameter written as YYYY-MM-DD HH:MM."""

_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_ARGUMENT = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.*)$")


def declare(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the OpenAI declaration of `function`, whose first parameter is the world.

    Types: str, int, float, bool, Literal, list, optional (``X | None``), `Date`, `DateTime`, and
    `TypedDict`, whose objects may have further fields.
    Descriptions come from the Google docstring; a parameter with a default may be left out.

    Raises:
        ConfigError: a parameter lacks a type that JSON Schema has, or a description.
    """
    text = inspect.getdoc(function) or ""
    described = _argument_texts(text)
    hints = get_type_hints(function, include_extras=True)
    properties: dict[str, Any] = {}
    required: list[str] = []
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters[1:]:
        name = parameter.name
        if name not in described:
            raise ConfigError(f"{function.__name__}: the argument {name!r} has no description")
        properties[name] = {**_schema_of(hints[name], name), "description": described[name]}
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
        else:
            properties[name]["default"] = parameter.default
    return {
        "type": "function",
        "function": {
            "name": function.__name__,
            "description": " ".join(text.partition("\n\n")[0].split()),
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            },
        },
    }


def _argument_texts(docstring: str) -> Mapping[str, str]:
    texts: dict[str, str] = {}
    name = None
    _, _, section = docstring.partition("\nArgs:\n")
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        match = _ARGUMENT.match(line)
        if match:
            name = match["name"]
            texts[name] = match["text"].strip()
        elif name and line.strip():
            texts[name] += " " + line.strip()
    return texts


def _schema_of(hint: Any, name: str) -> dict[str, Any]:
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if is_typeddict(hint):
        fields = {key: _schema_of(kind, name) for key, kind in get_type_hints(hint).items()}
        return {"type": "object", "properties": fields, "required": list(fields)}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {**_schema_of(arguments[0], name), **arguments[1].schema()}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0], name)}
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        inner = _schema_of(arguments[0], name)
        made = {**inner, "type": [inner["type"], "null"]}
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
        return made
    raise ConfigError(f"the argument {name!r} has the type {hint!r}, which is not supported")
