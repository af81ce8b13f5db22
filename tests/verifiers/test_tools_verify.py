"""`tools.verify`: types, optional arguments, order, surplus calls, irrelevance."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import DataError
from cascade.types import VerdictStatus
from cascade.verifiers import tools
from cascade.verifiers.tools import Call, CallFormat
from cascade.verifiers.tools.comparison import loose_form
from cascade.verifiers.tools.foreign_values import foreign_value
from cascade.verifiers.tools.matching import longest_common_order, maximum_matching

BOOK = {
    "name": "hotel.book",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "nights": {"type": "integer"},
            "price": {"type": "number"},
            "quiet": {"type": "boolean", "default": False},
            "dates": {"type": "array", "items": {"type": "string"}},
            "guest": {"type": "object", "properties": {"age": {"type": "integer"}}},
        },
        "required": ["city", "nights"],
    },
}
PING = {"name": "ping", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
TOOLS = [BOOK, PING]


def one(expected: dict[str, Any], given: dict[str, Any]) -> Any:
    """The verdict where one call is expected and one is made, both of `hotel.book`."""
    reference = {"calls": [{"name": "hotel.book", "arguments": expected}], "tools": TOOLS}
    return tools.verify(tools.message_of([Call("hotel.book", given)]), reference)


def pings(*numbers: int) -> Any:
    return tools.message_of([Call("ping", {"n": n}) for n in numbers])


def expecting(*numbers: int, **options: Any) -> dict[str, Any]:
    calls = [{"name": "ping", "arguments": {"n": n}} for n in numbers]
    return {"calls": calls, "tools": TOOLS, **options}


BASE = {"city": "Oslo", "nights": 2}


@pytest.mark.parametrize(
    ("argument", "value", "given", "right"),
    [
        ("nights", 2, 2, True), ("nights", 2, "2", False), ("nights", 2, 2.0, False),
        ("nights", 1, True, False), ("nights", 2, -2, False),
        ("price", 5, 5.0, True), ("price", 5.0, 5, True), ("price", 5.0, "5.0", False),
        ("price", 0.3, 0.1 + 0.2, True), ("price", 0.3, 0.3001, False),
        ("quiet", True, "true", False), ("quiet", True, 1, False), ("quiet", True, True, True),
        ("city", "-5", "5", False), ("city", "a/b", "ab", False), ("city", "Oslo", "oslo", False),
        ("city", "5", 5, False), ("city", "1.5-2", "152", False),
        ("dates", ["a", "b"], ["a", "b"], True), ("dates", ["a", "b"], ["b", "a"], False),
        ("dates", ["a"], "a", False), ("dates", ["a"], ["a", "a"], False), ("dates", [], [], True),
        ("guest", {"age": 3}, {"age": 3}, True), ("guest", {"age": 3}, {"age": "3"}, False),
        ("guest", {"age": 3}, {}, False), ("guest", {"age": 3}, {"age": 3, "x": 1}, False),
    ],
)  # fmt: skip
def test_values_are_compared_in_their_declared_type(
    argument: str, value: Any, given: Any, right: bool
) -> None:
    verdict = one({**BASE, argument: value}, {**BASE, argument: given})
    assert (verdict.reward == 1) is right, verdict.reason


def test_row_15_of_the_reproduced_bugs_signs_and_slashes_count() -> None:
    """BFCL's string_checker strips them: "-5" is "5", "1.5-2" is "152", "a/b" is "ab"."""
    pairs = (("5", "-5"), ("152", "1.5-2"), ("ab", "a/b"), ("x2", "x^2"), ("23", "2*3"))
    for gold, said in pairs:
        acceptable = {"hotel.book": {"city": [gold], "nights": [2]}}
        reference = {"acceptable": acceptable, "tools": TOOLS}
        for one_way, other in ((gold, said), (said, gold)):
            acceptable["hotel.book"]["city"] = [one_way]
            call = Call("hotel.book", {"city": other, "nights": 2})
            verdict = tools.verify(tools.message_of([call]), reference)
            assert verdict.status is VerdictStatus.WRONG


@pytest.mark.parametrize(
    ("one_text", "other", "same"),
    [
        ("April 1, 2024", "april 1 2024", True), ("April 1,2024", "April 1 2024", True),
        ("New York, NY", "new york ny", True), ("New-York", "new_york", True),
        ("O'Brien", "O’Brien", True), ("3 PM", "3pm", True), ("Yes.", "yes", True),
        ("1,000", "1000", False), ("2024-04-01", "20240401", False), ("-5", "5", False),
        ("1.5", "15", False), ("a/b", "ab", False), ("x^2", "x2", False), ("5 0", "50", False),
        ("a - b", "a b", False), ("-x", "x", False),
    ],
)  # fmt: skip
def test_the_loose_rule_forgives_only_how_a_text_is_written(
    one_text: str, other: str, same: bool
) -> None:
    assert (loose_form(one_text) == loose_form(other)) is same


