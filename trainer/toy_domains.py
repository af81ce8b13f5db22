"""The domains of the tiny cascade: solved mini tasks, of which a share is solved badly on purpose.

Fine-tuning on them gives the toy every skill, and a habit of mistakes in each. That leaves every
stage of reinforcement learning something to do that a model of this size can do in a few steps.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from cascade.envs.code import mini as code
from cascade.envs.long_context import mini as long_context
from cascade.envs.mini import solution, split_of
from cascade.envs.preference import mini as preference
from cascade.envs.repair import mini as repair
from cascade.envs.tasksets import MiniSource
from cascade.errors import UnknownNameError
from cascade.trainer.sft import Example, encode_conversations, encode_pairs
from cascade.trainer.tokenizer import toy_tokenizer
from cascade.trainer.toy import FreshToy, ToyConfig
from cascade.types import Conversation, Task
from cascade.verifiers import tools

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

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
    "Write a few words. ", "Use ", "Begin with ", "End with ", *BEASTS,
    # tool calling
    "\nUse [f(x=1)]: ", "; ", ", ", "add(a: int, b: int)", "timer(min: int)",
    "light(room: str, on: bool)", "call(name: str)", "pay(name: str, sum: float)",
    "roll(n: int, sides: int)", "add ", "time ", " minutes", "turn the ", " light on", " light off",
    "call ", "pay ", " euros", "roll ", " dice of ", " sides", "hall", "attic", "study", "porch",
    "cellar", "add(a=", ", b=", "timer(min=", "light(room='", "', on=True", "', on=False",
    "call(name='", "')", "pay(name='", "', sum=", "roll(n=", ", sides=", ")]",
    # structured output
    "Write JSON with these properties: ", *(f'{{"{key}":' for key in KEYS),
    *(f'{{"{key}": ' for key in KEYS), '{"type":"integer"}}', '{"type":"boolean"}}', '{"enum":["',
    '","', '"]}}', '"}', "true", "false",
    # preference
    "Write a note to ", "before the ", "greet", "thank", "congratulate", "comfort", "invite",
    "wake", "Hello", "Thank you", "Well done", "Take care", "Please come", "Good morning",
    ". Have a nice ", "my dear, dear, dear ", *preference.NAMES, *preference.TIMES,
    # long context
    "Notes:\n", *(f"{thing} " for thing in long_context.THINGS),
    *(f"{name} " for name in long_context.NAMES), "asked ", "The ", "of who ", "asked?",
    # code and repair
    "Write f(x) in Python, in one line.\n", *(f"\nf({x}) = " for x in (1, 2, 3, 10)), "f(0) = ",
    "f(0)=", ", f(1)-f(0)=1", "def f(x): return x", "f.py:\ndef f(x):\n    return x", "f.py\n",
    *(f"\nf({x}) should be " for x in (0, 1, 5)), "\nRepair f.py with one SEARCH/REPLACE block.",
    "<<<<<<< SEARCH\n", "    return x", "\n=======\n", "\n>>>>>>> REPLACE", "```python\n", "\n```",
)  # fmt: skip
"""Texts of the domains that are one token each, beyond those of the toy's own tokenizer."""


