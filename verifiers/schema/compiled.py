"""A schema made ready to check many documents, compiled once per content."""

from __future__ import annotations

import json
import marshal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import jsonschema
import regex
from jsonschema import FormatChecker, ValidationError
from jsonschema.validators import Draft202012Validator, extend, validator_for
from referencing import Registry

from cascade.errors import DataError
from cascade.verifiers.schema.checks import (
    Check,
    Fuel,
    Unsupported,
    compile_check,
    identity,
    is_multiple,
    search,
    spend,
)
from cascade.verifiers.schema.explanation import first_problem
from cascade.verifiers.schema.formats import FORMATS
from cascade.verifiers.schema.limits import Limits, Undecided
from cascade.verifiers.schema.structure import check_references, strict_form, walk

__all__ = ["CompiledSchema", "compile_schema"]

_DIALECTS_OF_THE_FAST_CHECK = ("draft-06", "draft-07", "2019-09", "2020-12")
_BRANCHING = (
    "$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "if", "contains",
    "dependentSchemas", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_fuel = threading.local()


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """What checking a document against one schema needs."""

    schema: Any
    """The schema as it is enforced: the strict form, if that was asked for."""
    limits: Limits
    check: Check | None
    """The compiled check; None where only `jsonschema` knows a keyword of the schema."""
    validator: Any
    """A `jsonschema` validator of the same schema, bounded in time."""

    def problem(self, data: Any) -> str | None:
        """Return None if `data` satisfies the schema, else ``path: why not``.

        Raises:
            Undecided: the limits were spent before it was clear.
        """
        try:
            if self.check is not None:
                if self.check(data, [self.limits.max_steps]):
                    return None
                found = first_problem(self.schema, data)
                if found is not None:
                    return f"{path_text(found[0])}: {found[1]}"
            with_fuel = self._errors(self.validator, data)
            error = next(with_fuel, None)
        except RecursionError:
            raise Undecided("the schema nests too deep to be checked") from None
        return None if error is None else f"{path_text(error.absolute_path)}: {_message(error)}"

    def accepts(self, subschema: Any, data: Any) -> bool:
        """Whether `data` satisfies a part of the schema (its references lead into the whole).

        Raises:
            Undecided: the limits were spent before it was clear.
        """
        part = self.validator.evolve(schema=subschema)
        return next(self._errors(part, data), None) is None

    def _errors(self, validator: Any, data: Any) -> Iterator[ValidationError]:
        _fuel.left = [self.limits.max_steps]
        yield from validator.iter_errors(data)


def path_text(path: Iterable[str | int]) -> str:
    """Return a path as ``$.items[3].name``."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}"
        else:
            text += f"[{step[:60]!r}]"
    return text


def _message(error: ValidationError | jsonschema.SchemaError) -> str:
    message = " ".join(error.message.split())
    return message if len(message) <= 200 else message[:120] + " … " + message[-60:]


def compile_schema(
    schema: Mapping[str, Any] | bool | str, *, strict: bool, formats: bool, limits: Limits
) -> CompiledSchema:
    """Return the compiled form of `schema` (JSON text is read first), from a cache by content.

    Args:
        schema: the schema, or its JSON text.
        strict: enforce `structure.strict_form` of it.
        formats: whether ``format`` is a condition or only a note.
        limits: what one document may cost.

    Raises:
        DataError: not a schema, a reference that leaves it or leads nowhere, a bad pattern.
    """
    if isinstance(schema, str):
        return _compile_text(schema, strict, formats, limits)
    try:
        content = marshal.dumps(schema, 2)  # type: ignore[arg-type]
    except ValueError:
        content = marshal.dumps(json.loads(_dump(schema)), 2)
    return _compile_marshalled(content, strict, formats, limits)


def _dump(schema: Any) -> str:
    try:
        return json.dumps(schema, default=dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"the schema is not JSON data: {error}") from None


@lru_cache(maxsize=2048)
def _compile_text(text: str, strict: bool, formats: bool, limits: Limits) -> CompiledSchema:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the schema is not JSON: {error}") from None
    return compile_schema(schema, strict=strict, formats=formats, limits=limits)


@lru_cache(maxsize=2048)
def _compile_marshalled(
    content: bytes, strict: bool, formats: bool, limits: Limits
) -> CompiledSchema:
    schema = marshal.loads(content)
    if not isinstance(schema, (dict, bool)):
        raise DataError(f"a schema is an object or a boolean, got {type(schema).__name__}")
    dialect = validator_for(schema, default=Draft202012Validator)
    try:
        dialect.check_schema(cast("dict[str, Any]", schema))
    except jsonschema.SchemaError as error:
        where = path_text(error.absolute_path)
        raise DataError(f"not a JSON Schema, at {where}: {_message(error)}") from None
    _check_patterns(schema)
    check_references(schema)
    enforced = strict_form(schema) if strict else schema
    known = FORMATS if formats else {}
    return CompiledSchema(
        enforced,
        limits,
        _fast_check(enforced, dialect, known, limits),
        _bounded(dialect, limits)(
            enforced, format_checker=_format_checker() if formats else None, registry=Registry()
        ),
    )


def _check_patterns(schema: Any) -> None:
    for part in walk(schema):
        if isinstance(part, Mapping):
            for pattern in (part.get("pattern", ""), *part.get("patternProperties", ())):
                try:
                    regex.compile(pattern)
                except (regex.error, TypeError) as error:
                    raise DataError(f"the schema's pattern {pattern!r}: {error}") from None


def _fast_check(
    schema: Any, dialect: Any, formats: Mapping[str, Callable[[str], bool]], limits: Limits
) -> Check | None:
    name = str(dialect.META_SCHEMA.get("$schema", dialect.META_SCHEMA.get("$id", "")))
    if not any(known in name for known in _DIALECTS_OF_THE_FAST_CHECK):
        return None
    if "draft-0" in name and any(
        isinstance(part, Mapping) and "$ref" in part and len(part) > 1 for part in walk(schema)
    ):
        return None  # up to draft 7, the siblings of $ref have no effect
    try:
        unknown = _unknown_to(dialect)
        return compile_check(schema, unknown, formats, limits.pattern_seconds)
    except (Unsupported, RecursionError):
        return None


def _unknown_to(dialect: Any) -> Callable[[str], bool]:
    return lambda keyword: keyword not in dialect.VALIDATORS


@lru_cache(maxsize=1)
def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, has_format in FORMATS.items():
        checker.checks(name)(_only_strings(has_format))
    return checker


def _only_strings(has_format: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or has_format(value)


@lru_cache(maxsize=64)
def _bounded(dialect: Any, limits: Limits) -> Any:
    """`jsonschema`'s validator with a budget, and without its quadratic and exponential corners."""

    def pattern(validator: Any, text: str, instance: Any, schema: Any) -> Iterator[Any]:
        compiled = regex.compile(text)
        if isinstance(instance, str) and not search(compiled, instance, limits.pattern_seconds):
            yield ValidationError(f"{instance!r} does not match {text!r}")

    def unique(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[Any]:
        if not wanted or not isinstance(instance, list):
            return
        if len(set(map(identity, instance))) < len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")

    def multiple(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "number") and not is_multiple(instance, step):
            yield ValidationError(f"{instance!r} is not a multiple of {step!r}")

    keywords = {
        keyword: _paid(dialect.VALIDATORS[keyword])
        for keyword in _BRANCHING
        if keyword in dialect.VALIDATORS
    }
    keywords |= {"pattern": pattern, "uniqueItems": unique, "multipleOf": multiple}
    return extend(dialect, keywords)  # type: ignore[no-untyped-call]


def _paid(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        fuel: Fuel = _fuel.left
        spend(fuel)
        return keyword(validator, value, instance, schema)

    return run