def test_arguments_with_a_default_may_be_given_or_left_out() -> None:
    assert one(BASE, {**BASE, "quiet": False}).reward == 1
    assert one({**BASE, "quiet": False}, BASE).reward == 1
    assert one(BASE, {**BASE, "quiet": True}).reward == 0
    assert one({**BASE, "quiet": True}, BASE).reward == 0
    assert one(BASE, {**BASE, "price": 3.0}).reward == 0
    assert one(BASE, {**BASE, "unknown": 1}).reward == 0
    assert one(BASE, {"city": "Oslo"}).reward == 0


def test_bfcl_acceptable_values_are_sets_and_the_empty_string_means_optional() -> None:
    options: dict[str, Any] = {"city": ["Oslo", "Oslo, NO"], "nights": [2, 3], "quiet": ["", True],
                               "guest": ["", {"age": [3, 4]}]}  # fmt: skip
    reference = {"acceptable": [{"hotel.book": options}], "tools": TOOLS}

    def right(**given: Any) -> bool:
        return tools.verify(tools.message_of([Call("hotel.book", given)]), reference).reward == 1

    assert right(city="oslo no", nights=3)
    assert right(city="Oslo", nights=2, quiet=True, guest={"age": 4})
    assert not right(city="Oslo", nights=4)
    assert not right(city="Oslo", nights=2, guest={"age": 5})
    assert not right(city="Oslo", nights=2, guest={})
    assert not right(city="Rome", nights=2)
    assert not right(nights=2)
    assert not right(city="Oslo", nights=2, dates=[])


def test_calls_of_one_function_are_told_apart_by_a_number_in_bfcl() -> None:
    gold = {"ping_1": {"n": [1]}, "ping 2": {"n": [2]}}
    assert tools.verify(pings(2, 1), {"acceptable": gold, "tools": TOOLS}).reward == 1
    assert tools.verify(pings(1, 1), {"acceptable": gold, "tools": TOOLS}).reward == 0


def test_a_name_without_its_dots_is_the_declared_name() -> None:
    """OpenAI's API allows no dots in names; the model then sees and says hotel_book."""
    reference = {"calls": [{"name": "hotel.book", "arguments": BASE}], "tools": TOOLS}
    assert tools.verify(tools.message_of([Call("hotel_book", BASE)]), reference).reward == 1
    both = [*TOOLS, {"name": "hotel_book"}]
    ambiguous = {**reference, "tools": both}
    assert tools.verify(tools.message_of([Call("hotel_book", BASE)]), ambiguous).reward == 0


def test_parallel_calls_are_paired_as_well_as_they_can_be() -> None:
    """Greedy pairing would give the call that fits both to the first, and none to the second."""
    gold = [{"ping": {"n": [1, 2]}}, {"ping": {"n": [1]}}]
    for numbers in itertools.permutations((1, 2)):
        assert tools.verify(pings(*numbers), {"acceptable": gold, "tools": TOOLS}).reward == 1
    assert tools.verify(pings(2, 2), {"acceptable": gold, "tools": TOOLS}).reward == 0


def test_order_counts_only_where_it_is_asked_for() -> None:
    assert tools.verify(pings(2, 1), expecting(1, 2)).reward == 1
    ordered = tools.verify(pings(2, 1), expecting(1, 2, order=True))
    assert ordered.status is VerdictStatus.WRONG
    assert "out of order" in ordered.reason
    assert tools.verify(pings(1, 2), expecting(1, 2, order=True)).reward == 1
    part = tools.verify(pings(3, 1, 2), expecting(1, 2, 3, order=True, reward="f1"))
    assert part.reward == pytest.approx(2 * 2 / 6)


def test_surplus_calls_cost_reward() -> None:
    """f1 = 2m / (expected + made): a model cannot win by calling everything."""
    assert tools.verify(pings(1, 2), expecting(1)).reward == 0
    some = tools.verify(pings(1, 2), expecting(1, reward="f1"))
    assert some.status is VerdictStatus.PARTIAL
    assert some.reward == pytest.approx(2 / 3)
    all_of_them = tools.verify(pings(*range(100)), expecting(1, reward="f1"))
    assert all_of_them.reward == pytest.approx(2 / 101)
    assert tools.verify(pings(1), expecting(1, 2, reward="f1")).reward == pytest.approx(2 / 3)
    assert tools.verify(pings(5), expecting(1, reward="f1")).reward == 0
    assert tools.verify(pings(1), expecting(1, reward="f1")).reward == 1
    assert tools.verify(pings(*range(1000)), expecting(1, reward="f1")).reward == 0
    assert tools.verify(pings(1, 1), expecting(1)).reward == 0


