"""Mini tasks of repair: one wrong line in a function of two, and what it should have returned.

Made for a toy model: a right answer is one short block. As in `cascade.envs.mini`, a task is a pure
function of ``(difficulty, split, seed, index)``, and splits share no problem.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.envs.repair.edits import Edit, render_edit
from cascade.types import Message, Task

__all__ = ["mini_task", "solution"]

PATH = "f.py"
SHOWN = (0, 1, 5)
HIDDEN = (2, 7, 12, -3)
PROMPT = "{path}:\n{text}\n{examples}\nRepair {path} with one SEARCH/REPLACE block."


@dataclass(frozen=True, slots=True)
class _Bug:
    wrong: str
    """The expression that stands in the file."""
    right: str
    value: Callable[[int], int]
    """What the right expression is worth."""


def _bug(rng: random.Random, difficulty: int) -> _Bug:
    a, b = rng.randint(2, 9), rng.randint(10, 99)
    c = rng.choice([n for n in range(10, 100) if n != b])
    if difficulty == 1:
        return _Bug(f"x+{c}", f"x+{b}", lambda x: x + b)
    if difficulty == 2:
        return _Bug(f"{a}*x+{c}", f"{a}*x+{b}", lambda x: a * x + b)
    if difficulty == 3:
        return _Bug(f"{a}*x+{b}", f"{a}*x-{b}", lambda x: a * x - b)
    if difficulty == 4:
        return _Bug(f"{a}+x*{b}", f"({a}+x)*{b}", lambda x: (a + x) * b)
    return _Bug(f"x*x+{a}*x+{c}", f"x*x+{a}*x-{b}", lambda x: x * x + a * x - b)


def _text(bug: _Bug) -> str:
    return f"def f(x):\n    return {bug.wrong}"


def _prompt(bug: _Bug) -> str:
    examples = "\n".join(f"f({x}) should be {bug.value(x)}" for x in SHOWN)
    return PROMPT.format(path=PATH, text=_text(bug), examples=examples)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task: wrong constant (1, 2), sign (3), brackets (4), sign and constant (5).

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"repair/{difficulty}/{split}/{seed}/{index}")
    bug = draw_in_split(lambda: _bug(rng, difficulty), _prompt, split)
    arguments = (*SHOWN, *HIDDEN)
    problem = {
        "input_output": {
            "fn_name": "f",
            "inputs": [[x] for x in arguments],
            "outputs": [bug.value(x) for x in arguments],
            "num_public": len(SHOWN),
        },
        "solutions": [],
    }
    repair = Edit(PATH, (f"    return {bug.wrong}",), (f"    return {bug.right}",))
    message: Message = {"role": "user", "content": _prompt(bug)}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "repair", "difficulty": difficulty,
        "split": split, "problem": _prompt(bug),
        "solution": render_edit(repair),
    }  # fmt: skip
    reference = {"files": {PATH: _text(bug)}, "entry": PATH, "problem": problem}
    task_id = f"repair-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), reference, metadata=metadata)


def solution(task: Task) -> str:
    """Return a correct response, in the form of a thinking model."""
    values = task.reference["problem"]["input_output"]["outputs"]
    return f"<think>\nf(0)={values[0]}\n</think>\n{task.metadata['solution']}"
