"""The toy's tokenizer as outside code will use it."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from cascade.envs import make_env
from cascade.envs.mini import KINDS, mini_task, solution
from cascade.trainer.tokenizer import PHRASES, SPECIALS


@pytest.mark.parametrize(
    "text",
    [
        string.printable,
        "naïve − 3° ≤ ∑ 🙂",
        "<think>\n\\boxed{12}</think>",
        "",
        " What is  and ",
        "\x00",
    ],
)
def test_any_text_survives_encoding(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_letters_specials_and_phrases_are_single_tokens(tokenizer: Any) -> None:
    for text in (
        *string.ascii_letters,
        *string.digits,
        *string.punctuation,
        "\n",
        *SPECIALS,
        *PHRASES,
    ):
        assert len(tokenizer(text)["input_ids"]) == 1, text


def test_mini_prompts_and_solutions_are_short(tokenizer: Any) -> None:
    """The toy learns in a minute only because of this."""
    for kind in KINDS:
        task = mini_task(kind, 0, 0, 1)
        whole = tokenizer.apply_chat_template(
            [*task.messages, {"role": "assistant", "content": solution(task)}], tokenize=False
        )
        assert len(tokenizer(whole)["input_ids"]) < 80


@pytest.mark.parametrize("difficulty", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("env_id", "kind"),
    [
        ("cascade/MultipleChoice-v0", "choice"),
        ("cascade/InstructionFollowing-v0", "instructions"),
        ("cascade/StructuredOutput-v0", "structured_output"),
        ("cascade/ToolCalling-v0", "tool_calling"),
        ("cascade/Pantry-v0", "pantry"),
    ],
)
def test_mini_tasks_that_a_toy_is_trained_on_are_short(
    tokenizer: Any, env_id: str, kind: str, difficulty: int
) -> None:
    """Prompts of fewer than 150 tokens with the template, answers of fewer than 60."""
    env = make_env(env_id, tasks=f"mini_{kind}_{difficulty}")
    for task in env.tasks:
        prompt = tokenizer.apply_chat_template(
            list(task.messages), tokenize=False, add_generation_prompt=True, tools=task.tools
        )
        assert len(tokenizer(prompt)["input_ids"]) < 150, prompt
        answers = env.oracle_response(task)
        assert answers is not None
        for answer in (answers,) if isinstance(answers, str) else answers:
            assert len(tokenizer(answer)["input_ids"]) < 60, answer


def test_a_saved_folder_loads_in_transformers_with_its_template(
    tokenizer: Any, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    chat = [{"role": "user", "content": "What is 2 + 3? é"}]
    assert (
        loaded.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
        == (tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"])
    )
    assert (loaded.eos_token, loaded.pad_token) == ("<|im_end|>", "<|pad|>")
