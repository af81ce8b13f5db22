"""`schema.verify`: what is right, what is wrong, and what the reason says."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import VerdictStatus
from cascade.verifiers import schema
from cascade.verifiers.schema import SchemaVerifier

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
GOOD = {
    "json": '{"name": "Ann", "age": 41, "tags": ["a", "b"]}',
    "yaml": "name: Ann\nage: 41\ntags:\n  - a\n  - b\n",
    "toml": 'name = "Ann"\nage = 41\ntags = ["a", "b"]\n',
    "xml": "<person><name>Ann</name><age>41</age><tags><tag>a</tag><tag>b</tag></tags></person>",
}
TABLE = {"type": "array", "items": {"type": "object", "properties": {
    "name": {"type": "string"}, "age": {"type": "integer"}, "ok": {"type": "boolean"},
}}}  # fmt: skip


def ref(format: str = "json", of: Any = PERSON) -> dict[str, Any]:
    return {"schema": of, "format": format}


@pytest.mark.parametrize("format", GOOD)
def test_a_document_that_satisfies_the_schema_is_correct(format: str) -> None:
    verdict = schema.verify(GOOD[format], ref(format))
    assert verdict.status is VerdictStatus.CORRECT, verdict.reason


@pytest.mark.parametrize("format", GOOD)
def test_a_missing_property_is_wrong_although_the_schema_does_not_require_it(format: str) -> None:
    """Strict mode: every property is required (NeMo-Gym's strictify_schema)."""
    verdict = schema.verify(GOOD[format].replace("age", "years"), ref(format))
    assert verdict.status is VerdictStatus.WRONG


def test_without_strict_the_schema_counts_as_it_is_written() -> None:
    extra = '{"name": "Ann", "more": 1}'
    assert schema.verify(extra, ref()).reward == 0
    assert schema.verify(extra, ref(), strict=False).reward == 1


@pytest.mark.parametrize("format", GOOD)
def test_a_fence_with_the_label_of_the_format_holds_the_document(format: str) -> None:
    fenced = f"Here it is:\n\n```{format}\n{GOOD[format]}\n```\nAnything else?"
    assert schema.verify(fenced, ref(format)).reward == 1
    whole = SchemaVerifier(extraction="whole")
    assert whole(fenced, ref(format)).reward == 0
    assert whole(GOOD[format], ref(format)).reward == 1


def test_the_last_fence_counts_so_that_a_response_cannot_offer_a_choice() -> None:
    right, wrong = GOOD["json"], '{"name": 1}'
    both = "```json\n{}\n```\n\n```json\n{}\n```"
    assert schema.verify(both.replace("{}", wrong, 1).replace("{}", right), ref()).reward == 1
    assert schema.verify(both.replace("{}", right, 1).replace("{}", wrong), ref()).reward == 0


def test_a_labelled_fence_goes_before_one_without_a_label() -> None:
    text = f"```json\n{GOOD['json']}\n```\n```\nsome output\n```"
    assert schema.verify(text, ref()).reward == 1


def test_json_between_lines_of_prose_is_found() -> None:
    assert schema.verify(f"Sure!\n{GOOD['json']}\nDone.", ref()).reward == 1


def test_the_reasoning_block_is_no_answer() -> None:
    assert schema.verify(f"<think>{GOOD['json']}</think>\n{{}}", ref()).reward == 0
    assert schema.verify(f"<think>{{}}</think>\n{GOOD['json']}", ref()).reward == 1
    unclosed = schema.verify(f"<think>\n{GOOD['json']}", ref())
    assert unclosed.status is VerdictStatus.NO_ANSWER


@pytest.mark.parametrize(
    "response", ["", "  \n ", "<think>x</think>", "```json\n{", "```json\n```"]
)
def test_nothing_to_judge_is_no_answer(response: str) -> None:
    assert schema.verify(response, ref()).status is VerdictStatus.NO_ANSWER


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"name": "A", "age": "41", "tags": []}', "$.age: '41' is not of type 'integer'"),
        ('{"name": "A", "age": 41, "tags": ["a", 2]}', "$.tags[1]: 2 is not of type 'string'"),
        ('{"name": "A", "age": -1, "tags": []}', "$.age: -1 is less than the minimum of 0"),
        ('{"name": "A", "age": 1}', "$: 'tags' is a required property"),
        (GOOD["json"][:-1] + ', "x": 1}', "$: 'x' is a property that is not allowed"),
        ('{"name": "A", "name": "B"}', "not JSON: duplicate key 'name'"),
        ('{"name": "A",\n "age": }', "not JSON: line 2, column 9: Expecting value"),
    ],
)
def test_the_reason_says_where_and_why(document: str, reason: str) -> None:
    verdict = schema.verify(document, ref())
    assert verdict.status is VerdictStatus.WRONG
    assert verdict.reason == reason
    assert verdict.extracted == document


