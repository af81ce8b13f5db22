r"""The published prompts that environments put problems into, each with its source.

A prompt is part of a benchmark's protocol: changing one letter changes the score, so each is a
constant with a name, and the report carries the prompt that was used.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

__all__ = ["CASCADE_SYSTEM", "MATH_BOXED", "choice_boxed"]

MATH_BOXED = "{problem}\nPlease reason step by step, and put your final answer within \\boxed{{}}."
r"""The prompt of the QwQ-32B and DeepSeek-R1 evaluations of AIME, MATH-500 and HMMT.

Source: QwenLM/QwQ at 620a5ea, eval/data. A `str.format` template with the field `problem`.
"""

CASCADE_SYSTEM = "You are a helpful and harmless assistant.\n\nYou are not allowed to use any tools"
"""Default system text of Nemotron-Cascade 2 without tools (model card, chat template)."""

_CHOICE_HEADER = (
    "Answer the following multiple choice question. The last line of your response should be in "
    "the following format: '\\boxed{{{example}}}' where the letter is one of {letters}. Think "
    "step by step before answering."
)


def choice_boxed(question: str, options: Sequence[str]) -> str:
    r"""Put a question with 2 to 26 options into the boxed form of the simple-evals prompt.

    The wording follows openai/simple-evals at ee3b031 (GPQA, MMLU), with ``\boxed{A}`` in place of
    ``Answer: $LETTER``, as the evaluations of reasoning models use it.
    """
    letters = string.ascii_uppercase[: len(options)]
    header = _CHOICE_HEADER.format(example="A", letters=letters)
    listed = "\n".join(f"{letter}) {text}" for letter, text in zip(letters, options, strict=True))
    return f"{header}\n\n{question}\n\n{listed}"
