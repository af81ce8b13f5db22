"""Hostile and random responses: no exception, no hang, no reward."""

from __future__ import annotations

import json
import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.types import VerdictStatus
from cascade.verifiers import tools
from cascade.verifiers.tools import Call, CallFormat
from cascade.verifiers.tools.foreign_values import foreign_value

TOOLS = [{"name": "f", "parameters": {"properties": {
    "a": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object"}}}}]  # fmt: skip
REFERENCE = {"calls": [{"name": "f", "arguments": {"a": "zq", "n": 77}}], "tools": TOOLS}
REWARD_F1 = {**REFERENCE, "reward": "f1"}
UNITS = [
    "f(", "(", "[", "{", '"', "\\", '\\"', "'''", "-", "not ", "f(a=", "a.", "1+", "`", "\u202e",
    "<tool_call>", "</tool_call>", "<function=f>", "<parameter=a>", "[TOOL_CALLS]", "\n", " ",
    "<|python_tag|>", '{"name":"f","arguments":{', ";", "f(a=lambda: ", "<", "\ud800",
]  # fmt: skip
BEGINNINGS = ("", "f(a=", "<tool_call>", '{"name": "f", "arguments": {"a": ', "[TOOL_CALLS]f")
SOURCES = ("", "new ArrayList<>() {{", "new int[]{", "new HashMap<", "[", "{a: ", "new Array(")


@pytest.mark.parametrize("format", tools.FORMATS)
@pytest.mark.parametrize("unit", UNITS)
def test_repeated_tokens_neither_crash_nor_hang(format: CallFormat, unit: str) -> None:
    for length in (300, 100_000):
        for prefix in (
            "",
            "f(a=",
            "<tool_call>",
            '{"name": "f", "arguments": {"a": ',
            "[TOOL_CALLS]f",
        ):
            text = prefix + unit * (length // len(unit))
            verdict = tools.verify(text, REFERENCE, format=format)
            assert verdict.reward == 0
            assert len(verdict.reason) < 1_000


@pytest.mark.parametrize("format", tools.FORMATS)
@pytest.mark.parametrize("unit", ["x", "[", "<tool_call>", "f(a=1), "])
def test_ten_million_characters_are_refused(format: CallFormat, unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    for reference in (REFERENCE, {"irrelevance": True, "tools": TOOLS}):
        assert tools.verify(text, reference, format=format).status is VerdictStatus.WRONG


@pytest.mark.parametrize("unit", [*list('({} <>"[,\\'), "new ", "add("])
def test_foreign_values_are_read_in_bounded_time(unit: str) -> None:
    for prefix in (
        "",
        "new ArrayList<>() {{",
        "new int[]{",
        "new HashMap<",
        "[",
        "{a: ",
        "new Array(",
    ):
        text = prefix + unit * (20_000 // len(unit))
        for declared in ("Array", "ArrayList", "HashMap", "String", "array", "dict", "long"):
            for language in ("java", "javascript"):
                foreign_value(text, {"type": declared}, language)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "f", "arguments": {"a": "zq", "n": 77, "n": 77}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": "zq", "n": 77.0}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": "zq", "n": "77"}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": "zq", "n": 1e999}}</tool_call>',
        '{"name": "f", "arguments": {"a": "zq", "n": ' + "7" * 10_000 + "}}",
        '{"name": "f", "arguments": {"a": "\\ud800zq", "n": 77}}',
        "f(a='zq', n=77) or f(a='x', n=1)",
        "f(a='zq', n=77 if True else 1)",
        "f(a='zq', n=int('77'))",
        "f(a='z' 'q', n=77, **{})",
    ],
)
def test_almost_right_calls_earn_nothing(text: str) -> None:
    assert tools.verify(text, REFERENCE).reward == 0
    assert tools.verify(text, REWARD_F1).reward == 0


@given(
    text=st.text(alphabet=st.characters(codec=None), max_size=60)
    | st.lists(st.sampled_from([*UNITS, "f", "a", "n", "=", "zq", ")", "]", "}", ">", ",", ":", "1",
                                "</parameter>", "</function>", "```", '"name"', '"arguments"']),
               max_size=25).map("".join),
    format=st.sampled_from(tools.FORMATS),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_random_text_never_raises_and_never_earns(text: str, format: CallFormat) -> None:
    for reference in (REFERENCE, REWARD_F1):
        verdict = tools.verify(text, reference, format=format)
        assert verdict.reward == 0
        assert not verdict.is_fault
        json.dumps([verdict.extracted, verdict.reason]).encode()


@pytest.mark.parametrize("format", ["nemotron", "hermes", "openai", "python", "llama", "mistral"])
def test_right_calls_with_one_character_changed_never_raise(format: CallFormat) -> None:
    """Whatever still earns the reward still holds exactly the expected call."""
    rng = random.Random(format)
    written = tools.render_calls([Call("f", {"a": "zq", "n": 77})], format)
    for _ in range(1_000):
        at = rng.randrange(len(written))
        piece = rng.choice(
            ["", '"', "{", "]", "\\", "\ud800", "7", "<", "(", "\n", ",", written[at:]]
        )
        changed = written[:at] + piece + written[at + 1 :]
        verdict = tools.verify(changed, REFERENCE, format=format)
        if verdict.reward:
            (call,) = tools.parse_calls(changed, format, TOOLS).calls
            assert call == Call("f", {"a": "zq", "n": 77})


@pytest.mark.parametrize("text", ["f(a=9.if 1else 2)", "f(a=[1.or 2])", "f(n=0x1for x in y)"])
def test_numbers_that_run_into_words_print_no_warning(text: str) -> None:
    """Python reads them with a SyntaxWarning, which a strict process turns into an error."""
    xml = f"<tool_call>\n<function=f>\n<parameter=o>\n[{text[4:-1]}]\n</parameter>\n</function>"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for response in (text, f"{xml}\n</tool_call>"):
            assert tools.verify(response, REFERENCE).reward == 0


def test_words_in_quotes_may_begin_with_a_number() -> None:
    declared = [{"name": "f", "parameters": {"properties": {"o": {"type": "array"}}}}]
    text = "<tool_call>\n<function=f>\n<parameter=o>\n['12in', '1or']\n</parameter>\n</function>"
    parsed = tools.parse_calls(f"{text}\n</tool_call>", "nemotron", declared)
    assert parsed.calls[0].arguments == {"o": ["12in", "1or"]}
