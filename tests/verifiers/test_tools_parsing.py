"""Every format of tool calls: what is read, what is malformed, what is only text."""

from __future__ import annotations

import json
import keyword
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import ConfigError, UnknownNameError
from cascade.verifiers import tools
from cascade.verifiers.tools import Call, CallFormat

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"type": ["string", "null"]},
                "wind": {"type": "boolean"},
                "box": {"type": "array", "items": {"type": "number"}},
                "extra": {"type": "object"},
                "level": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            },
            "required": ["city"],
        },
    },
}
NOW = {"name": "clock.now", "parameters": {"type": "object", "properties": {}}}
TOOLS = [WEATHER, NOW]
CITY = Call("get_weather", {"city": "Oslo", "days": 3})

XML = """<tool_call>
<function=get_weather>
<parameter=city>
Oslo
</parameter>
<parameter=days>
3
</parameter>
</function>
</tool_call>"""
OSLO = '{"city": "Oslo", "days": 3}'
WRITTEN: list[tuple[CallFormat, str]] = [
    ("nemotron", XML),
    ("qwen3_coder", XML.replace("\nOslo\n", "Oslo").replace("\n3\n", "3")),
    ("hermes", f'<tool_call>\n{{"name": "get_weather", "arguments": {OSLO}}}\n</tool_call>'),
    ("openai", f'[{{"name": "get_weather", "arguments": {OSLO}}}]'),
    ("openai", f'{{"tool_calls": [{{"type": "function", "function": {{"name": "get_weather", '
               f'"arguments": {json.dumps(OSLO)}}}}}]}}'),
    ("llama", f'<|python_tag|>{{"name": "get_weather", "parameters": {OSLO}}}<|eom_id|>'),
    ("llama", f'{{"name": "get_weather", "parameters": {OSLO}}}'),
    ("llama", f"<function=get_weather>{OSLO}</function>"),
    ("mistral", f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {OSLO}}}]</s>'),
    ("mistral", f"[TOOL_CALLS]get_weather[ARGS]{OSLO}"),
    ("mistral", f"[TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{OSLO}"),
    ("python", 'get_weather(city="Oslo", days=3)'),
    ("python", "[get_weather(city='Oslo', days=3)]"),
    ("python", '```python\nget_weather("Oslo", 3)\n```'),
    ("python", "<|python_start|>[get_weather('Oslo', days=3)]<|python_end|>"),
]  # fmt: skip


def both(format: CallFormat) -> tuple[CallFormat, ...]:
    return (format, "auto")


@pytest.mark.parametrize(("format", "text"), WRITTEN)
def test_each_form_is_read_and_told_apart(format: CallFormat, text: str) -> None:
    for chosen in both(format):
        parsed = tools.parse_calls(text, chosen, TOOLS)
        assert parsed.calls == (CITY,), (chosen, parsed)
        assert not parsed.malformed
        assert parsed.text == ""


@pytest.mark.parametrize("format", ["nemotron", "hermes", "mistral"])
def test_the_text_around_the_calls_is_kept_and_reasoning_is_not(format: CallFormat) -> None:
    written = tools.render_calls([CITY, Call("clock.now", {})], format)
    parsed = tools.parse_calls(f"<think>call it?</think>\nLet me look.\n{written}", format, TOOLS)
    assert parsed.calls == (CITY, Call("clock.now", {}))
    assert parsed.text == "Let me look."


def test_only_the_beginning_is_reasoning() -> None:
    """An argument may hold the marks; the template may have written the opening one."""
    think = Call("get_weather", {"city": "<think> about it"})
    for before in ("", "<think>hm</think>", "hm</think>", "<think>a</think>\n<think>b</think>"):
        text = before + tools.render_calls([think], "hermes")
        assert tools.parse_calls(text, "hermes").calls == (think,)


def test_a_message_gives_its_calls_and_what_the_server_left_in_its_content() -> None:
    """A server's parser leaves in the content what it did not understand."""
    message = tools.message_of([CITY])
    assert tools.parse_calls(message).calls == (CITY,)
    both = tools.message_of([CITY], content="So be it.")
    assert tools.parse_calls(both, tools=TOOLS).text == "So be it."
    broken = tools.message_of([CITY], content="<tool_call>\n<function=get_weather>")
    assert tools.parse_calls(broken).malformed
    assert tools.parse_calls({"role": "assistant", "content": XML}, tools=TOOLS).calls == (CITY,)


