"""Chat templates: the published shape, and the same text as transformers and servers make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.engines.templates import (
    load_template,
    parsed_tool_calls,
    render,
    template_digest,
    template_names,
)
from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import Message

ASK: tuple[Message, ...] = ({"role": "user", "content": "What is 6 * 7?"},)
TOOL = {
    "type": "function",
    "function": {
        "name": "run",
        "description": "Run <code> & more",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "Python"}},
            "required": ["code"],
        },
    },
}
CALL = {
    "id": "1",
    "type": "function",
    "function": {"name": "run", "arguments": '{"code": "print(1)", "limits": {"s": 3}}'},
}
CONVERSATIONS: dict[str, list[Message]] = {
    "one turn": list(ASK),
    "system": [{"role": "system", "content": "Be <brief>."}, *ASK],
    "history": [
        *ASK,
        {"role": "assistant", "content": "<think>\nsixes\n</think>\n42"},
        {"role": "user", "content": "Sure?\n\n"},
    ],
    "tools": [
        *ASK,
        {"role": "assistant", "content": "", "reasoning_content": "run it", "tool_calls": [CALL]},
        {"role": "tool", "content": "1", "tool_call_id": "1"},
    ],
}


def test_the_generation_prompts_are_the_published_ones() -> None:
    """The paper, arXiv 2603.19220, shows them in section 3.1.2 and figure 1."""
    head = "What is 6 * 7?<|im_end|>\n<|im_start|>assistant\n"
    name = "nemotron_cascade_2"
    assert render(name, ASK).endswith(f"{head}<think>\n")
    assert render(name, ASK, enable_thinking=True).endswith(f"{head}<think>\n")
    assert render(name, ASK, enable_thinking=False).endswith(f"{head}<think></think>")
    assert render(name, ASK, add_generation_prompt=False).endswith("7?<|im_end|>\n")


def test_the_default_system_text_forbids_tools() -> None:
    assert render("nemotron_cascade_2", ASK).startswith(
        "<|im_start|>system\nYou are a helpful and harmless assistant.\n\n"
        "You are not allowed to use any tools"
    )


@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_rendering_agrees_with_transformers(name: str, thinking: bool) -> None:
    """A text that differs from the server's is another prompt."""
    rendering = pytest.importorskip(
        "transformers.utils.chat_template_utils", reason="transformers is not installed"
    )
    tools: list[dict[str, Any]] | None = [TOOL] if name == "tools" else None
    conversation = parsed_tool_calls(CONVERSATIONS[name])
    theirs, _ = rendering.render_jinja_template(
        conversations=[conversation],
        tools=tools,
        chat_template=load_template("nemotron_cascade_2"),
        add_generation_prompt=True,
        enable_thinking=thinking,
    )
    ours = render("nemotron_cascade_2", CONVERSATIONS[name], tools=tools, enable_thinking=thinking)
    assert ours == theirs[0]


def test_json_is_written_as_transformers_writes_it() -> None:
    template = "{{ messages[0] | tojson }}"
    assert render(template, [{"role": "user", "content": "<é>'"}]) == (
        '{"role": "user", "content": "<é>\'"}'
    )


def test_marks_of_training_and_loop_controls_are_understood() -> None:
    template = (
        "{% for m in messages %}{% if loop.index0 %}{% break %}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    )
    assert render(template, [*ASK, *ASK]) == "What is 6 * 7?"


def test_a_template_comes_from_a_name_a_file_a_folder_or_text(tmp_path: Path) -> None:
    text = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    config = {"chat_template": text, "bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert render(str(tmp_path), ASK) == "<s>What is 6 * 7?</s>"
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    assert render(str(tmp_path), ASK) == "What is 6 * 7?!"
    assert render(str(tmp_path / "chat_template.jinja"), ASK) == "What is 6 * 7?!"
    assert render("{{ messages | length }}", ASK) == "1"
    assert "nemotron_cascade_2" in template_names()


def test_the_default_of_several_templates_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer_config.json"
    entries = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]
    path.write_text(json.dumps({"chat_template": entries}))
    assert render(str(path), ASK) == "y"


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="nemotron_cascade_2"):
        load_template("nemotron_cascade")
    with pytest.raises(ConfigError, match="cannot read"):
        load_template(str(tmp_path / "none.jinja"))
    with pytest.raises(ConfigError, match="holds no chat_template"):
        load_template(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="has no chat_template"):
        load_template(str(tmp_path))
    with pytest.raises(ConfigError, match="broken in line 2"):
        render("{% if x %}\n{% endfor %}", ASK)


def test_a_conversation_that_the_template_refuses_is_bad_data() -> None:
    with pytest.raises(DataError, match="only users"):
        render("{{ raise_exception('only users may speak') }}", ASK)
    call: dict[str, Any] = {"function": {"name": "run", "arguments": "[1"}}
    with pytest.raises(DataError, match="'run' must be a JSON object"):
        render("nemotron_cascade_2", [{"role": "assistant", "content": "", "tool_calls": [call]}])


def test_a_template_cannot_reach_the_machine() -> None:
    """Templates come with models from anywhere."""
    attack = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(DataError, match="unsafe"):
        render(attack, ASK)


def test_the_digest_is_of_the_text() -> None:
    assert template_digest("a") != template_digest("b")
    assert len(template_digest("a")) == 64