def test_the_names_of_nemo_gym_are_understood() -> None:
    import json

    row = {"schema_str": json.dumps(PERSON), "schema_type": "json"}
    assert schema.verify(GOOD["json"], row).reward == 1


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"schema": {"type": "nonsense"}},
        {"schema": {"properties": 3}},
        {"schema": {"$ref": "#/$defs/none"}},
        {"schema": {"$ref": "https://example.org/s.json"}},
        {"schema": {"$ref": "#"}},
        {"schema": {"allOf": [{"$ref": "#"}]}},
        {"schema": {"pattern": "("}},
        {"schema_str": "{"},
        {"schema": PERSON, "format": "ini"},
        {"schema": 3},
    ],
)
def test_a_reference_that_nothing_can_satisfy_is_an_error(reference: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        schema.verify("{}", reference)


def test_settings_that_do_not_exist_are_errors() -> None:
    with pytest.raises(ConfigError):
        SchemaVerifier(extraction="any")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        schema.parse("", "ini")  # type: ignore[arg-type]


def test_strict_form_is_the_published_one_for_plain_objects() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}}
    given = {"type": "object", "properties": {"a": inner, "b": {"type": "array", "items": inner}}}
    strict_inner = inner | {"required": ["x"], "additionalProperties": False}
    assert schema.strict_form(given) == {
        "type": "object",
        "properties": {"a": strict_inner, "b": {"type": "array", "items": strict_inner}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    assert "required" not in given, "the given schema is not changed"


def test_strict_form_reaches_branches_and_respects_names_and_compositions() -> None:
    """A property called "properties", `anyOf` lists and `allOf` parts mean what they say."""
    named = {"type": "object", "properties": {"properties": {"type": "integer"}}}
    assert schema.verify('{"properties": 3}', ref(of=named)).reward == 1
    branch = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {}}}]}
    assert schema.verify('{"a": 1}', ref(of=branch)).reward == 1
    assert schema.verify('{"a": 1, "b": 2}', ref(of=branch)).reward == 0
    composed = {
        "properties": {"a": {"type": "integer"}},
        "allOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
    }
    assert schema.verify('{"a": 1, "b": 2}', ref(of=composed)).reward == 1
    assert schema.verify('{"a": 1, "b": 2, "c": 3}', ref(of=composed)).reward == 0
    assert schema.verify('{"b": 2}', ref(of=composed)).reward == 0


