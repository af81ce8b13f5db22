"""Requests with two to six instructions at once, all of which one text can follow.

Each task is drawn together with a text that follows it, so that no two of its instructions
contradict each other. Difficulty d has d + 1 instructions. A task is a pure function of
``(difficulty, split, seed, index)``; splits share no request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Task
from cascade.verifiers import instructions
from cascade.verifiers.instructions import prose

__all__ = ["multi_task"]

_FORMS = (
    "a short letter to a neighbour", "a review of a small restaurant", "a note for a notice board",
    "the opening of a story", "a speech for a birthday", "an advertisement", "a diary entry",
    "instructions for a guest", "a news item", "a complaint", "a travel tip", "a bedtime story",
)  # fmt: skip
_TOPICS = (
    "a lost umbrella", "an old bridge", "a kitten on a roof", "a garden in winter", "a late train",
    "a broken mirror", "a new bakery", "a walk by the river", "a yellow kite", "a power cut",
    "a market day", "a night on an island", "a stubborn donkey", "a museum of buttons",
)  # fmt: skip
_GOOD_ENDINGS = ("That is all.", "See you soon.", "Thank you for reading.")
_SENTENCES = (
    "The morning was quiet and the street was still wet from the rain.",
    "Nobody had seen anything like it for a very long time.",
    "We looked at each other and began to laugh.",
    "It was small but it was ours and we liked it well.",
    "In the end there was more than enough for everybody.",
)


@dataclass(slots=True)
class _Draft:
    """A text in the making, and what it has been made to follow."""

    request: str
    title: str = ""
    body: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    ending: str = ""
    finish: Callable[[str], str] = str
    rules: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        blocks = (self.title, " ".join(self.body), "\n".join(self.lines), self.ending)
        return self.finish("\n\n".join(block for block in blocks if block))

    @property
    def asked(self) -> str:
        told = (instructions.describe(rule["id"], **rule["kwargs"]) for rule in self.rules)
        return " ".join((f"Write {self.request}.", *told))


Follow = Callable[[random.Random, _Draft], Mapping[str, Any]]
"""Makes a draft follow an instruction, and returns the instruction's arguments."""


def _title(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    draft.title = f"<<{prose.capitalised(prose.words(rng, 2))}>>"
    return {}


def _keywords(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    wanted = prose.keywords(rng, rng.randint(2, 4))
    draft.body.append(f"Then came the {' and the '.join(wanted)}.")
    return {"keywords": wanted}


def _forbidden(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    return {"forbidden_words": rng.sample(("very", "quiet", "laugh", "nobody", "small"), 2)}


def _frequency(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    word, times = prose.keyword(rng), rng.randint(2, 4)
    draft.body.append(f"Here is {' and '.join([f'a {word}'] * times)}.")
    return {"keyword": word, "frequency": times, "relation": "at least"}


def _bullets(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    count = rng.randint(2, 5)
    draft.lines += [f"* {prose.words(rng, 3)}" for _ in range(count)]
    return {"num_bullets": count}


def _highlights(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    count = rng.randint(1, 3)
    draft.body += [f"Mind the *{prose.words(rng, 2)}* there." for _ in range(count)]
    return {"num_highlights": count}


def _placeholders(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    count = rng.randint(1, 3)
    draft.body += [f"Ask [{prose.keyword(rng)}] about it." for _ in range(count)]
    return {"num_placeholders": count}


def _postscript(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    draft.ending = f"P.S. {prose.sentence(rng, 4)}"
    return {"postscript_marker": "P.S."}


def _end(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    draft.ending = rng.choice(_GOOD_ENDINGS)
    return {"end_phrase": draft.ending}


def _quoted(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    inner = draft.finish
    draft.finish = lambda text: f'"{inner(text)}"'
    return {}


def _lower(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    inner = draft.finish
    draft.finish = lambda text: inner(text).lower()
    return {}


def _no_comma(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    return {}


def _words(rng: random.Random, draft: _Draft) -> dict[str, Any]:
    return {"num_words": rng.choice((20, 25, 30)), "relation": "at least"}


_FOLLOW: Mapping[str, Follow] = {
    "detectable_format:title": _title,
    "keywords:existence": _keywords,
    "keywords:forbidden_words": _forbidden,
    "keywords:frequency": _frequency,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "startend:end_checker": _end,
    "startend:quotation": _quoted,
    "change_case:english_lowercase": _lower,
    "punctuation:no_comma": _no_comma,
    "length_constraints:number_words": _words,
}


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    """Draw until the text follows every instruction."""
    while True:
        draft = _Draft(f"{rng.choice(_FORMS)} about {rng.choice(_TOPICS)}")
        draft.body += rng.sample(_SENTENCES, rng.randint(2, 4))
        for name in rng.sample(sorted(_FOLLOW), difficulty + 1):
            draft.rules.append({"id": name, "kwargs": dict(_FOLLOW[name](rng, draft))})
        if instructions.verify(draft.text, draft.rules, standard="sound").reward == 1.0:
            return draft


def multi_task(seed: int, index: int, difficulty: int = 3, *, split: Split = "test") -> Task:
    """Generate one task; its metadata hold a text that follows it.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"multi_constraint/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), lambda drawn: drawn.asked, split)
    message: Message = {"role": "user", "content": draft.asked}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "multi_constraint", "split": split,
        "difficulty": difficulty, "problem": draft.asked, "solution": draft.text,
    }  # fmt: skip
    task_id = f"multi_constraint-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), draft.rules, metadata=metadata)
