"""Mini tasks of long context: notes, and a question about one of them or about two together.

Difficulty 1 hides one needle among 6 notes, 2 among 32 with names that occur more than once. From
3 on, two notes have to be joined: who somebody asked, and that person's number; 5 hides them among
96. A task is a pure function of ``(difficulty, split, seed, index)``; splits share no question with
its notes.
"""

from __future__ import annotations

import random

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Task

__all__ = ["mini_task", "solution"]

NAMES = (
    "Ann", "Bob", "Cem", "Dia", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Leo", "Mia",
    "Ned", "Oda", "Pam", "Quy", "Ron", "Sue", "Tom", "Uma", "Vic", "Wim", "Xia", "Yan", "Zoe",
)  # fmt: skip
THINGS = ("box", "key", "lamp", "map", "pen")
_NOTES = {1: 6, 2: 32, 3: 8, 4: 32, 5: 96}
_Draft = tuple[list[str], str, str, str]
"""Notes, question, answer, working."""


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    pairs = [(name, thing) for name in NAMES for thing in THINGS]
    if difficulty == 1:  # each name once
        pairs = [(name, rng.choice(THINGS)) for name in NAMES]
    owned = rng.sample(pairs, _NOTES[difficulty])
    numbers = {pair: rng.randint(10, 99) for pair in owned}
    notes = [f"{thing} {name} {number}" for (name, thing), number in numbers.items()]
    (name, thing), number = rng.choice(list(numbers.items()))
    if difficulty <= 2:
        return notes, f"{thing} {name}?", str(number), f"{thing} {name} {number}"
    asker = rng.choice([n for n in NAMES if n != name])
    notes.insert(rng.randint(0, len(notes)), f"{asker} asked {name}")
    work = f"{asker} asked {name}, {thing} {name} {number}"
    return notes, f"The {thing} of who {asker} asked?", str(number), work


def _content(draft: _Draft) -> str:
    return "Notes:\n" + "\n".join(draft[0]) + f"\n\n{draft[1]}"


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"long_context/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), _content, split)
    content = _content(draft)
    message: Message = {"role": "user", "content": content}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "long_context", "split": split,
        "difficulty": difficulty, "problem": content, "work": draft[3],
    }  # fmt: skip
    task_id = f"long_context-{difficulty}-{split}-{seed}-{index}"
    reference = {"answer": draft[2], "question": draft[1]}
    return Task(task_id, (message,), reference, metadata=metadata)


def solution(task: Task) -> str:
    """Return a correct response, in the form of a thinking model."""
    return f"<think>\n{task.metadata['work']}\n</think>\n{task.reference['answer']}"
