"""Hostile and broken documents: bounded work, no exception, no reward."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.types import VerdictStatus
from cascade.verifiers import schema
from cascade.verifiers.schema import DocumentError, Format, Limits, SchemaVerifier

ANY = {"type": "object", "properties": {"a": {}}}
FORMATS = schema.FORMAT_NAMES
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)
XML_LAUGHS = (
    '<!DOCTYPE a [<!ENTITY b "lol">'
    + "".join(f'<!ENTITY b{i} "{f"&b{i - 1 if i else str()};" * 10}">' for i in range(9))
    + "]><a>&b8;</a>"
)

BROKEN: list[tuple[Format, str, str]] = [
    ("json", '{"a": 1, "a": 2}', "duplicate key"),
    ("json", '{"a": NaN}', "not a JSON number"),
    ("json", '{"a": -Infinity}', "not a JSON number"),
    ("json", '{"a": 1e999}', "too large"),
    ("json", '{"a": ' + "9" * 10_000 + "}", "too many digits"),
    ("json", '{"a": "\\ud800"}', "lone surrogate"),
    ("json", '{"a": "\ud800"}', "lone surrogate"),
    ("json", "[" * 10_000, "nested deeper"),
    ("json", '{"a":' * 10_000 + "1" + "}" * 10_000, "nested deeper"),
    ("json", '{"a": 1} {"a": 1}', "Extra data"),
    ("json", "{'a': 1}", "property name"),
    ("json", '{"a": 1,}', ""),
    ("json", '// c\n{"a": 1}', ""),
    ("yaml", LAUGHS, "values"),
    ("yaml", "a: &a [*a]", "names no value that is complete"),
    ("yaml", "x: &x 1\n" + "".join(f"k{i}: *x\n" for i in range(200)), "aliases"),
    ("yaml", "a: 1\na: 2", "duplicate key"),
    ("yaml", "a: .nan", "not a JSON number"),
    ("yaml", "a: 1e999", "too large"),
    ("yaml", "a: !!python/object/apply:os.system [ls]", "tag"),
    ("yaml", "a: !!binary aGk=", "tag"),
    ("yaml", "? [a]\n: 1", "key"),
    ("yaml", "a: 1\n---\na: 1", "more than one document"),
    ("yaml", "[" * 10_000, "nested deeper"),
    ("yaml", "- " * 10_000, "nested deeper"),
    ("yaml", "a: [1", ""),
    ("yaml", "a: \x00", ""),
    ("xml", XML_LAUGHS, "document type"),
    ("xml", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
    ("xml", "<a>" * 10_000, "nested deeper"),
    ("xml", "<a><b></a>", "mismatched"),
    ("xml", "<a/><a/>", "junk"),
    ("xml", '<a x="1" x="2"/>', "duplicate"),
    ("xml", "<a>&undefined;</a>", "undefined"),
    ("toml", "a = 1\na = 2", ""),
    ("toml", "a = nan", "not a JSON number"),
    ("toml", "a = inf", "not a JSON number"),
    ("toml", "a = " + "[" * 10_000, "nested deeper"),
    ("toml", ".".join("a" * 200_000) + " = 1", "nested deeper"),
    ("toml", "a = 2024-13-45", ""),
    ("csv", "a,a\n1,2", "duplicate column"),
    ("csv", "a,b\n1", "1 cells under 2"),
    ("csv", "a\n1,2", "2 cells under 1"),
    ("csv", 'a\n"x', ""),
    ("csv", "a,,b\n1,2,3", "name every column"),
    ("csv", "a\n" + "x" * 200_000, "field larger"),
    ("csv", "The answer is unclear.", "no row"),
]


@pytest.mark.parametrize(
    ("format", "text", "why"), BROKEN, ids=[f"{f}-{t[:20]!a}" for f, t, _ in BROKEN]
)
def test_a_broken_document_is_wrong_and_the_reason_says_why(
    format: Format, text: str, why: str
) -> None:
    verdict = SchemaVerifier(extraction="whole")(text, {"schema": True, "format": format})
    assert verdict.status is VerdictStatus.WRONG
    assert verdict.reason.startswith(f"not {format.upper()}: ")
    assert why in verdict.reason
    assert verdict.extracted is not None
    verdict.extracted.encode()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "unit",
    ["x", "[", "{", '"', "\\", '\\"', "`", "```", "<", "&", ",", "\n", " ", "- ", "a.", "\u202e"],
)
def test_ten_million_characters_are_refused_in_bounded_time(format: Format, unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    verdict = schema.verify(text, {"schema": ANY, "format": format})
    assert verdict.reward == 0
    assert verdict.extracted is None or len(verdict.extracted) < 100_000


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "unit",
    ['"', '\\"', "'", '"""', "'''", '"a".', "a.", "a=[", "[a]\n", "a\n", "a: ", "*a ", "<a ", "<a>",
     "</a>", ",", '",', "\t", "#", "|\n", "? ", "&a ", "!", "%", "]", "- - ", "{a: "],
)  # fmt: skip
def test_no_parser_is_quadratic_on_a_repeated_token(format: Format, unit: str) -> None:
    """The test would not end where one is."""
    text = unit * (200_000 // len(unit))
    for document in (text, "a" + text, '"' + text, "a = " + text):
        with contextlib.suppress(DocumentError):
            schema.parse(document, format)


def test_a_pattern_that_backtracks_is_a_fault_not_a_hang() -> None:
    """The verifier ran out of its own time: that says nothing about the response."""
    evil = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a|a)*$"}}}
    text = '{"a": "' + "a" * 60 + '!"}'
    assert schema.verify(text, {"schema": evil, "format": "json"}).is_fault
    assert schema.verify('{"a": "aaa"}', {"schema": evil, "format": "json"}).reward == 1


