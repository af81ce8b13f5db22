"""Mini tasks of preference: notes of a few words, which `CourtesyJudge` compares.

A task is a pure function of ``(difficulty, split, seed, index)``; splits share no request.
"""

from __future__ import annotations

import random

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.envs.preference.rules import OPENINGS
from cascade.types import Message, Task

__all__ = ["mini_task", "solution"]

NAMES = (
    "Ann", "Bob", "Cem", "Dia", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Leo", "Mia",
    "Ned", "Oda", "Pam", "Quy", "Ron", "Sue", "Tom", "Uma", "Vic", "Wim", "Xia", "Yan", "Zoe",
)  # fmt: skip
TIMES = ("day", "evening", "weekend", "trip", "party")


def _draft(rng: random.Random, difficulty: int) -> tuple[str, str, str]:
    verbs = list(OPENINGS)[: difficulty + 2]
    return rng.choice(verbs), rng.choice(NAMES), rng.choice(TIMES)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task; its reference holds a note of middling quality to compare with.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"preference/{difficulty}/{split}/{seed}/{index}")
    verb, name, time = draw_in_split(
        lambda: _draft(rng, difficulty), lambda drawn: " ".join(drawn), split
    )
    request = f"Write a note to {verb} {name} before the {time}."
    message: Message = {"role": "user", "content": request}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "preference", "split": split,
        "difficulty": difficulty, "problem": request,
        "solution": f"{OPENINGS[verb]}, {name}. Have a nice {time}.",
    }  # fmt: skip
    task_id = f"preference-{difficulty}-{split}-{seed}-{index}"
    baseline = f"{OPENINGS[verb]}, my dear, dear, dear {name}."
    return Task(task_id, (message,), {"baseline": baseline}, metadata=metadata)


def solution(task: Task) -> str:
    """Return the best note, in the form of a thinking model."""
    verb = str(task.metadata["problem"]).split()[4]
    return f"<think>\n{verb}\n</think>\n{task.metadata['solution']}"
