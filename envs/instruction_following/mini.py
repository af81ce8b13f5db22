"""Mini tasks of instruction following: one to three rules, answers of a few words.

A task is a pure function of ``(difficulty, split, seed, index)``; splits share no instruction text.
"""

from __future__ import annotations

import random
from typing import Any

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Task
from cascade.verifiers import instructions

__all__ = ["mini_task"]

_WORDS = (
    "ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx", "mole",
    "newt", "owl", "pig", "quail", "rat", "seal", "toad", "vole", "wasp", "yak", "zebu",
)  # fmt: skip
_RULES_BY_DIFFICULTY: dict[int, tuple[int, tuple[str, ...]]] = {
    1: (1, ("first", "last", "keyword")),
    2: (1, ("first", "last", "keyword", "times", "start")),
    3: (2, ("first", "last", "keyword")),
    4: (3, ("first", "last", "keyword", "case")),
    5: (3, ("first", "last", "times", "case", "keyword", "comma")),
}
"""How many rules, and from which kinds."""
_Draft = tuple[list[dict[str, Any]], str]


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    """Draw rules, and write a text that keeps them all."""
    count, kinds = _RULES_BY_DIFFICULTY[difficulty]
    # A rule that a random text may keep never stands alone: "case" and "comma" come on top.
    chosen = [rng.choice([kind for kind in kinds if kind not in ("case", "comma")])]
    chosen += rng.sample([kind for kind in kinds if kind not in chosen], count - 1)
    words = rng.sample(_WORDS, 6)
    first, last, keyword, repeated = words[:4]
    body, rules = [words[4], words[5]], []
    rule: tuple[str, dict[str, Any]]
    for kind in chosen:
        if kind in ("first", "start"):
            body.insert(0, first)
            rule = ("first_word:first_word_answer", {"first_word": first})
            if kind == "start":
                rule = ("startend:start_checker", {"start_phrase": f"{first} {words[4]}"})
        elif kind == "last":
            body.append(last)
            rule = ("last_word:last_word_answer", {"last_word": last})
        elif kind == "keyword":
            body.insert(1, keyword)
            rule = ("keywords:existence", {"keywords": [keyword, words[4]]})
        elif kind == "times":
            times = rng.randint(2, 3)
            body[1:1] = [repeated] * times
            limit = {"keyword": repeated, "frequency": times, "relation": "at least"}
            rule = ("keywords:frequency", limit)
        elif kind == "case":
            rule = ("change_case:english_lowercase", {})
        else:
            rule = ("punctuation:no_comma", {})
        rules.append({"id": rule[0], "kwargs": rule[1]})
    return rules, " ".join(body)


def _described(draft: _Draft) -> str:
    return " ".join(instructions.describe(rule["id"], **rule["kwargs"]) for rule in draft[0])


def _drawn(rng: random.Random, difficulty: int) -> _Draft:
    """Redraw until the rules do not contradict each other (a first word within a start, …)."""
    while True:
        draft = _draft(rng, difficulty)
        if instructions.verify(draft[1], draft[0]).reward == 1.0:
            return draft


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task; its metadata hold a solution.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"instructions/{difficulty}/{split}/{seed}/{index}")
    rules, solution = draw_in_split(lambda: _drawn(rng, difficulty), _described, split)
    text = _described((rules, solution))
    message: Message = {"role": "user", "content": f"Write a few words. {text}"}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "instructions", "split": split,
        "difficulty": difficulty, "problem": text, "solution": solution,
    }  # fmt: skip
    task_id = f"instructions-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), rules, metadata=metadata)