def test_a_malformed_call_beside_right_ones_is_wrong() -> None:
    message = pings(1)
    message["content"] = "<tool_call>{"
    for options in ({}, {"reward": "f1"}):
        verdict = tools.verify(message, expecting(1, **options))
        assert verdict.status is VerdictStatus.WRONG
        assert verdict.reason.startswith("malformed call")


def test_row_16_of_the_reproduced_bugs_a_parse_error_is_no_abstention() -> None:
    none = {"irrelevance": True, "tools": TOOLS}
    assert tools.verify("None of the tools can do that.", none).reward == 1
    assert tools.verify(pings(1), none).reason == "no call was expected, 1 were made"
    for broken in ('<tool_call>{"name": "ping", "arguments": {"n": 1</tool_call>', "ping(n=",
                   '{"name": "ping", "arguments": {"n": }}', "[TOOL_CALLS]ping"):  # fmt: skip
        verdict = tools.verify(broken, none)
        assert verdict.status is VerdictStatus.WRONG
        assert verdict.reason.startswith("malformed call")


def test_nothing_at_all_is_no_answer() -> None:
    """Also where no call is expected: an abstention says something to the user."""
    for reference in (expecting(1), {"irrelevance": True, "tools": TOOLS}):
        for response in ("", "  ", "<think>ping?</think>", "<think>ping(n=1)"):
            assert tools.verify(response, reference).status is VerdictStatus.NO_ANSWER
    text_only = tools.verify("It is done.", expecting(1))
    assert text_only.status is VerdictStatus.NO_ANSWER