def test_a_recursive_schema_stays_satisfiable_in_strict_mode() -> None:
    """A property that only a recursive $ref describes keeps its own `required`."""
    node = {
        "$defs": {"node": {"type": "object", "properties": {
            "value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"},
            "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        }}},
        "$ref": "#/$defs/node",
    }  # fmt: skip
    good = '{"value": 1, "kids": [], "next": {"value": 2, "kids": [{"value": 3, "kids": []}]}}'
    assert schema.verify(good, ref(of=node)).reward == 1
    verdict = schema.verify(good.replace("3", '"3"'), ref(of=node))
    assert verdict.reason == "$.next.kids[0].value: '3' is not of type 'integer'"


def test_csv_rows_get_the_types_of_the_schema() -> None:
    assert schema.verify("name,age,ok\nAnn,41,true\nBo,7,False\n", ref("csv", TABLE)).reward == 1
    verdict = schema.verify("name,age,ok\nAnn,41,true\nBo,x,true\n", ref("csv", TABLE))
    assert verdict.reason == "$[1].age: 'x' is not of type 'integer'"
    one = TABLE["items"]
    assert schema.verify("name,age,ok\nAnn,41,true", ref("csv", one)).reward == 1


@pytest.mark.parametrize(
    ("text", "kind", "right"),
    [
        ("7", "integer", True), ("+7", "integer", True), ("7.0", "integer", False),
        ("1_000", "integer", False), ("nan", "number", False), ("inf", "number", False),
        ("1e3", "number", True), ("TRUE", "boolean", True), ("yes", "boolean", False),
        ("7", "string", True), ("", "string", True), ("", "null", True), ("", "integer", False),
        ("٣", "integer", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["csv", "xml"])
def test_a_text_has_a_type_only_in_its_exact_form(
    text: str, kind: str, right: bool, format: str
) -> None:
    """Python's own int("1_000") and float("nan") are not what a reader of the file sees."""
    wanted = {"type": "object", "properties": {"a": {"type": kind}, "b": {"type": "string"}}}
    document = f"a,b\n{text},x" if format == "csv" else f"<d><a>{text}</a><b>x</b></d>"
    assert (schema.verify(document, ref(format, wanted)).reward == 1) is right


def test_xml_arrays_may_be_wrapped_repeated_single_or_empty() -> None:
    tags = {"type": "object", "properties": {"tag": {"type": "array", "items": {"type": "number"}}}}
    for document in (
        "<d><tag>1</tag><tag>2</tag></d>",
        "<d><tag><item>1</item><item>2</item></tag></d>",
        "<d><tag>1</tag></d>",
        "<d><tag/></d>",
        "<?xml version='1.0'?><d><!-- x --><tag><n>1</n></tag></d>",
    ):
        assert schema.verify(document, ref("xml", tags)).reward == 1, document
    assert schema.verify("<d><tag>one</tag></d>", ref("xml", tags)).reward == 0
    people = {"type": "array", "items": {"type": "object", "properties": {"name": {}}}}
    crowd = {"type": "object", "properties": {"people": people}}
    one = "<d><people><person><name>A</name></person></people></d>"
    assert schema.verify(one, ref("xml", crowd)).reward == 1
    bare = "<d><people><name>A</name></people></d>"
    assert schema.verify(bare, ref("xml", crowd)).reward == 1


def test_the_root_element_may_be_the_object_or_its_only_property() -> None:
    outer = {"type": "object", "properties": {"person": PERSON}}
    assert schema.verify(GOOD["xml"], ref("xml", outer)).reward == 1
    assert schema.verify(GOOD["xml"], ref("xml", PERSON)).reward == 1


def test_attributes_and_mixed_text_have_their_stated_names() -> None:
    data = schema.parse('<a id="1">x<b>y</b></a>', "xml")
    assert data == {"a": {"@id": "1", "b": "y", "#text": "x"}}


def test_yaml_means_what_json_means() -> None:
    """YAML 1.2's core schema: no Norway problem, no sexagesimals, no date objects."""
    text = "a: no\nb: 12:30\nc: 2024-05-01\nd: 010\ne: 0o10\nf: 1e3\n2024: y\n'g': '1'\nh: ~\n"
    assert schema.parse(text, "yaml") == {
        "a": "no", "b": "12:30", "c": "2024-05-01", "d": 10, "e": 8, "f": 1000.0,
        "2024": "y", "g": "1", "h": None,
    }  # fmt: skip
    assert schema.parse("&a {x: 1}", "yaml") == {"x": 1}
    assert schema.parse("- &a [1]\n- *a\n", "yaml") == [[1], [1]]


def test_toml_dates_are_texts() -> None:
    assert schema.parse("d = 2024-05-01\nt = 2024-05-01T10:00:00Z", "toml") == {
        "d": "2024-05-01",
        "t": "2024-05-01T10:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "23:59:60Z", "12:00"),
        ("date-time", "2024-05-01T10:00:00+02:00", "2024-05-01 10:00"),
        ("duration", "P1DT2H", "P"),
        ("email", "a.b@c.org", "a@b@c..org"),
        ("hostname", "a-b.example", "-a.example"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", "1::2::3"),
        ("uri", "https://a.org/b?c#d", "not a uri"),
        ("uri-reference", "../a#b", "a b"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("json-pointer", "/a/~0b", "a/b"),
    ],
)
def test_formats_are_checked_whatever_is_installed(name: str, right: str, wrong: str) -> None:
    dated = {"type": "object", "properties": {"x": {"type": "string", "format": name}}}
    assert schema.verify(f'{{"x": "{right}"}}', ref(of=dated)).reward == 1
    assert schema.verify(f'{{"x": "{wrong}"}}', ref(of=dated)).reward == 0
    assert SchemaVerifier(formats=False)(f'{{"x": "{wrong}"}}', ref(of=dated)).reward == 1


def test_multiples_are_decimal() -> None:
    """19.99 is a multiple of 0.01, although the quotient of the floats is not whole."""
    cents = {"type": "object", "properties": {"x": {"multipleOf": 0.01}}}
    assert schema.verify('{"x": 19.99}', ref(of=cents)).reward == 1
    assert schema.verify('{"x": 19.995}', ref(of=cents)).reward == 0


def test_threads_agree() -> None:
    """A verifier has no state that threads could mix up."""
    wrong: list[str] = []

    def work(age: int) -> None:
        text = GOOD["json"].replace("41", str(age))
        for _ in range(50):
            verdict = schema.verify(text, ref())
            if verdict.extracted != text or (verdict.reward == 1) is not (age >= 0):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(age,)) for age in (-2, -1, 0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