def test_an_ambiguous_recursive_schema_is_a_fault_not_a_hang() -> None:
    """Two branches that recurse alike double the work at each level of the document."""
    branch = {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}
    doubling = {
        "$defs": {"n": {"anyOf": [branch, {**branch, "minProperties": 1}, {"type": "integer"}]}},
        "$ref": "#/$defs/n",
    }
    deep = '{"n":' * 50 + '"end"' + "}" * 50
    verdict = schema.verify(deep, {"schema": doubling, "format": "json"}, strict=False)
    assert verdict.is_fault
    shallow = '{"n":' * 3 + "1" + "}" * 3
    assert schema.verify(shallow, {"schema": doubling, "format": "json"}, strict=False).reward == 1


def test_many_equal_items_do_not_make_uniqueness_quadratic() -> None:
    unique = {"type": "array", "uniqueItems": True}
    items = ",".join(f'{{"a":{i}}}' for i in range(50_000))
    assert schema.verify(f"[{items}]", {"schema": unique, "format": "json"}).reward == 1
    twice = schema.verify(f'[{items},{{"a":1}}]', {"schema": unique, "format": "json"})
    assert twice.reward == 0
    assert "non-unique" in twice.reason


def test_limits_are_settings() -> None:
    small = SchemaVerifier(limits=Limits(max_chars=10, max_depth=2))
    free = {"schema": True, "format": "json"}
    assert small("[1]", free).reward == 1
    assert small("[[[1]]]", free).reward == 0
    assert small('"' + "x" * 20 + '"', free).reward == 0


STRICT_REFERENCE = {
    "type": "object",
    "properties": {"zq": {"type": "integer"}, "list": {"type": "array", "items": {"type": "null"}}},
}


@given(
    text=st.text(alphabet=st.characters(codec=None), max_size=80)
    | st.text(alphabet="{}[]\":,\\ \n<>/&;=#-*!|'`ab01.eE", max_size=60),
    format=st.sampled_from(FORMATS),
    rule=st.sampled_from(["auto", "whole"]),
)
@settings(max_examples=250, deadline=None)
def test_random_text_never_raises_and_never_earns(text: str, format: Format, rule: Any) -> None:
    verdict = SchemaVerifier(extraction=rule)(text, {"schema": STRICT_REFERENCE, "format": format})
    assert verdict.reward == 0
    assert not verdict.is_fault
    assert len(verdict.reason) < 1_000


def test_mutated_documents_never_raise_and_wrong_bytes_rarely_pass() -> None:
    """A change of one character either keeps a valid document or is refused; nothing else."""
    rng = random.Random(7)
    for _ in range(150):
        format = rng.choice(FORMATS)
        made = schema.generate_schema(rng, rng.randint(1, 5), format)
        text = schema.render(schema.generate_document(made, rng), format)
        at = rng.randrange(len(text))
        piece = rng.choice(["", '"', "{", "]", "\\", "\ud800", "\x00", "&", "é", "\n", text[:at]])
        changed = text[:at] + piece + text[at + 1 :]
        verdict = schema.verify(changed, {"schema": made, "format": format})
        assert not verdict.is_fault, (changed, made)
