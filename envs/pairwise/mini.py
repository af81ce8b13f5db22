"""Generated questions for pairwise judging, and the judge that needs no model: for trying things.

The toy judge understands these questions alone. It prefers the right number to an admission of
ignorance, and that to anything else; on any other question it gives no verdict, so that a real task
without a judge is a FAULT.
"""

from __future__ import annotations

import random
import re

from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.judges import Judge
from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Prompt, SamplingParams, Task

__all__ = ["BASELINE", "mini_task", "toy_judge"]

BASELINE = "Honestly, I have no idea."
_QUESTION = "Name the number that is {a} more than {b}."
_ASKED = re.compile(r"Name the number that is (\d+) more than (\d+)\.")
_ANSWERS = re.compile(
    r"<\|The Start of Assistant ([AB])'s Answer\|>\n(.*?)\n<\|The End of Assistant \1's Answer\|>",
    re.DOTALL,
)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one question with a baseline's answer.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"pairwise/{difficulty}/{split}/{seed}/{index}")
    top = 10 ** (difficulty + 1)
    a, b = draw_in_split(
        lambda: (rng.randrange(20, top), rng.randrange(20, top)),
        lambda pair: _QUESTION.format(a=pair[0], b=pair[1]),
        split,
    )
    question = _QUESTION.format(a=a, b=b)
    message: Message = {"role": "user", "content": question}
    metadata = {"source": "generated", "licence": "CC0-1.0", "problem": question,
                "solution": str(a + b), "split": split, "difficulty": difficulty}  # fmt: skip
    reference = {"baseline": BASELINE, "model": "nobody"}
    task_id = f"pairwise-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), reference, metadata=metadata)


def toy_judge() -> Judge:
    """Return the judge that needs no model."""
    return Judge(ScriptedEngine(_reply, name="toy-judge"), attempts=1)


def _reply(prompt: Prompt, params: SamplingParams) -> str:
    text = str(prompt[-1]["content"])  # type: ignore[index]
    asked, answers = _ASKED.search(text), dict(_ANSWERS.findall(text))
    if asked is None or len(answers) != 2:
        return "The toy judge understands generated questions alone: give a real judge."
    right = int(asked[1]) + int(asked[2])
    a, b = (_worth(answers[side], right) for side in "AB")
    label = "A=B" if a == b else "A>>B" if a > b else "B>>A"
    return f"My final verdict is [[{label}]]"


def _worth(answer: str, right: int) -> int:
    if answer.strip() == BASELINE:
        return 1
    numbers = re.findall(r"\d+", answer)
    return 2 if numbers and set(numbers) == {str(right)} else 0
