"""The domains of the tiny cascade: solved mini tasks, of which a share is solved badly on purpose.

Fine-tuning on them gives the toy every skill, and a habit of mistakes in each. That leaves every
stage of reinforcement learning something to do that a model of this size can do in a few steps.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.envs.code import mini as code
from cascade.envs.long_context import mini as long_context
from cascade.envs.mini import solution, split_of
from cascade.envs.preference import mini as preference
from cascade.envs.repair import mini as repair
from cascade.envs.tasksets import MiniSource
from cascade.errors import UnknownNameError
from cascade.trainer.sft import Example, encode_conversations
from cascade.trainer.tokenizer import toy_tokenizer
from cascade.trainer.toy import FreshToy
from cascade.types import Conversation, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

__all__ = ["DOMAINS", "PHRASES", "DomainSolutions", "DomainToy", "flawed", "solved"]

BEASTS = (
    "ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx", "mole",
    "newt", "owl", "pig", "quail", "rat", "seal", "toad", "vole", "wasp", "yak", "zebu",
)  # fmt: skip
KEYS = (
    "age", "id", "size", "pet", "ok", "rank", "tag", "sum", "win", "day", "kind", "hue", "cost",
    "hour", "page", "unit", "year", "wet", "big", "seat",
)  # fmt: skip

PHRASES = (
    "</think>\n",
    # instruction following
    "Write a few words. ", "Use ", "Begin with ", "End with ", *(f" {b}" for b in BEASTS), *BEASTS,
    # tool calling
    "\nUse [f(x=1)]: ", "; ", ", ", "add(a: int, b: int)", "timer(min: int)",
    "light(room: str, on: bool)", "call(name: str)", "pay(name: str, sum: float)",
    "roll(n: int, sides: int)", "add ", "time ", " minutes", "turn the ", " light on", " light off",
    "call ", "pay ", " euros", "roll ", " dice of ", " sides", "hall", "attic", "study", "porch",
    "cellar", "[add(a=", ", b=", "[timer(min=", "[light(room='", "', on=True)]", "', on=False)]",
    "[call(name='", "')]", "[pay(name='", "', sum=", "[roll(n=", ", sides=", ")]",
    # structured output
    "Write JSON with these properties: ", *(f'{{"{key}":' for key in KEYS),
    *(f'{{"{key}": ' for key in KEYS), '{"type":"integer"}}', '{"type":"boolean"}}', '{"enum":["',
    '","', '"]}}', '"}', "true", "false",
    # preference
    "Write a note to ", " before the ", "greet", "thank", "congratulate", "comfort", "invite",
    "wake", "Hello", "Thank you", "Well done", "Take care", "Please come", "Good morning",
    ". Have a nice ", "my dear, dear, dear ", *preference.NAMES, *preference.TIMES,
    *(f" {name}" for name in preference.NAMES),
    # long context
    "Notes:\n", *(f" {thing} " for thing in long_context.THINGS),
    *(f" {thing}?" for thing in long_context.THINGS), " asked ", "The ", " of who ", "asked?",
    # code and repair
    "Write f(x) in Python, in one line.\n", *(f"\nf({x}) = " for x in (1, 2, 3, 10)), "f(0) = ",
    "f(0)=", ", f(1)-f(0)=1", "def f(x): return x", "f.py:\ndef f(x):\n    return x", "f.py\n",
    *(f"\nf({x}) should be " for x in (0, 1, 5)), "\nRepair f.py with one SEARCH/REPLACE block.",
    "<<<<<<< SEARCH\n", "    return x", "\n=======\n", "\n>>>>>>> REPLACE", "```python\n", "\n```",
)  # fmt: skip
"""Texts of the domains that are one token each, beyond those of the toy's own tokenizer."""


