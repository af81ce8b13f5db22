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
_Rule = tuple[str, dict[str, Any], str]
"""Published id, its arguments, and the short wording of the mini prompts."""
_Draft = tuple[list[_Rule], str]


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    """Draw rules, and write a text that keeps them all."""
    count, kinds = _RULES_BY_DIFFICULTY[difficulty]
    # A rule that a random text may keep never stands alone: "case" and "comma" come on top.
    chosen = [rng.choice([kind for kind in kinds if kind not in ("case", "comma")])]
    chosen += rng.sample([kind for kind in kinds if kind not in chosen], count - 1)
    words = rng.sample(_WORDS, 6)
    body, rules = words[4:], []
    for kind in chosen:
        rule, body = _rule(kind, words, body, rng.randint(2, 3))
        rules.append(rule)
    return rules, " ".join(body)


def _rule(kind: str, words: list[str], body: list[str], times: int) -> tuple[_Rule, list[str]]:
    """Return a rule of one kind, and the body with what keeps it."""
    first, last, keyword, repeated, other = words[:5]
    made: _Rule
    if kind == "first":
        made = ("first_word:first_word_answer", {"first_word": first}, f"Begin with {first}.")
        return made, [first, *body]
    if kind == "start":
        phrase = f"{first} {body[0]}"
        made = ("startend:start_checker", {"start_phrase": phrase}, f"Start with {phrase}.")
        return made, [first, *body]
    if kind == "last":
        made = ("last_word:last_word_answer", {"last_word": last}, f"End with {last}.")
        return made, [*body, last]
    if kind == "keyword":
        both = [keyword, other]
        made = ("keywords:existence", {"keywords": both}, f"Use {keyword} and {other}.")
        return made, [*body[:1], keyword, *body[1:]]
    if kind == "times":
        limit = {"keyword": repeated, "frequency": times, "relation": "at least"}
        made = ("keywords:frequency", limit, f"Use {repeated} {times} times or more.")
        return made, [*body[:1], *[repeated] * times, *body[1:]]
    if kind == "case":
        return ("change_case:english_lowercase", {}, "Use lower case only."), body
    return ("punctuation:no_comma", {}, "Use no commas."), body


def _described(draft: _Draft) -> str:
    return " ".join(wording for _, _, wording in draft[0])


def _constraints(draft: _Draft) -> list[dict[str, Any]]:
    return [{"id": name, "kwargs": arguments} for name, arguments, _ in draft[0]]


def _drawn(rng: random.Random, difficulty: int) -> _Draft:
    """Redraw until the rules do not contradict each other (a first word within a start, …)."""
    while True:
        draft = _draft(rng, difficulty)
        if instructions.verify(draft[1], _constraints(draft)).reward == 1.0:
            return draft


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task; its metadata hold a solution.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"instructions/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _drawn(rng, difficulty), _described, split)
    text = _described(draft)
    message: Message = {"role": "user", "content": f"Write a few words. {text}"}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "instructions", "split": split,
        "difficulty": difficulty, "problem": text, "solution": draft[1],
    }  # fmt: skip
    task_id = f"instructions-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), _constraints(draft), metadata=metadata)
