"""Needles in a haystack after RULER (Hsieh et al. 2024, arXiv:2404.06654), of any length.

A text of `tokens` tokens holds sentences that give a number to a key; the question asks for one or
several of them. The categories are those of RULER's retrieval tasks. Haystacks are generated: its
essays may not be passed on, so numbers are near its own, not equal to them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cascade.envs.base import Observation, Tasks
from cascade.envs.long_context.env import LongContextEnv
from cascade.envs.rows import digest_of_rows
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import Message, Task, Verdict, VerdictStatus
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["CATEGORIES", "Category", "NeedlesFound", "RulerEnv", "RulerSource", "ruler_text"]

CHARACTERS_PER_TOKEN = 4.2
"""Of English prose under today's tokenizers; a run's report gives the tokens really sent."""


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of retrieval task."""

    noise: str
    """The haystack: "repeat" (five sentences again and again), "prose", or "needles"."""
    keys: int
    """Keys that the text gives a number to, wrong ones included; 0: as many as the text holds."""
    values: int = 1
    """Numbers that each asked key has."""
    asked: int = 1
    """Keys that the question asks for."""


CATEGORIES: Mapping[str, Category] = {
    "niah_single_1": Category("repeat", 1),
    "niah_single_2": Category("prose", 1),
    "niah_multikey_1": Category("prose", 4),
    "niah_multikey_2": Category("needles", 0),
    "niah_multivalue": Category("prose", 1, values=4),
    "niah_multiquery": Category("prose", 4, asked=4),
}

_FRAME = 330
"""Characters of the question around the text."""
_REPEATED = (
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
)
_NEEDLE = "One of the special magic numbers for {key} is: {value}."
_SUBJECTS = ("The keeper", "A visitor", "My neighbour", "The clerk", "An old map", "The choir",
             "A young baker", "The river", "Nobody", "The librarian", "Her cousin")  # fmt: skip
_VERBS = ("remembers", "describes", "carries", "forgets", "paints", "repairs", "follows", "hides",
          "measures", "returns", "borrows")  # fmt: skip
_OBJECTS = ("the northern gate", "a wooden boat", "seven letters", "the market", "a quiet song",
            "the broken clock", "an empty garden", "the winter road", "a box of lamps")  # fmt: skip
_ENDINGS = ("before the rain", "without a word", "every second summer", "as the bells ring",
            "for a small fee", "near the harbour", "in the early morning")  # fmt: skip
_FIRST = ("amber", "brisk", "calm", "dusty", "eager", "faint", "gentle", "hollow", "ivory", "jolly",
          "keen", "lively", "mellow", "noble", "opal", "plain", "quick", "rusty")  # fmt: skip