@dataclass(frozen=True, slots=True)
class DomainToy(FreshToy):
    """The toy's architecture, new, with a tokenizer that keeps the texts of all domains short."""

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Build the tokenizer."""
        return toy_tokenizer(self.toy.max_length, more_phrases=PHRASES)


def _thinking(work: str, answer: str) -> str:
    return f"<think>\n{work}\n</think>\n{answer}" if work else f"<think>\n</think>\n{answer}"


def _instructions(task: Task, rng: random.Random, well: bool) -> str:
    if well:
        return _thinking("", str(task.metadata["solution"]))
    return _thinking("", " ".join(rng.sample(BEASTS, 3)))


def _choice(task: Task, rng: random.Random, well: bool) -> str:
    text = solution(task)
    if well:
        return text
    right = task.reference["answer"]
    letter = rng.choice([x for x in "ABCD" if x != right])
    return text.replace(f"\\boxed{{{right}}}", f"\\boxed{{{letter}}}")


def _tool_calling(task: Task, rng: random.Random, well: bool) -> str:
    [call] = task.reference["calls"]
    arguments = dict(call["arguments"])
    if not well:
        key = rng.choice(list(arguments))
        arguments[key] = _spoilt(arguments[key], rng)
    shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return _thinking("", f"[{call['name']}({shown})]")


def _spoilt(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    return rng.choice(preference.NAMES) if isinstance(value, str) else rng.randint(1, 99)


def _structured_output(task: Task, rng: random.Random, well: bool) -> str:
    [(name, wanted)] = task.reference["schema"]["properties"].items()
    kind = wanted.get("type", "enum")
    if not well:
        kind = rng.choice([other for other in ("integer", "boolean", "enum") if other != kind])
    pets = wanted.get("enum", ("hen", "owl")) if well else BEASTS
    value = {
        "integer": str(rng.randint(1, 99)),
        "boolean": rng.choice(["true", "false"]),
        "enum": json.dumps(rng.choice(pets)),
    }[kind]
    return _thinking("", f'{{"{name}": {value}}}')


def _preference(task: Task, rng: random.Random, well: bool) -> str:
    best = preference.solution(task)
    if well:
        return best
    head, _, wish = best.partition(". Have a nice ")
    opening, _, name = head.rpartition(", ")
    return rng.choice(
        [
            f"{head}.",
            f"{opening}, my dear, dear, dear {name}.",
            f"{opening}, my dear, dear, dear {name}. Have a nice {wish}",
            f"{opening}, {rng.choice(preference.NAMES)}. Have a nice {wish}",
        ]
    )


def _long_context(task: Task, rng: random.Random, well: bool) -> str:
    if well:
        return long_context.solution(task)
    number = rng.choice(str(task.metadata["problem"]).split("\n\n")[0].split("\n")[1:]).split()[-1]
    return _thinking(str(task.metadata["work"]).rpartition(" ")[0] + f" {number}", number)


def _code(task: Task, rng: random.Random, well: bool) -> str:
    text = code.solution(task)
    return text if well else text.replace("return x", f"return x+{rng.randint(1, 99)}", 1)


def _repair(task: Task, rng: random.Random, well: bool) -> str:
    text = repair.solution(task)
    if well:
        return text
    head, _, tail = text.rpartition("return x+")
    wrong = f"return x+{rng.randint(10, 99)}\n{tail.partition(chr(10))[2]}"
    # One in two mistakes searches for a line that is not there.
    if rng.random() < 0.5:
        return head + wrong
    first, _, rest = text.partition("return x+")
    return f"{first}return x+{rng.randint(10, 99)}\n{rest.partition(chr(10))[2]}"


_SOLVERS: Mapping[str, Callable[[Task, random.Random, bool], str]] = {
    "instructions": _instructions,
    "choice": _choice,
    "tool_calling": _tool_calling,
    "structured_output": _structured_output,
    "preference": _preference,
    "long_context": _long_context,
    "code": _code,
    "repair": _repair,
}

DOMAINS: Mapping[str, str] = {
    "instructions": "cascade/InstructionFollowing-v0",
    "choice": "cascade/MultipleChoice-v0",
    "tool_calling": "cascade/ToolCalling-v0",
    "structured_output": "cascade/StructuredOutput-v0",
    "preference": "cascade/Preference-v0",
    "long_context": "cascade/LongContext-v0",
    "code": "cascade/Code-v0",
    "repair": "cascade/Repair-v0",
}
"""Kind of mini task -> the environment that judges it."""


_COUNTS = {
    "instructions": 400, "choice": 450, "tool_calling": 600, "structured_output": 400,
    "preference": 220, "long_context": 1000, "code": 280, "repair": 700,
}  # fmt: skip


def solved(kind: str, task: Task, rng: random.Random) -> str:
    """Return a right response to a mini task of difficulty 1.

    Raises:
        UnknownNameError: no such domain.
    """
    return _solver(kind)(task, rng, True)


def flawed(kind: str, task: Task, rng: random.Random) -> str:
    """Return a response in the right form that is mostly wrong.

    Raises:
        UnknownNameError: no such domain.
    """
    return _solver(kind)(task, rng, False)


def _solver(kind: str) -> Callable[[Task, random.Random, bool], str]:
    if kind not in _SOLVERS:
        raise UnknownNameError.near("domain of the toy", kind, _SOLVERS)
    return _SOLVERS[kind]


@dataclass(frozen=True, slots=True)
class DomainSolutions:
    """Solved tasks of the train split of all domains; implements `cascade.trainer` `Examples`."""

    counts: Mapping[str, int] = field(default_factory=lambda: dict(_COUNTS))
    """Domain -> different tasks."""
    flaws: float = 0.3
    """Share of responses with a mistake."""
    num_sums: int = 3000
    """Bare sums and differences, which the choices need."""
    seed: int = 0

    def load(self, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
        """Generate tasks and responses."""
        rng = random.Random(f"domains/{self.seed}")
        conversations: list[Conversation] = []
        for kind, count in self.counts.items():
            tasks: Any = MiniSource(kind=kind, split="train", seed=self.seed, size=count).load()
            for task in tasks:
                write = flawed if rng.random() < self.flaws else solved
                said = write(kind, task, rng)
                conversations.append((*task.messages, {"role": "assistant", "content": said}))
        return [*encode_conversations(tokenizer, conversations), *self._sums(tokenizer, rng)]

    def _sums(self, tokenizer: PreTrainedTokenizerBase, rng: random.Random) -> list[Example]:
        """Problem and working alone; none whose problem is held out."""
        examples: list[Example] = []
        while len(examples) < self.num_sums:
            a, b = rng.randint(1, 25), rng.randint(1, 25)
            a, sign, b = (a, "+", b) if rng.random() < 0.5 else (max(a, b), "-", min(a, b))
            problem = f"What is {a} {sign} {b}?"
            if split_of(problem) == "train":
                work = f"{a}{sign}{b}={a + b if sign == '+' else a - b}\n"
                ids, tail = (tokenizer(text)["input_ids"] for text in (f"{problem}\n", work))
                examples.append(Example((*ids, *tail), len(ids)))
        return examples
