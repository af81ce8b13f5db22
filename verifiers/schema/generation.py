"""Random schemas, documents that satisfy them, and documents that do not.

For mini task sets (short names, small values: the lower difficulties fit a toy model) and for
fuzzing. Every function is a pure function of its arguments and the state of `rng`.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cascade.errors import ConfigError
from cascade.verifiers.schema.extraction import Format
from cascade.verifiers.schema.structure import resolve

__all__ = ["DIFFICULTIES", "Mutation", "generate_document", "generate_schema", "mutate_document"]

DIFFICULTIES = range(1, 6)
"""1: one or two scalars. 2: bounds, enums. 3: arrays. 4: nesting, formats. 5: references."""

_NAMES = (
    "id", "age", "name", "city", "size", "tag", "on", "day", "code", "unit", "price", "count",
    "mail", "note", "level", "kind", "parts", "total",
)  # fmt: skip
_WORDS = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "owl", "pig", "rat", "yak")
_PATTERNS: dict[str, Callable[[random.Random], str]] = {
    "^[a-z]{2}-[0-9]{2}$": lambda rng: f"{_letters(rng, 2)}-{rng.randint(10, 99)}",
    "^[A-Z]{3}$": lambda rng: _letters(rng, 3).upper(),
    "^#[0-9a-f]{6}$": lambda rng: f"#{rng.randrange(16**6):06x}",
}
_FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date": lambda rng: f"20{rng.randint(10, 39)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
    "time": lambda rng: f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00Z",
    "email": lambda rng: f"{rng.choice(_WORDS)}@{rng.choice(_WORDS)}.org",
    "ipv4": lambda rng: ".".join(str(rng.randint(1, 254)) for _ in range(4)),
    "uuid": lambda rng: (
        f"{rng.randrange(16**8):08x}-{rng.randrange(16**4):04x}-4{rng.randrange(16**3):03x}"
        f"-8{rng.randrange(16**3):03x}-{rng.randrange(16**12):012x}"
    ),
}
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Mutation:
    """A document that breaks its schema in one known place."""

    document: Any
    kind: Literal["missing", "extra", "type", "value", "length"]
    """Which rule it breaks: a property too few or too many, a wrong type, value or number."""
    path: str
    """Where, as ``$.items[3].name``."""


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(count))


def generate_schema(rng: random.Random, difficulty: int, format: Format = "json") -> dict[str, Any]:
    """Return a schema whose documents `format` can express.

    Raises:
        ConfigError: the difficulty is not in `DIFFICULTIES`.
    """
    if difficulty not in DIFFICULTIES:
        raise ConfigError(f"difficulty must be 1 to 5, got {difficulty!r}")
    if format == "csv":
        row = _object_schema(rng, min(difficulty, 2), 0, nulls=False)
        return {"type": "array", "items": row, "minItems": 1, "maxItems": difficulty}
    nulls = difficulty >= 4 and format in ("json", "yaml")
    schema = _object_schema(rng, difficulty, 0, nulls=nulls)
    if difficulty >= 5:
        name = rng.choice([name for name in _NAMES if name not in schema["properties"]])
        node = {
            "type": "object",
            "properties": {
                "name": _scalar_schema(rng, 1, nulls=False),
                "parts": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
            },
            "required": ["name", "parts"],
        }
        schema["$defs"] = {"node": node}
        schema["properties"][name] = {"$ref": "#/$defs/node"}
        schema["required"].append(name)
    return schema


def _object_schema(
    rng: random.Random, difficulty: int, depth: int, *, nulls: bool
) -> dict[str, Any]:
    most = 2 if difficulty == 1 or depth else min(difficulty + 1, 5)
    names = rng.sample(_NAMES, rng.randint(1, most))
    properties = {name: _value_schema(rng, difficulty, depth, nulls=nulls) for name in names}
    return {"type": "object", "properties": properties, "required": list(names)}


def _value_schema(
    rng: random.Random, difficulty: int, depth: int, *, nulls: bool
) -> dict[str, Any]:
    roll = rng.random()
    if difficulty >= 4 and depth < 2 and roll < 0.2:
        return _object_schema(rng, difficulty, depth + 1, nulls=nulls)
    if difficulty >= 3 and depth < 2 and roll < 0.45:
        structured = difficulty >= 4 and rng.random() < 0.5
        items = (
            _object_schema(rng, difficulty, depth + 1, nulls=nulls)
            if structured
            else _scalar_schema(rng, difficulty, nulls=False)
        )
        fewest = rng.randint(0, 2)
        return {"type": "array", "items": items, "minItems": fewest, "maxItems": fewest + 2}
    return _scalar_schema(rng, difficulty, nulls=nulls)


def _scalar_schema(rng: random.Random, difficulty: int, *, nulls: bool) -> dict[str, Any]:
    kind = rng.choice(("integer", "string", "boolean", "number"))
    schema: dict[str, Any] = {"type": kind}
    if difficulty >= 2 and rng.random() < 0.6:
        if kind in ("integer", "number"):
            low = rng.randint(-50, 50)
            schema |= {"minimum": low, "maximum": low + rng.randint(1, 60)}
        elif kind == "string":
            schema |= _string_rule(rng, difficulty)
    if nulls and "enum" not in schema and rng.random() < 0.2:
        schema["type"] = [kind, "null"]
    return schema


def _string_rule(rng: random.Random, difficulty: int) -> dict[str, Any]:
    rules: list[dict[str, Any]] = [
        {"enum": rng.sample(_WORDS, rng.randint(2, 4))},
        {"minLength": 2, "maxLength": rng.randint(3, 8)},
    ]
    if difficulty >= 4:
        rules += [{"format": rng.choice(list(_FORMATS))}, {"pattern": rng.choice(list(_PATTERNS))}]
    return rng.choice(rules)


def generate_document(schema: Mapping[str, Any], rng: random.Random) -> Any:
    """Return a document that satisfies `schema` and its strict form.

    Raises:
        ConfigError: the schema uses a keyword that the generator cannot write values for.
    """
    return _Writer(schema, rng).value(schema, 0)


class _Writer:
    """Writes one document."""

    def __init__(self, root: Mapping[str, Any], rng: random.Random) -> None:
        self.root = root
        self.rng = rng

    def value(self, schema: Any, depth: int) -> Any:
        """A value that satisfies `schema`."""
        if not isinstance(schema, Mapping):
            raise ConfigError(f"cannot write a value for the schema {schema!r}")
        if "$ref" in schema:
            return self.value(resolve(self.root, schema["$ref"]), depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.value(self.rng.choice(schema[key]), depth)
        types = schema.get("type", "object" if "properties" in schema else None)
        kind = self.rng.choice(types) if isinstance(types, list) else types
        if kind == "object":
            properties = schema.get("properties", {})
            return {name: self.value(item, depth + 1) for name, item in properties.items()}
        if kind == "array":
            return self.array(schema, depth)
        return self.scalar(kind, schema)

    def array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        """An array, no longer than it must be once the document is deep."""
        fewest = schema.get("minItems", 0)
        most = max(fewest, schema.get("maxItems", fewest + 2))
        length = fewest if depth >= _MAX_DEPTH else self.rng.randint(fewest, most)
        return [self.value(schema.get("items"), depth + 1) for _ in range(length)]

    def scalar(self, kind: Any, schema: Mapping[str, Any]) -> Any:
        """A scalar within the bounds of `schema`."""
        rng = self.rng
        if kind == "null":
            return None
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "integer":
            low = schema.get("minimum", schema.get("maximum", 99) - 99)
            return rng.randint(low, schema.get("maximum", low + 99))
        if kind == "number":
            low = schema.get("minimum", schema.get("maximum", 99) - 99)
            high = schema.get("maximum", low + 99)
            return min(high, low + rng.randint(0, int(high - low) * 4) / 4)
        if kind != "string":
            raise ConfigError(f"cannot write a value of the type {kind!r}")
        return self.string(schema)

    def string(self, schema: Mapping[str, Any]) -> str:
        """A string that satisfies the one rule about strings in `schema`."""
        rng = self.rng
        if "pattern" in schema:
            if schema["pattern"] not in _PATTERNS:
                raise ConfigError(f"cannot write a string for the pattern {schema['pattern']!r}")
            return _PATTERNS[schema["pattern"]](rng)
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]](rng)
        shortest = schema.get("minLength", 1)
        longest = max(shortest, schema.get("maxLength", shortest + 5))
        fitting = [word for word in _WORDS if shortest <= len(word) <= longest]
        return rng.choice(fitting) if fitting else _letters(rng, rng.randint(shortest, longest))


def mutate_document(
    document: Any, schema: Mapping[str, Any], rng: random.Random, format: Format = "json"
) -> Mutation:
    """Return `document`, which satisfies the strict form of `schema`, broken in one place.

    Broken in a way that shows in `format`: XML and CSV have no types, so that there a string or
    an array cannot be of the wrong type, and a CSV cell cannot be missing.

    Raises:
        ConfigError: there is no place where a change surely breaks it.
    """
    changed = copy.deepcopy([document])
    sites = [s for s in _sites(changed, 0, "$", schema, schema) if _shows(s, format)]
    if not sites:
        raise ConfigError("the schema accepts whatever could be put in this document's place")
    container, key, path, kind, value = rng.choice(sites)
    if kind == "missing":
        del container[key]
    else:
        container[key] = value
    return Mutation(changed[0], kind, path)


_Site = tuple[Any, Any, str, Literal["missing", "extra", "type", "value", "length"], Any]


def _sites(container: Any, key: Any, path: str, schema: Any, root: Any) -> Iterator[_Site]:
    """Yield the changes at and below one value that break the schema whatever else it says."""
    while isinstance(schema, Mapping) and "$ref" in schema:
        schema = resolve(root, schema["$ref"])
    if not isinstance(schema, Mapping):
        return
    value = container[key]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types:
        yield container, key, path, "type", _of_another_type(types)
    if "enum" in schema:
        yield container, key, path, "value", "zebra" if "zebra" not in schema["enum"] else "xerus"
    if type(value) in (int, float) and "maximum" in schema:
        yield container, key, path, "value", schema["maximum"] + 1
    if type(value) is str and "maxLength" in schema:
        yield container, key, path, "length", "z" * (schema["maxLength"] + 1)
    if isinstance(value, dict) and "properties" in schema:
        yield value, "surplus", f"{path}.surplus", "extra", 1
        for name, item in schema["properties"].items():
            if name in value:
                yield value, name, f"{path}.{name}", "missing", None
                yield from _sites(value, name, f"{path}.{name}", item, root)
    if isinstance(value, list) and "items" in schema:
        if "maxItems" in schema and value:
            longer = [*value, *[value[0]] * (schema["maxItems"] + 1 - len(value))]
            yield container, key, path, "length", longer
        for index in range(len(value)):
            yield from _sites(value, index, f"{path}[{index}]", schema["items"], root)


def _shows(site: _Site, format: Format) -> bool:
    container, key, path, kind, _ = site
    if format in ("json", "yaml"):
        return True
    if path == "$" and kind == "type":
        return False
    if format == "toml":
        return True
    if kind == "type":
        return type(container[key]) in (int, float, bool)
    return format == "xml" or kind in ("value", "length")


def _of_another_type(types: list[str]) -> Any:
    others: tuple[tuple[str, Any], ...] = (("string", "wrong"), ("array", []), ("boolean", True))
    for kind, value in others:
        if kind not in types:
            return value
    return None