_SECOND = ("anchor", "basket", "candle", "drum", "engine", "falcon", "glove", "hammer", "island",
           "jacket", "kettle", "ladder", "mirror", "needle", "orchard", "pillow")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RulerSource:
    """A generated set: `per_category` tasks of each category, at one length.

    Raises:
        ConfigError: a length too short for a needle, or no task.
        UnknownNameError: an unknown category.
    """

    tokens: int
    categories: tuple[str, ...] = tuple(CATEGORIES)
    per_category: int = 100
    seed: int = 0

    kind = "ruler"
    licence = "CC0-1.0"

    def __post_init__(self) -> None:
        """Refuse what cannot be generated."""
        if self.tokens < 256 or self.per_category < 1:
            raise ConfigError(
                f"needles need 256 tokens or more and a task, got {self.tokens} tokens and "
                f"{self.per_category} tasks"
            )
        for name in self.categories:
            if name not in CATEGORIES:
                raise UnknownNameError.near("category of needles", name, CATEGORIES)

    @property
    def name(self) -> str:
        """Name of the set, with its length."""
        return f"ruler_{self.tokens}"

    @property
    def difficulty(self) -> int:
        """Its length, in tokens."""
        return self.tokens

    @property
    def size(self) -> int:
        """How many tasks it has."""
        return self.per_category * len(self.categories)

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Generate the set; `data_dir` is not needed."""
        tasks = tuple(
            ruler_task(name, self.tokens, self.seed, index)
            for name in self.categories
            for index in range(self.per_category)
        )
        rows = [{"id": task.id, "reference": task.reference} for task in tasks]
        provenance = Provenance("generated", digest_of_rows(rows), len(tasks), self.licence)
        return TaskSet(self.name, tasks, provenance)


def ruler_task(category: str, tokens: int, seed: int, index: int) -> Task:
    """Return one task of about `tokens` tokens; its text is written when an episode begins."""
    kind = CATEGORIES[category]
    keys, rng = _keys(category, tokens, seed, index)
    asked = keys[: kind.asked]
    values = _numbers(asked, kind, rng)  # the first that are drawn; the text needs all
    one = len(asked) == 1 and kind.values == 1
    what = "the special magic number" if one else "all the special magic numbers"
    question = (
        f"What {'is' if one else 'are'} {what} for {', '.join(asked)} mentioned in the text? "
        f"Answer with the number{'' if one else 's'} alone."
    )
    gold = [value for key in asked for value in values[key]]
    message: Message = {"role": "user", "content": question}
    metadata = {"source": "generated", "licence": "CC0-1.0", "category": category,
                "tokens": tokens, "problem": question}  # fmt: skip
    reference = {"answer": gold, "seed": seed, "index": index}
    return Task(f"{category}-{tokens}-{index}", (message,), reference, metadata=metadata)


def ruler_text(task: Task) -> str:
    """Write the text of a task, the same every time.

    Raises:
        DataError: the task is not one of `RulerSource`.
    """
    try:
        category, tokens = str(task.metadata["category"]), int(task.metadata["tokens"])
        seed, index = int(task.reference["seed"]), int(task.reference["index"])
        kind = CATEGORIES[category]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"task {task.id!r} has no generated text: {error!r}") from error
    keys, rng = _keys(category, tokens, seed, index)
    values = _numbers(keys, kind, rng)
    needles = [_NEEDLE.format(key=key, value=v) for key in values for v in values[key]]
    room = int(tokens * CHARACTERS_PER_TOKEN) - _FRAME - sum(map(len, needles))
    return _hidden(_haystack(kind.noise, room, rng), needles, rng)


def _keys(category: str, tokens: int, seed: int, index: int) -> tuple[list[str], random.Random]:
    """Draw the keys, those that are asked for first; return them and the state of chance after."""
    rng = random.Random(f"ruler/{category}/{tokens}/{seed}/{index}")
    kind = CATEGORIES[category]
    count = kind.keys or max(2, (int(tokens * CHARACTERS_PER_TOKEN) - _FRAME) // 66)
    numbers = range(count // 200 + 1)
    keys = [f"{a}-{b}-{n}" for n in numbers for a in _FIRST for b in _SECOND]
    return rng.sample(keys, count), rng


def _numbers(keys: list[str], kind: Category, rng: random.Random) -> dict[str, list[str]]:
    return {key: [_number(rng) for _ in range(kind.values)] for key in keys}


def _number(rng: random.Random) -> str:
    return str(rng.randrange(1_000_000, 10_000_000))


def _haystack(noise: str, room: int, rng: random.Random) -> list[str]:
    sentences: list[str] = []
    while room > 0 and noise != "needles":
        if noise == "repeat":
            sentence = _REPEATED
        else:
            parts = (rng.choice(words) for words in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS))
            sentence = " ".join(parts) + "."
        sentences.append(sentence)
        room -= len(sentence) + 1
    return sentences


def _hidden(sentences: list[str], needles: list[str], rng: random.Random) -> str:
    """Put the needles between the sentences, anywhere with the same chance."""
    if not sentences:
        rng.shuffle(needles)
        return "\n".join(needles)
    places = sorted(rng.randrange(len(sentences) + 1) for _ in needles)
    shuffled = rng.sample(needles, len(needles))
    pieces: list[str] = []
    last = 0
    for place, needle in zip(places, shuffled, strict=True):
        pieces += [*sentences[last:place], needle]
        last = place
    return " ".join([*pieces, *sentences[last:]])


@dataclass(frozen=True, slots=True)
class NeedlesFound:
    """The share of the asked numbers that the answer names, as RULER's `string_match_all`.

    An answer that names more numbers than it was asked for, twice as many or more, has not found
    them but listed the text: it is WRONG.
    """

    def __call__(self, response: str, reference: Mapping[str, list[str]], /) -> Verdict:
        """Judge a response against ``{"answer": [numbers]}``."""
        answer = strip_reasoning(response)
        if answer is None or not answer.strip():
            return Verdict.no_answer("no answer after the reasoning")
        gold = list(reference["answer"])
        named = {word for word in _words(answer) if len(word) == 7 and word.isdigit()}
        if len(named) > 2 * len(gold) + 1:
            return Verdict.wrong(reason=f"names {len(named)} numbers where {len(gold)} are asked")
        share = sum(value in named for value in gold) / len(gold)
        reason = f"found {share * len(gold):.0f} of {len(gold)}"
        extracted = ", ".join(sorted(named))
        if share in (0.0, 1.0):
            return (Verdict.correct if share else Verdict.wrong)(extracted, reason)
        return Verdict(share, VerdictStatus.PARTIAL, extracted, reason=reason)


def _words(text: str) -> list[str]:
    return "".join(c if c.isascii() and c.isalnum() else " " for c in text).split()


class RulerEnv(LongContextEnv):
    """Needles to find: the text of a task is written when its episode begins.

    A set of a million tokens a text would not fit into memory otherwise.

    Args:
        tasks: a set of `RulerSource`; a short one if not given.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = RulerSource(tokens=512, per_category=5).load()

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, grader=NeedlesFound(), data_dir=data_dir, render_mode=render_mode)

    def begin(self, task: Task) -> Observation:
        """Put the text before the question."""
        *before, question = task.messages
        content = (
            f"Some special magic numbers are hidden within the following text. Remember them: you "
            f"will be asked about them afterwards.\n{ruler_text(task)}\n{question['content']}"
        )
        return (*before, {"role": "user", "content": content})

    def responds_quickly(self, text: str) -> bool:
        """Counting numbers takes microseconds."""
        return True

    def oracle_response(self, task: Task) -> str:
        """Return all the numbers."""
        return ", ".join(task.reference["answer"])