def test_items_of_a_responses_api_output_are_read() -> None:
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "summary": [{"text": "hm"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "name": "get_weather", "arguments": OSLO},
    ]
    parsed = tools.parse_calls(items, tools=TOOLS)
    assert (parsed.calls, parsed.text) == ((CITY,), "I look.")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("days", "3", 3), ("days", "-5", -5), ("days", "3.0", "3.0"), ("days", "three", "three"),
        ("city", "3", "3"), ("city", " a\nb ", " a\nb "), ("city", "null", "null"),
        ("city", "", ""), ("units", "null", None), ("units", "C", "C"),
        ("wind", "true", True), ("wind", "False", False), ("wind", "yes", "yes"),
        ("box", "[1, 2.5]", [1, 2.5]), ("box", "(1, 2)", [1, 2]),
        ("box", "[1, 1e999]", "[1, 1e999]"),
        ("extra", '{"a": [true]}', {"a": [True]}), ("extra", "{'a': True}", {"a": True}),
        ("level", "7", 7), ("level", "high", "high"),
        ("undeclared", "7", 7), ("undeclared", "x", "x"),
    ],
)  # fmt: skip
def test_an_xml_value_has_the_type_of_its_declaration(name: str, text: str, value: Any) -> None:
    parameter = f"<parameter={name}>\n{text}\n</parameter>"
    call = f"<tool_call><function=get_weather>{parameter}</function></tool_call>"
    (parsed,) = tools.parse_calls(call, "nemotron", TOOLS).calls
    assert parsed.arguments == {name: value}
    assert type(parsed.arguments[name]) is type(value)


MALFORMED: list[tuple[CallFormat, str]] = [
    ("nemotron", XML.removesuffix("</tool_call>")),
    ("nemotron", XML.removeprefix("<tool_call>\n")),
    ("nemotron", XML.replace("</function>", "")),
    ("nemotron", XML.replace("</parameter>", "", 1)),
    ("nemotron", XML.replace("parameter=days", "parameter=city")),
    ("nemotron", XML.replace("<function=get_weather>", "<function=>")),
    ("nemotron", XML.replace("<function=get_weather>", "get_weather")),
    ("nemotron", XML.replace("<parameter=city>", "<parameter=>")),
    ("nemotron", XML.replace("</function>", "</function> more")),
    ("nemotron", "<tool_call></tool_call>"),
    ("nemotron", "<tool_call>" + XML),
    ("nemotron", XML + "</tool_call>"),
    ("nemotron", "<tool_call"),
    ("hermes", '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}</tool_call>'),
    ("hermes", '<tool_call>{"name": "get_weather"}</tool_call>'),
    ("hermes", '<tool_call>{"arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": 3, "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "get_weather", "arguments": [1]}</tool_call>'),
    ("hermes", '<tool_call>{"name": "get_weather", "arguments": {"a": 1, "a": 2}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "get_weather", "arguments": {"a": NaN}}</tool_call>'),
    ("openai", '{"name": "get_weather", "arguments": {'),
    ("openai", '[{"name": "get_weather", "arguments": "{\\"city\\": "}]'),
    ("openai", '{"tool_calls": [{"function": {"name": "get_weather"}}]}'),
    ("llama", '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"'),
    ("llama", "<function=get_weather>{}"),
    ("llama", "<function=get_weather>{city}</function>"),
    ("llama", "<|python_tag|>print(1)"),
    ("mistral", "[TOOL_CALLS]"),
    ("mistral", '[TOOL_CALLS][{"name": "get_weather", "arguments": {}}'),
    ("mistral", '[TOOL_CALLS]get_weather[ARGS]{"city": '),
    ("mistral", "[TOOL_CALLS][]"),
    ("python", "get_weather(city="),
    ("python", "[get_weather(city='Oslo')"),
    ("python", "[get_weather(city='Oslo'), 3]"),
    ("python", "get_weather(city='Oslo', city='Rome')"),
    ("python", "get_weather(**{'city': 'Oslo'})"),
    ("python", "clock.now(3)"),
    ("python", "get_weather(days=1e999)"),
    ("python", "get_weather(days=3j)"),
    ("python", "get_weather(days=1if 2else 3)"),
    ("python", "Let me see.\nget_weather(city='Oslo')"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "text"), MALFORMED)
def test_a_broken_call_is_malformed_and_never_an_abstention(format: CallFormat, text: str) -> None:
    """BFCL #1362: 228 of 229 abstentions credited to one model were calls that did not parse."""
    for chosen in both(format):
        parsed = tools.parse_calls(text, chosen, TOOLS)
        assert parsed.malformed, (chosen, parsed)
        verdict = tools.verify(text, {"irrelevance": True, "tools": TOOLS}, format=chosen)
        assert verdict.reward == 0
        assert verdict.reason.startswith("malformed call: ")


