"""Generated questions with an answer, and a grader that needs no model: for trying things.

The toy grader understands these questions alone; on others it gives no verdict, so that a real task
without a judge is a FAULT.
"""

from __future__ import annotations

import random
import re

from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.judges import Judge
from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Prompt, SamplingParams, Task

__all__ = ["mini_task", "toy_grader"]

_QUESTION = "What number is {a} less than {b}?"
_ASKED = re.compile(r"What number is (\d+) less than (\d+)\?")
_SOLUTION = re.compile(
    r"(?:Solution to (?:judge|grade)|Solution|Response):\n(.*?)\n\n(?:Explain|Check|Go|Correct)",
    re.DOTALL,
)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one question.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"graded/{difficulty}/{split}/{seed}/{index}")
    top = 10 ** (difficulty + 1)

    def draw() -> tuple[int, int]:
        low = rng.randrange(20, top)
        return low, low + rng.randrange(20, top)

    a, b = draw_in_split(draw, lambda pair: _QUESTION.format(a=pair[0], b=pair[1]), split)
    question = _QUESTION.format(a=a, b=b)
    message: Message = {"role": "user", "content": question}
    metadata = {"source": "generated", "licence": "CC0-1.0", "problem": question,
                "solution": str(b - a), "split": split, "difficulty": difficulty}  # fmt: skip
    task_id = f"graded-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), str(b - a), metadata=metadata)


def toy_grader() -> Judge:
    """Return the grader that needs no model."""
    return Judge(ScriptedEngine(_reply, name="toy-grader"), attempts=1)


def _reply(prompt: Prompt, params: SamplingParams) -> str:
    text = str(prompt[-1]["content"])  # type: ignore[index]
    asked, solution = _ASKED.search(text), _SOLUTION.search(text)
    if asked is None or solution is None:
        return "The toy grader understands generated questions alone: give a real judge."
    right = {str(int(asked[2]) - int(asked[1]))}
    is_right = set(re.findall(r"\d+", solution[1])) == right
    if "<points>" in text:
        return f"<points>{7 if is_right else 0} out of 7</points>"
    if "\\boxed{yes}" in text:
        return f"\\boxed{{{'yes' if is_right else 'no'}}}"
    if "\\boxed{0.5}" in text:
        return f"\\boxed{{{1 if is_right else 0}}}"
    return f"\\boxed{{{'Correct' if is_right else 'Incorrect'}}}"
