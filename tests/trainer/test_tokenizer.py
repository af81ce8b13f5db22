"""The toy's tokenizer as outside code will use it."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

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
