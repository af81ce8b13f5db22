"""A schema as nested Python functions: the fast yes.

`compile_check` turns the common keywords into closures that say whether data satisfies a schema,
five to ten times as fast as walking the schema anew for each document. It only says yes or no:
why not is asked of `jsonschema`, whose answer counts if the two differ. A schema with a keyword
that is not covered here is checked by `jsonschema` alone.

Data must be what the parsers of this package return: exact built-in types, no more than
`Limits.max_depth` levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import regex

from cascade.verifiers.schema.limits import Undecided
from cascade.verifiers.schema.structure import resolve

__all__ = [
    "TYPES",
    "Check",
    "Fuel",
    "Unsupported",
    "compile_check",
    "identity",
    "is_multiple",
    "search",
    "spend",
]

Fuel = list[int]
"""One number: how many more branches may be tried for this document."""
Check = Callable[[Any, Fuel], bool]


class Unsupported(Exception):
    """The schema has a keyword, or a use of one, that is not compiled."""


# Keywords without effect on what is valid, or whose content is reached through others.
_SILENT = frozenset({
    "$schema", "$id", "id", "$comment", "$defs", "definitions", "$anchor", "title", "description",
    "default", "examples", "deprecated", "readOnly", "writeOnly", "contentEncoding",
    "contentMediaType", "contentSchema", "then", "else", "minContains", "maxContains",
})  # fmt: skip

TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: type(v) is str,
    "integer": lambda v: type(v) is int or (type(v) is float and v.is_integer()),
    "number": lambda v: type(v) is int or type(v) is float,
    "boolean": lambda v: type(v) is bool,
    "null": lambda v: v is None,
    "array": lambda v: type(v) is list,
    "object": lambda v: type(v) is dict,
}


def spend(fuel: Fuel) -> None:
    """Pay for one branch.

    Raises:
        Undecided: the document has used up its fuel.
    """
    fuel[0] -= 1
    if fuel[0] < 0:
        raise Undecided("the schema offers too many ways to read this document")


def search(pattern: regex.Pattern[str], text: str, seconds: float) -> bool:
    """Whether `pattern` occurs in `text`.

    Raises:
        Undecided: the match took longer than `seconds` (a pattern that backtracks).
    """
    try:
        return pattern.search(text, timeout=seconds) is not None
    except TimeoutError:
        shown = pattern.pattern[:60]
        raise Undecided(f"matching the pattern {shown!r} took over {seconds} s") from None


def identity(value: Any) -> Any:
    """Return a hashable stand-in that is equal exactly where JSON Schema calls values equal."""
    if type(value) is bool:
        return (bool, value)
    if type(value) is list:
        return (list, *map(identity, value))
    if type(value) is dict:
        return (dict, frozenset((key, identity(item)) for key, item in value.items()))
    return value


def compile_check(
    root: Any,
    unknown_to_dialect: Callable[[str], bool],
    formats: Mapping[str, Callable[[str], bool]],
    pattern_seconds: float,
) -> Check:
    """Return the check of `root`.

    Args:
        root: a schema that its metaschema accepts and whose references resolve.
        unknown_to_dialect: whether a keyword means nothing in the schema's dialect.
        formats: the formats to check.
        pattern_seconds: time for one match of a `pattern`.

    Raises:
        Unsupported: a keyword is not covered.
    """
    return _Compiler(root, unknown_to_dialect, formats, pattern_seconds).schema(root)


def _always(value: Any, fuel: Fuel) -> bool:
    return True


def _never(value: Any, fuel: Fuel) -> bool:
    return False


class _Compiler:
    """Builds the check of each subschema once; recursive references go through a cell."""

    def __init__(
        self,
        root: Any,
        unknown_to_dialect: Callable[[str], bool],
        formats: Mapping[str, Callable[[str], bool]],
        pattern_seconds: float,
    ) -> None:
        self.root = root
        self.unknown = unknown_to_dialect
        self.formats = formats
        self.seconds = pattern_seconds
        self.cells: dict[str, list[Check]] = {}

    def schema(self, schema: Any) -> Check:
        """The check of one (sub)schema."""
        if schema is True or schema == {}:
            return _always
        if schema is False:
            return _never
        if "$id" in schema and schema is not self.root:
            raise Unsupported("$id below the root")
        schema = {key: schema[key] for key in schema if key in _SILENT or not self.unknown(key)}
        parts: list[Check] = []
        if "type" in schema:
            parts.append(_type_check(schema["type"]))
        for keywords, build in _PARTS:
            if any(keyword in schema for keyword in keywords):
                parts.append(build(self, schema))
        for keyword in schema:
            if keyword not in _COVERED and keyword not in _SILENT:
                raise Unsupported(keyword)
        return _all(parts)

    def enum(self, schema: Mapping[str, Any]) -> Check:
        allowed = frozenset(map(identity, schema.get("enum", [schema.get("const")])))
        if "const" in schema:
            allowed &= {identity(schema["const"])}
        if not any(isinstance(value, tuple) for value in allowed):
            return lambda v, fuel: type(v) not in (bool, list, dict) and v in allowed
        return lambda v, fuel: identity(v) in allowed

    def string(self, schema: Mapping[str, Any]) -> Check:
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
        pattern = regex.compile(schema["pattern"]) if "pattern" in schema else None
        has_format = self.formats.get(schema.get("format", ""))
        seconds = self.seconds

        def check(value: Any, fuel: Fuel) -> bool:
            if type(value) is not str:
                return True
            if len(value) < shortest or (longest is not None and len(value) > longest):
                return False
            if has_format is not None and not has_format(value):
                return False
            return pattern is None or search(pattern, value, seconds)

        return check

    def number(self, schema: Mapping[str, Any]) -> Check:
        low, high = schema.get("minimum"), schema.get("maximum")
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        step = schema.get("multipleOf")
        if isinstance(above, bool) or isinstance(below, bool):
            raise Unsupported("boolean exclusiveMinimum")

        def check(value: Any, fuel: Fuel) -> bool:
            if type(value) is not int and type(value) is not float:
                return True
            if (low is not None and value < low) or (high is not None and value > high):
                return False
            if (above is not None and value <= above) or (below is not None and value >= below):
                return False
            return step is None or is_multiple(value, step)

        return check

    def array(self, schema: Mapping[str, Any]) -> Check:
        prefix = [self.schema(item) for item in schema.get("prefixItems", ())]
        items = schema.get("items", True)
        if isinstance(items, list):
            raise Unsupported("items as a list")
        each = None if items is True else self.schema(items)
        fewest, most = schema.get("minItems", 0), schema.get("maxItems")
        unique = bool(schema.get("uniqueItems"))
        start = len(prefix)

        def check(value: Any, fuel: Fuel) -> bool:
            if type(value) is not list:
                return True
            if len(value) < fewest or (most is not None and len(value) > most):
                return False
            for item_check, item in zip(prefix, value, strict=False):
                if not item_check(item, fuel):
                    return False
            if each is not None:
                for item in value[start:] if start else value:
                    if not each(item, fuel):
                        return False
            return not unique or len(set(map(identity, value))) == len(value)

        return check

    def object(self, schema: Mapping[str, Any]) -> Check:
        named = {name: self.schema(item) for name, item in schema.get("properties", {}).items()}
        patterns = [
            (regex.compile(pattern), self.schema(item))
            for pattern, item in schema.get("patternProperties", {}).items()
        ]
        others = self.schema(schema.get("additionalProperties", True))
        names = self.schema(schema.get("propertyNames", True))
        required = frozenset(schema.get("required", ()))
        fewest, most = schema.get("minProperties", 0), schema.get("maxProperties")
        seconds = self.seconds

        def check(value: Any, fuel: Fuel) -> bool:
            if type(value) is not dict:
                return True
            if not required <= value.keys() or len(value) < fewest:
                return False
            if most is not None and len(value) > most:
                return False
            for name, item in value.items():
                own = named.get(name)
                if own is not None and not own(item, fuel):
                    return False
                if names is not _always and not names(name, fuel):
                    return False
                matched = False
                for pattern, pattern_check in patterns:
                    if search(pattern, name, seconds):
                        matched = True
                        if not pattern_check(item, fuel):
                            return False
                if own is None and not matched and not others(item, fuel):
                    return False
            return True

        return check

    def combination(self, schema: Mapping[str, Any]) -> Check:
        every = [self.schema(item) for item in schema.get("allOf", ())]
        some = [self.schema(item) for item in schema.get("anyOf", ())]
        one = [self.schema(item) for item in schema.get("oneOf", ())]
        none = self.schema(schema["not"]) if "not" in schema else None

        def check(value: Any, fuel: Fuel) -> bool:
            spend(fuel)
            for part in every:
                if not part(value, fuel):
                    return False
            if some and not any(part(value, fuel) for part in some):
                return False
            if one and sum(part(value, fuel) for part in one) != 1:
                return False
            return none is None or not none(value, fuel)

        return check

    def condition(self, schema: Mapping[str, Any]) -> Check:
        test = self.schema(schema["if"])
        then = self.schema(schema.get("then", True))
        otherwise = self.schema(schema.get("else", True))

        def check(value: Any, fuel: Fuel) -> bool:
            spend(fuel)
            return then(value, fuel) if test(value, fuel) else otherwise(value, fuel)

        return check

    def reference(self, schema: Mapping[str, Any]) -> Check:
        name = schema["$ref"]
        if name not in self.cells:
            cell = self.cells[name] = [_never]
            cell[0] = self.schema(resolve(self.root, name))
        cell = self.cells[name]

        def check(value: Any, fuel: Fuel) -> bool:
            spend(fuel)
            return cell[0](value, fuel)

        return check


_PARTS: tuple[tuple[tuple[str, ...], Callable[[_Compiler, Mapping[str, Any]], Check]], ...] = (
    (("enum", "const"), _Compiler.enum),
    (("minLength", "maxLength", "pattern", "format"), _Compiler.string),
    (
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        _Compiler.number,
    ),
    (("items", "prefixItems", "minItems", "maxItems", "uniqueItems"), _Compiler.array),
    (
        (
            "properties", "patternProperties", "additionalProperties", "propertyNames",
            "required", "minProperties", "maxProperties",
        ),
        _Compiler.object,
    ),
    (("allOf", "anyOf", "oneOf", "not"), _Compiler.combination),
    (("if",), _Compiler.condition),
    (("$ref",), _Compiler.reference),
)  # fmt: skip
_COVERED = frozenset({"type"}.union(*(keywords for keywords, _ in _PARTS)))


def _type_check(types: str | list[str]) -> Check:
    names = [types] if isinstance(types, str) else types
    tests = [TYPES[name] for name in names]
    if len(tests) == 1:
        test = tests[0]
        return lambda value, fuel: test(value)
    return lambda value, fuel: any(test(value) for test in tests)


def _all(parts: list[Check]) -> Check:
    if not parts:
        return _always
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda value, fuel: first(value, fuel) and second(value, fuel)
    return lambda value, fuel: all(part(value, fuel) for part in parts)


def is_multiple(value: int | float, step: int | float) -> bool:
    """Whether `value` is a multiple of `step` as decimals are written: 19.99 is one of 0.01."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    return Fraction(str(value)) % Fraction(str(step)) == 0