def test_the_published_forms_of_a_reference_are_understood() -> None:
    action = {"type": "function_call", "name": "ping", "arguments": '{"n": 1}'}
    for form in ({"expected_action": action}, {"expected_answers": [action]},
                 {"ground_truth": [action]}):  # fmt: skip
        assert tools.verify(pings(1), {**form, "tools": TOOLS}).reward == 1
        assert tools.verify(pings(2), {**form, "tools": TOOLS}).reward == 0
    message = {"expected_action": {"type": "message", "content": "Which city?"}, "tools": TOOLS}
    assert tools.verify("Where to?", message).reward == 1
    assert tools.verify(pings(1), message).reward == 0


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"calls": [{"name": "ping"}, {"arguments": {}}]},
        {"calls": [{"name": "nothing", "arguments": {}}], "tools": TOOLS},
        {"calls": [{"name": "ping", "arguments": "{"}]},
        {"acceptable": {"ping": {"n": 1}}},
        {"acceptable": {"ping": {"n": []}}},
        {"expected_action": {"type": "shrug"}},
        {"calls": [], "reward": "max"},
        {"calls": [], "language": "cobol"},
        {"calls": [{"name": "f", "arguments": {}}], "strings": "fuzzy"},
        {"calls": [], "tools": [{"parameters": {}}]},
    ],
)
def test_a_reference_that_nothing_can_satisfy_is_an_error(reference: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        tools.verify("x", reference)


def test_gold_calls_satisfy_their_reference() -> None:
    reference = expecting(1, 2)
    formats: tuple[CallFormat, ...] = ("hermes", "nemotron", "python", "openai", "llama")
    for format in formats:
        text = tools.render_calls(tools.gold_calls(reference), format)
        assert tools.verify(text, reference).reward == 1


@pytest.mark.parametrize(
    ("text", "declared", "nested", "value"),
    [
        ("5", "integer", None, 5), ("-5", "short", None, -5), ("5L", "long", None, 5),
        ("5", "long", None, "5"), ("1.5f", "float", None, 1.5), ("1.5", "float", None, "1.5"),
        ("1.5e3", "double", None, 1500.0), ("true", "boolean", None, True),
        ("True", "boolean", None, "True"), ('"a, b"', "String", None, "a, b"),
        ("name", "String", None, "name"), ("'x'", "char", None, "x"), ("obj", "any", None, "obj"),
        ("new int[]{1, 2}", "Array", "integer", [1, 2]), ("new int[] { }", "Array", "integer", []),
        ('new String[]{"a,b", "c"}', "Array", "String", ["a,b", "c"]),
        ("new long[]{1L, 2}", "Array", "long", [1, "2"]),
        ("new ArrayList<>(Arrays.asList(1, 2))", "ArrayList", "integer", [1, 2]),
        ('List.of("a", "b")', "ArrayList", "String", ["a", "b"]),
        ("new ArrayList<Integer>() {{ add(1); add(2); }}", "ArrayList", "integer", [1, 2]),
        ("new ArrayList<>()", "ArrayList", None, []),
        ('new HashMap<String, Object>() {{ put("a,b", 1); put("c", "x)"); }}', "HashMap", None,
         {"a,b": 1, "c": "x)"}),
        ("new HashMap<>()", "HashMap", None, {}), ("someMap", "HashMap", None, "someMap"),
        ("new int[]{1, 2", "Array", "integer", "new int[]{1, 2"),
    ],
)  # fmt: skip
def test_java_source_has_the_value_of_its_declared_type(
    text: str, declared: str, nested: str | None, value: Any
) -> None:
    schema = {"type": declared, **({"items": {"type": nested}} if nested else {})}
    assert foreign_value(text, schema, "java") == value


@pytest.mark.parametrize(
    ("text", "declared", "nested", "value"),
    [
        ("5", "integer", None, 5), ("10n", "Bigint", None, 10), ("10", "Bigint", None, "10"),
        ("3.14", "float", None, 3.14), ("true", "Boolean", None, True),
        ("'a'", "String", None, "a"), ('"a\\n"', "String", None, "a\n"), ("x", "any", None, "x"),
        ("[1, 2]", "array", "integer", [1, 2]), ("new Array(1, 2)", "array", "integer", [1, 2]),
        ("[[1, 2], [3]]", "array", "array", [[1, 2], [3]]),
        ("[1, 'two, three', true]", "array", None, [1, "two, three", True]),
        ("{'a': 1, b: [2, 'x'], \"c:d\": {e: null}}", "dict", None,
         {"a": 1, "b": [2, "x"], "c:d": {"e": None}}),
        ("{}", "dict", None, {}), ("store", "dict", None, "store"), ("[1", "array", None, "[1"),
    ],
)  # fmt: skip
def test_javascript_source_has_the_value_of_its_declared_type(
    text: str, declared: str, nested: str | None, value: Any
) -> None:
    schema = {"type": declared, **({"items": {"type": nested}} if nested else {})}
    assert foreign_value(text, schema, "javascript") == value


def test_java_and_javascript_calls_are_read_in_their_own_syntax() -> None:
    java = [{"name": "Svc.copy", "parameters": {"properties": {
        "ids": {"type": "Array", "items": {"type": "long"}}, "to": {"type": "String"},
        "opts": {"type": "HashMap"}}}}]  # fmt: skip
    gold = {"Svc.copy": {"ids": [[1, 2]], "to": ["a=b, c"], "opts": ["", {"k": [True]}]}}
    reference = {"acceptable": gold, "tools": java, "language": "java"}
    options = 'new HashMap<String, Object>() {{ put("k", true); }}'
    text = f'Svc.copy(ids=new long[]{{1L, 2L}}, to="a=b, c", opts={options})'
    assert tools.verify(text, reference, format="java").reward == 1
    assert tools.verify(text.replace("2L", "2"), reference, format="java").reward == 0
    assert (
        tools.verify('Svc.copy(new long[]{1L, 2L}, "a=b, c");', reference, format="java").reward
        == 1
    )
    for broken in ("Svc.copy(ids=new long[]{1L", "Svc.copy(1, 2, 3, 4)", "Svc.copy(to=1, to=2)"):
        verdict = tools.verify(broken, reference, format="java")
        assert verdict.reason.startswith("malformed call"), broken
    script = [{"name": "run", "parameters": {"properties": {"o": {"type": "dict"}}}}]
    wanted = {"acceptable": {"run": {"o": [{"a": [1]}]}}, "tools": script, "language": "javascript"}
    assert tools.verify("run(o={'a': 1});", wanted, format="javascript").reward == 1
    assert tools.verify("run(o={'a': 2});", wanted, format="javascript").reward == 0


@given(st.integers(0, 5), st.integers(0, 5), st.randoms(use_true_random=False))
def test_matchings_are_as_large_as_any(rows: int, columns: int, rng: random.Random) -> None:
    """Against all assignments, tried one by one."""
    edges = {(r, c) for r in range(rows) for c in range(columns) if rng.random() < 0.4}

    def size(keep_order: bool) -> int:
        best = 0
        for count in range(min(rows, columns), 0, -1):
            for chosen in itertools.combinations(range(rows), count):
                for places in itertools.permutations(range(columns), count):
                    if keep_order and list(places) != sorted(places):
                        continue
                    if set(zip(chosen, places, strict=True)) <= edges:
                        return count
        return best

    def fits(row: int, column: int) -> bool:
        return (row, column) in edges

    for pair, keep_order in ((maximum_matching, False), (longest_common_order, True)):
        matched = pair(rows, columns, fits)
        assert set(matched.items()) <= edges
        assert len(set(matched.values())) == len(matched)
        assert len(matched) == size(keep_order)
        if keep_order:
            assert [matched[row] for row in sorted(matched)] == sorted(matched.values())
