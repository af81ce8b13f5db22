"""Nemotron-Cascade 2's chat template, as its model card and paper show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest

from cascade.envs.engines.templates import load_template, parsed_tool_calls, template_digest
from cascade.errors import ConfigError, DataError, UnknownNameError

SYSTEM = "You are a helpful and harmless assistant.\n\nYou are not allowed to use any tools"
ASKED = {"role": "user", "content": "calculate 1+1?"}
ANSWERED = {"role": "assistant", "content": "<think>THINKING</think>\nIt is \\(\\boxed{2}\\)"}
TOOL = {
    "type": "function",
    "function": {
        "name": "run", "description": "Runs code. ",
        "parameters": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "Code to run", "title": "Code"}
            },
            "required": ["code"],
        },
    },
}  # fmt: skip


def by_transformers(messages: list[Any], **arguments: Any) -> str:
    from cascade.trainer.tokenizer import toy_tokenizer

    return str(toy_tokenizer().apply_chat_template(messages, tokenize=False, **arguments))


def by_plain_jinja(messages: list[Any], **arguments: Any) -> str:
    environment = jinja2.Environment(undefined=jinja2.Undefined)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(load_template("nemotron_cascade_2"))
    return template.render(messages=messages, **arguments)


RENDERERS = pytest.mark.parametrize("render", [by_transformers, by_plain_jinja])


@RENDERERS
def test_the_generation_prefix_opens_or_closes_the_reasoning_block(render: Any) -> None:
    """The model card's single-turn example, both modes."""
    head = (f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
            "<|im_start|>user\ncalculate 1+1?<|im_end|>\n<|im_start|>assistant\n")  # fmt: skip
    messages = [{"role": "system", "content": SYSTEM}, ASKED]
    assert render(messages, add_generation_prompt=True) == head + "<think>\n"
    assert render(messages, add_generation_prompt=True, enable_thinking=True) == head + "<think>\n"
    direct = render(messages, add_generation_prompt=True, enable_thinking=False)
    assert direct == head + "<think></think>"


@RENDERERS
def test_earlier_turns_keep_only_their_answer(render: Any) -> None:
    """The model card's multi-turn example."""
    messages = [{"role": "system", "content": SYSTEM}, ASKED, ANSWERED,
                {"role": "user", "content": "what about 2+2"}]  # fmt: skip
    assert render(messages, add_generation_prompt=True).endswith(
        "<|im_start|>assistant\n<think></think>\nIt is \\(\\boxed{2}\\)<|im_end|>\n"
        "<|im_start|>user\nwhat about 2+2<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )


@RENDERERS
def test_the_last_turn_keeps_its_reasoning_in_either_form(render: Any) -> None:
    assert render([ASKED, ANSWERED]).endswith(
        "assistant\n<think>THINKING</think>\nIt is \\(\\boxed{2}\\)<|im_end|>\n"
    )
    apart = {"role": "assistant", "content": "2", "reasoning_content": "1 and 1"}
    assert render([ASKED, apart]).endswith("assistant\n<think>\n1 and 1\n</think>\n2<|im_end|>\n")
    bare = {"role": "assistant", "content": "2"}
    assert render([ASKED, bare]).endswith("assistant\n<think></think>2<|im_end|>\n")


@RENDERERS
def test_without_a_system_message_the_default_forbids_tools(render: Any) -> None:
    assert render([ASKED]).startswith(f"<|im_start|>system\n{SYSTEM}.<|im_end|>\n")


@RENDERERS
def test_tools_are_declared_in_xml_in_the_system_turn(render: Any) -> None:
    text = render([ASKED], tools=[TOOL])
    assert text.startswith(
        "<|im_start|>system\n# Tools\n\nYou have access to the following functions:\n\n<tools>\n"
        "<function>\n<name>run</name>\n<description>Runs code.</description>\n<parameters>\n"
        "<parameter>\n<name>code</name>\n<type>string</type>\n<description>Code to run"
        "</description>\n<title>Code</title>\n</parameter>\n"
        '<required>["code"]</required>\n</parameters>\n</function>\n</tools>\n\nIf you choose'
    )
    assert text.count("</IMPORTANT><|im_end|>\n") == 1
    own = render([{"role": "system", "content": "Be brief."}, ASKED], tools=[TOOL])
    assert own.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n")


@RENDERERS
def test_calls_are_xml_and_results_come_back_in_one_user_turn(render: Any) -> None:
    call = {"id": "1", "type": "function",
            "function": {"name": "run", "arguments": '{"code": "1 < 2", "n": [1]}'}}  # fmt: skip
    conversation: list[Any] = [
        ASKED,
        {"role": "assistant", "content": None, "reasoning_content": "try", "tool_calls": [call]},
        {"role": "tool", "content": "True", "tool_call_id": "1"},
        {"role": "tool", "content": "again", "tool_call_id": "2"},
    ]
    messages = parsed_tool_calls(conversation)
    assert render(messages, add_generation_prompt=True, tools=[TOOL]).endswith(
        "<|im_start|>assistant\n<think>\ntry\n</think>\n<tool_call>\n<function=run>\n"
        "<parameter=code>\n1 < 2\n</parameter>\n<parameter=n>\n[1]\n</parameter>\n</function>\n"
        "</tool_call>\n<|im_end|>\n<|im_start|>user\n<tool_response>\nTrue\n</tool_response>\n"
        "<tool_response>\nagain\n</tool_response>\n<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )


def test_arguments_that_are_no_object_are_refused() -> None:
    call = {"function": {"name": "run", "arguments": "[1]"}}
    with pytest.raises(DataError, match="'run' must be a JSON object"):
        parsed_tool_calls([{"role": "assistant", "tool_calls": [call]}])


def test_templates_are_found_by_name_or_path(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages }}")
    assert load_template(str(own)) == "{{ messages }}"
    assert len(template_digest(load_template("nemotron_cascade_2"))) == 64
    with pytest.raises(UnknownNameError, match="nemotron_cascade_2"):
        load_template("nemotron_cascade2")
    with pytest.raises(ConfigError, match="No such file"):
        load_template(str(tmp_path / "missing.jinja"))
