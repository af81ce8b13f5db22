"""The shape of a schema: its subschemas, its references, and the strict form of the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cascade.errors import DataError

__all__ = ["check_references", "children", "resolve", "strict_form"]

Schema = Mapping[str, Any] | bool

_ONE = (
    "additionalProperties", "items", "additionalItems", "contains", "propertyNames", "not", "if",
    "then", "else", "unevaluatedProperties", "unevaluatedItems", "contentSchema",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")

_SAME_VALUE_ONE = ("not", "if", "then", "else")
_SAME_VALUE_LISTS = ("allOf", "anyOf", "oneOf")


def children(schema: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield ``(path, subschema)`` of each direct subschema of a schema object."""
    if not isinstance(schema, Mapping):
        return
    for key in _ONE:
        if isinstance(schema.get(key), (Mapping, bool)):
            yield (key,), schema[key]
    for key in _LISTS:
        if isinstance(schema.get(key), list):
            for index, item in enumerate(schema[key]):
                yield (key, index), item
    for key in _MAPS:
        if isinstance(schema.get(key), Mapping):
            for name, item in schema[key].items():
                yield (key, name), item


def walk(schema: Any) -> Iterator[Any]:
    """Yield `schema` and everything below it that is a schema."""
    stack = [schema]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(child for _, child in children(here))


def resolve(root: Any, reference: str) -> Any:
    """Return what a reference inside `root` points at: a JSON pointer or an anchor.

    Raises:
        DataError: it points outside the schema, or at nothing. Nothing is ever fetched.
    """
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise DataError(f"the schema's $ref {reference!r} leaves the schema: inline its target")
    fragment = reference[1:]
    if fragment and not fragment.startswith("/"):
        for schema in walk(root):
            if isinstance(schema, Mapping) and fragment in (
                schema.get("$anchor"), schema.get("$dynamicAnchor"),
            ):  # fmt: skip
                return schema
        raise DataError(f"the schema's $ref {reference!r} names no anchor of it")
    here = root
    for part in fragment.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            here = here[int(key)] if isinstance(here, list) else here[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise DataError(f"the schema's $ref {reference!r} points at nothing") from None
    return here


def check_references(root: Any) -> None:
    """Refuse references that cannot be followed, or that lead in a circle without going deeper.

    Raises:
        DataError: naming the reference.
    """
    for schema in walk(root):
        if isinstance(schema, Mapping) and "$ref" in schema:
            resolve(root, schema["$ref"])
    done: set[int] = set()
    for schema in walk(root):
        _check_circle(root, schema, [], done)


def _check_circle(root: Any, schema: Any, path: list[int], done: set[int]) -> None:
    """Depth-first search along the edges that stay at the same value."""
    if not isinstance(schema, Mapping) or id(schema) in done:
        return
    if id(schema) in path:
        raise DataError(f"the schema's $ref {schema.get('$ref')!r} leads back to itself")
    if len(path) > 200:
        raise DataError("the schema nests more than 200 levels of allOf, anyOf, … and $ref")
    path.append(id(schema))
    following = [schema[key] for key in _SAME_VALUE_ONE if key in schema]
    for key in _SAME_VALUE_LISTS:
        following.extend(schema.get(key) or [])
    if "$ref" in schema:
        following.append(resolve(root, schema["$ref"]))
    for child in following:
        _check_circle(root, child, path, done)
    path.pop()
    done.add(id(schema))


def strict_form(root: Any) -> Any:
    """Return the schema under which every object has all of its properties and no others.

    As published for Nemotron's structured-output set (NeMo-Gym's `strictify_schema`): wherever a
    schema has ``properties``, ``required`` becomes all of them and ``additionalProperties``
    becomes false. Three differences, each where the published form cannot mean what it says:

    * branches in lists (``anyOf``, ``oneOf``, ``prefixItems``) are made strict too;
    * a *property* that happens to be called "properties" is a property;
    * beside ``allOf``, ``anyOf``, ``oneOf``, ``if`` or ``$ref``, which may describe further
      properties, ``unevaluatedProperties: false`` is used, and the parts of an ``allOf``, ``not``
      or ``if`` stay as they are; a property that only a recursive ``$ref`` describes keeps its own
      ``required``, since otherwise no finite document exists.
    """
    return _strict(root, _recursive_references(root), inside_composition=False)


def _strict(schema: Any, recursive: frozenset[str], *, inside_composition: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    for (key, *rest), child in children(schema):
        composed = inside_composition or key in ("allOf", "not", "if", "then", "else")
        if key in ("anyOf", "oneOf") and "properties" in schema:
            composed = True
        new = _strict(child, recursive, inside_composition=composed and key not in _MAPS[:2])
        if not rest:
            made[str(key)] = new
            continue
        if made[key] is schema[key]:
            made[key] = made[key].copy() if isinstance(made[key], list) else dict(made[key])
        made[key][rest[0]] = new
    if inside_composition or not isinstance(schema.get("properties"), Mapping):
        return made
    own = schema.get("required")
    own = own if isinstance(own, list) else []
    made["required"] = [
        name
        for name, child in schema["properties"].items()
        if name in own or not (isinstance(child, Mapping) and child.get("$ref") in recursive)
    ]
    if any(key in schema for key in ("allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas")):
        made.setdefault("unevaluatedProperties", False)
        made["required"] += [name for name in own if name not in made["required"]]
    else:
        made["additionalProperties"] = False
    return made


def _recursive_references(root: Any) -> frozenset[str]:
    """The references that can be reached from their own target."""
    targets: dict[str, set[str]] = {}
    waiting = [s["$ref"] for s in walk(root) if isinstance(s, Mapping) and "$ref" in s]
    while waiting:
        reference = waiting.pop()
        if reference in targets:
            continue
        inner = {
            s["$ref"]
            for s in walk(resolve(root, reference))
            if isinstance(s, Mapping) and "$ref" in s
        }
        targets[reference] = inner
        waiting.extend(inner)

    def reaches(start: str) -> bool:
        seen: set[str] = set()
        stack = list(targets[start])
        while stack:
            here = stack.pop()
            if here == start:
                return True
            if here not in seen:
                seen.add(here)
                stack.extend(targets[here])
        return False

    return frozenset(reference for reference in targets if reaches(reference))