@dataclass(frozen=True, slots=True)
class DomainToy(FreshToy):
    """The toy's architecture, new, with a tokenizer that keeps the texts of all domains short.

    One head of the first layer starts out looking at the token before. Copying what followed a word
    earlier needs such a head and a second one on top of it (arXiv 2209.11895); found by chance, the
    pair takes more steps than a toy's whole training.
    """

    toy: ToyConfig = field(default_factory=lambda: ToyConfig(max_length=512, query_gain=3.0))
    """Its sizes."""

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Build the tokenizer."""
        return toy_tokenizer(self.toy.max_length, more_phrases=PHRASES)

    def open(self, seed: int) -> PreTrainedModel:
        """Make new weights from `seed`."""
        # Named in full: with slots, the class that super() would look for is another one.
        model = FreshToy.open(self, seed)
        _place_look_back(model)
        return model


def _place_look_back(model: Any) -> None:
    """Make head 0 of layer 0 attend to distance 1, whatever the tokens are.

    Queries and keys read one embedding dimension that is the same for all tokens; the queries are
    turned back by one position, in the fastest rotary pairs, which tell neighbours apart.
    """
    import torch

    config = model.config
    half = config.head_dim // 2
    query_H, key_H = torch.zeros(2, config.head_dim)
    for pair in range(4):
        angle = config.rope_parameters["rope_theta"] ** (-pair / half)
        query_H[pair], query_H[half + pair] = math.cos(angle), -math.sin(angle)
        key_H[pair] = 1.0
    attention = model.model.layers[0].self_attn
    with torch.no_grad():
        model.get_input_embeddings().weight[:, -1] = 0.3
        for projection, row_H in ((attention.q_proj, query_H), (attention.k_proj, key_H)):
            weight_H_D = projection.weight[: config.head_dim]
            weight_H_D.zero_()
            weight_H_D[:, -1] = row_H


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


def _tool_calling(task: Task, rng: random.Random, well: bool, slips: float = 0.5) -> str:
    calls = []
    for call in task.reference["calls"]:
        # Badly: each argument is a decision of its own that may go wrong.
        arguments = {
            key: value if well or rng.random() < 1 - slips else _spoilt(value, rng)
            for key, value in call["arguments"].items()
        }
        calls.append(tools.Call(call["name"], arguments))
    return _thinking("", tools.render_calls(calls, "python"))


def _spoilt(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return rng.choice(preference.NAMES)
    return rng.randint(1, 99) + (rng.choice((0.25, 0.5, 0.75)) if isinstance(value, float) else 0)


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


def flawed(kind: str, task: Task, rng: random.Random, slips: float = 0.5) -> str:
    """Return a response in the right form that is mostly wrong.

    Args:
        kind: the domain.
        task: one of its tasks.
        rng: draws the mistakes.
        slips: how often an argument of a call goes wrong.

    Raises:
        UnknownNameError: no such domain.
    """
    if kind == "tool_calling":
        return _tool_calling(task, rng, False, slips)
    return _solver(kind)(task, rng, False)


def _solver(kind: str) -> Callable[[Task, random.Random, bool], str]:
    if kind not in _SOLVERS:
        raise UnknownNameError.near("domain of the toy", kind, _SOLVERS)
    return _SOLVERS[kind]


@dataclass(frozen=True, slots=True)
class DomainSolutions:
    """Tasks of the train split of all domains; implements `cascade.trainer` `Examples`.

    As drills, without the chat around them, they are solved well; in conversations, often badly.
    So the toy can do more than it says, which is where a short stage of reinforcement learning
    finds something to win.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: dict(_COUNTS))
    """Domain -> different tasks in a round."""
    conversation_rounds: int = 2
    """Rounds of conversations; each draws other tasks, as far as there are others."""
    drill_rounds: int = 3
    """Rounds of drills."""
    flaws: float = 0.5
    """Share of conversations that are answered badly."""
    slips: float = 0.5
    """How often an argument goes wrong in a call that is answered badly."""
    difficulty: int = 1
    """Of all tasks; only calls of functions have bad answers beyond 1."""
    num_sums: int = 32_000
    """Bare sums and differences, which the choices need."""
    num_recitals: int = 12_000
    """Notes said again in another order: six look-ups in the length of one."""
    seed: int = 0

    def load(self, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
        """Generate tasks and responses."""
        rng = random.Random(f"domains/{self.seed}")
        told: list[Conversation] = []
        for kind, task in self._tasks(range(self.conversation_rounds)):
            if rng.random() < self.flaws:
                said = flawed(kind, task, rng, self.slips)
            else:
                said = solved(kind, task, rng)
            told.append((*task.messages, {"role": "assistant", "content": said}))
        pairs = [
            (f"{task.messages[-1]['content']}\n", f"{solved(kind, task, rng)}\n")
            for kind, task in self._tasks(range(100, 100 + self.drill_rounds))
        ]
        pairs += islice(_sums(rng), self.num_sums)
        pairs += islice(_recitals(rng), self.num_recitals)
        return [*encode_conversations(tokenizer, told), *encode_pairs(tokenizer, pairs)]

    def _tasks(self, rounds: Iterable[int]) -> Iterator[tuple[str, Task]]:
        for number in rounds:
            for kind, size in self.counts.items():
                seed = self.seed + number
                source = MiniSource(
                    kind=kind, difficulty=self.difficulty, split="train", seed=seed, size=size
                )
                yield from ((kind, task) for task in source.load())


def _sums(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Sums and differences in the words of the choices; none whose problem is held out."""
    while True:
        a, b = rng.randint(1, 25), rng.randint(1, 25)
        a, sign, b = (a, "+", b) if rng.random() < 0.5 else (max(a, b), "-", min(a, b))
        problem = f"What is {a} {sign} {b}?"
        if split_of(problem) == "train":
            yield f"{problem}\n", f"{a}{sign}{b}={a + b if sign == '+' else a - b}\n"


def _recitals(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Notes, or the options of a choice, and all of them again in another order."""
    for seed in count(200):
        for task in MiniSource(kind="long_context", split="train", seed=seed, size=400).load():
            head, *notes = str(task.metadata["problem"]).partition("\n\n")[0].split("\n")
            shuffled = rng.sample(notes, len(notes))
            yield "\n".join((head, *notes, "", "")), "\n".join((*shuffled, ""))
        for task in MiniSource(kind="choice", split="train", seed=seed, size=400).load():
            options = task.messages[-1]["content"].split("\n\n")[-1]
            pairs = [
                f"{value} is {letter}"
                for letter, value in zip("ABCD", task.reference["options"], strict=True)
            ]
            yield f"{options}\n", "\n".join((*rng.sample(pairs, 4), ""))