PROSE = [
    "I cannot tell the weather there.",
    "Sure (as far as I can): it is sunny.",
    'Here is some data: {"name": "Ann"}',
    '{"answer": 5}',
    '{"name": "Ann", "age": 3}',
    "[1, 2, 3]",
    "f(x) is even if f(-x) = f(x).",
    "A list: [a] (b)",
    "Use ``print(3)`` for that.",
    "I could use get_weather(city) for that, but you did not name a city.",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_no_call(text: str) -> None:
    parsed = tools.parse_calls(text, "auto", TOOLS)
    assert (parsed.calls, parsed.malformed, parsed.text) == ((), (), text)
    assert tools.verify(text, {"irrelevance": True, "tools": TOOLS}).reward == 1


def test_python_is_parsed_and_never_run() -> None:
    """Expressions are their source text, also those that would do harm if they ran."""
    text = "get_weather(city=__import__('os').system('id'), days=2*3, box=[-1, +2.5, x])"
    (call,) = tools.parse_calls(text, "python", TOOLS).calls
    assert call.arguments == {
        "city": "__import__('os').system('id')", "days": "2 * 3", "box": [-1, 2.5, "x"],
    }  # fmt: skip


def test_names_that_python_cannot_read_are_read() -> None:
    odd = [{"name": "send-mail", "parameters": {"properties": {"from": {"type": "string"}}}}]
    parsed = tools.parse_calls(r"[send-mail(from='a(b) from=c', re='\d')]", "python", odd)
    assert parsed.calls == (Call("send-mail", {"from": "a(b) from=c", "re": r"\d"}),)


@pytest.mark.filterwarnings("error")
def test_an_odd_escape_is_no_warning() -> None:
    (call,) = tools.parse_calls(r"get_weather(city='\d \n \x41', units=r'\d')", "python").calls
    assert call.arguments == {"city": "\\d \n A", "units": "\\d"}


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="hermes"):
        tools.parse_calls("", "hermse")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        tools.ToolCallVerifier("hermse")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        tools.render_calls([], "java")
    with pytest.raises(ConfigError):
        tools.render_calls([Call("f", {"a": "</parameter>"})], "nemotron")
    with pytest.raises(ConfigError):
        tools.render_calls([Call("f-g", {})], "python")


NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}(\.[a-z][a-z0-9_]{0,5})?", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
CALLS = st.lists(
    st.builds(Call, NAMES.filter(lambda n: not any(keyword.iskeyword(p) for p in n.split("."))),
              st.dictionaries(KEYS, VALUES, max_size=3)),
    min_size=1, max_size=3,
)  # fmt: skip
KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array",
         dict: "object", type(None): "null"}  # fmt: skip


def declarations_for(calls: list[Call]) -> list[dict[str, Any]]:
    """One declaration per name; an argument has the types of all its values."""
    table: dict[str, dict[str, set[str]]] = {}
    for call in calls:
        for key, value in call.arguments.items():
            table.setdefault(call.name, {}).setdefault(key, set()).add(KINDS[type(value)])
    return [
        {"name": name, "parameters": {"properties": {k: {"type": sorted(t)} for k, t in p.items()}}}
        for name, p in table.items()
    ]


@given(calls=CALLS)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("format", ["hermes", "openai", "llama", "mistral", "python"])
def test_calls_survive_writing_and_reading(format: CallFormat, calls: list[Call]) -> None:
    written = tools.render_calls(calls, format)
    if "tool_call>" in written.replace("<tool_call>\n", "").replace("\n</tool_call>", ""):
        return
    parsed = tools.parse_calls(written, format)
    assert not parsed.malformed, (written, parsed.malformed)
    assert parsed.calls == tuple(calls)


@given(calls=CALLS)
@settings(max_examples=60, deadline=None)
def test_calls_survive_xml_where_each_argument_has_one_type(calls: list[Call]) -> None:
    """XML has no quotes: a string that reads as a number is one unless a string is declared."""
    declared = declarations_for(calls)
    if any(
        len(schema["type"]) > 1
        for tool in declared
        for schema in tool["parameters"]["properties"].values()
    ):
        return
    try:
        written = tools.render_calls(calls, "nemotron")
    except ConfigError:
        return
    for format in both("nemotron"):
        parsed = tools.parse_calls(written, format, declared)
        assert not parsed.malformed
        assert parsed.calls == tuple(calls)
