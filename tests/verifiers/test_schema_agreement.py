"""The compiled check says what `jsonschema` says, on random schemas and data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import SchemaError
from jsonschema.validators import validator_for

from cascade.errors import DataError
from cascade.verifiers.schema.compiled import compile_schema
from cascade.verifiers.schema.limits import DEFAULT_LIMITS

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-4, 4)
    | st.sampled_from([0.0, 1.0, -2.0, 0.5, 1.5, 2.25])
    | st.sampled_from(["", "a", "ab", "abc", "1", "2024-01-02"])
)
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a few keywords each, with subschemas from `inner`."""
    small = st.integers(0, 3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(DATA, min_size=1, max_size=3),
            "const": DATA,
            "minLength": small, "maxLength": small,
            "pattern": st.sampled_from(["^a", "b$", "[0-9]", ""]),
            "minimum": small, "maximum": small,
            "exclusiveMinimum": small, "exclusiveMaximum": small,
            "multipleOf": st.sampled_from([1, 2, 0.5, 1.5]),
            "items": inner, "minItems": small, "maxItems": small,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "uniqueItems": st.booleans(), "contains": inner,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "."]), inner, max_size=1),
            "additionalProperties": inner, "propertyNames": inner,
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "minProperties": small, "maxProperties": small,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner, "if": inner, "then": inner, "else": inner,
            "unevaluatedProperties": inner, "description": st.just("x"), "x-note": st.just(1),
        },
    )  # fmt: skip


SCHEMAS = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=8)
DIALECTS = [None, *(f"http://json-schema.org/draft-0{n}/schema#" for n in (4, 6, 7)),
            "https://json-schema.org/draft/2019-09/schema"]  # fmt: skip


def agree(made: Any, data: Any) -> None:
    dialect = validator_for(made, default=validator_for({}))
    try:
        compiled = compile_schema(made, strict=False, formats=False, limits=DEFAULT_LIMITS)
    except DataError:
        with pytest.raises(SchemaError):
            dialect.check_schema(made)
        return
    expected = dialect(made).is_valid(data)
    if compiled.check is not None:
        assert compiled.check(data, [10_000]) is expected, (made, data)
    assert (compiled.problem(data) is None) is expected, (made, data)


@given(made=SCHEMAS, data=DATA, dialect=st.sampled_from(DIALECTS))
@settings(max_examples=120, deadline=None)
def test_random_schemas_accept_the_same_data(made: Any, data: Any, dialect: str | None) -> None:
    if isinstance(made, dict) and dialect is not None:
        made = {"$schema": dialect, **made}
    agree(json.loads(json.dumps(made)), data)


@given(
    data=st.recursive(SCALARS, lambda i: st.lists(i) | st.dictionaries(st.sampled_from("vn"), i))
)
@settings(max_examples=50, deadline=None)
def test_references_and_recursion_accept_the_same_data(data: Any) -> None:
    node = {"$ref": "#/$defs/list"}
    pair = {
        "type": "object",
        "required": ["n"],
        "properties": {"v": {"type": "integer"}, "n": node},
    }
    either = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/pair"}]}
    agree({"$defs": {"list": either, "pair": pair}, **node, "title": "beside it"}, data)


@pytest.mark.parametrize(
    "keyword", ["contains", "unevaluatedProperties", "dependentRequired", "$dynamicRef"]
)
def test_a_keyword_that_is_not_compiled_is_left_to_jsonschema(keyword: str) -> None:
    value: Any = {"contains": {}, "unevaluatedProperties": False, "dependentRequired": {},
                  "$dynamicRef": "#"}[keyword]  # fmt: skip
    made = {"properties": {"a": {keyword: value}}}
    compiled = compile_schema(made, strict=False, formats=True, limits=DEFAULT_LIMITS)
    assert compiled.check is None


def test_the_same_content_is_compiled_once() -> None:
    """By content, not by identity: tasks carry their own copies of a schema."""
    made = {"type": "object", "properties": {"a": {"type": "integer"}}}
    one = compile_schema(dict(made), strict=True, formats=True, limits=DEFAULT_LIMITS)
    two = compile_schema(json.loads(json.dumps(made)), strict=True, formats=True,
                         limits=DEFAULT_LIMITS)  # fmt: skip
    assert one is two
