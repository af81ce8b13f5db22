r"""Mini tasks: procedurally generated problems in the very form of the real benchmarks.

They exist so that evaluation and training can be run, shown and tested without any data or
weights: a toy model can learn them in a minute. They measure nothing but themselves.

A task is a pure function of ``(kind, difficulty, split, seed, index)``, independent of
``PYTHONHASHSEED`` and of the machine. The splits share no problem: a problem belongs to "test" or
"train" by the digest of its text, not by the seed that happened to draw it.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from cascade.envs.prompts import MATH_BOXED, choice_boxed
from cascade.errors import ConfigError, UnknownNameError
from cascade.types import Message, Task

__all__ = ["DIFFICULTIES", "KINDS", "Kind", "Split", "mini_task", "solution"]

Kind = Literal["arithmetic", "modular", "number_theory", "choice"]
Split = Literal["train", "test"]
Drawn = TypeVar("Drawn")
KINDS: tuple[Kind, ...] = ("arithmetic", "modular", "number_theory", "choice")
DIFFICULTIES = range(1, 6)

_TEST_SHARE = 5  # one problem in five is held out
_MAX_DRAWS = 10_000
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class _Problem:
    """A question, its integer answer, and the steps that a short solution shows."""

    text: str
    answer: int
    work: str


def _arithmetic(rng: random.Random, difficulty: int) -> _Problem:
    if difficulty <= 2:
        top = 20 if difficulty == 1 else 99
        a, b = rng.randint(1, top), rng.randint(1, top)
        if rng.random() < 0.5:
            return _Problem(f"What is {a} + {b}?", a + b, f"{a}+{b}={a + b}")
        a, b = max(a, b), min(a, b)
        return _Problem(f"What is {a} - {b}?", a - b, f"{a}-{b}={a - b}")
    if difficulty == 3:
        a, b = rng.randint(2, 49), rng.randint(2, 12)
        return _Problem(f"What is {a} * {b}?", a * b, f"{a}*{b}={a * b}")
    a, b, c = rng.randint(2, 19), rng.randint(2, 12), rng.randint(1, 99)
    if difficulty == 4:
        steps = f"{a}*{b}={a * b}, {a * b}+{c}={a * b + c}"
        return _Problem(f"What is {a} * {b} + {c}?", a * b + c, steps)
    d = rng.randint(2, 9)
    steps = f"{a}+{c}={a + c}, {a + c}*{b}={(a + c) * b}, {(a + c) * b}-{d}={(a + c) * b - d}"
    return _Problem(f"What is ({a} + {c}) * {b} - {d}?", (a + c) * b - d, steps)


def _remainder(a: int, m: int) -> str:
    return f"{a}={a // m}*{m}+{a % m}"


def _modular(rng: random.Random, difficulty: int) -> _Problem:
    if difficulty <= 2:
        top, largest = (60, 6) if difficulty == 1 else (200, 12)
        a, m = rng.randint(1, top), rng.randint(2, largest)
        return _Problem(
            f"What is the remainder when {a} is divided by {m}?", a % m, _remainder(a, m)
        )
    m = rng.randint(3, 12 if difficulty == 3 else 30)
    if difficulty == 3:
        a, b = rng.randint(2, 19), rng.randint(2, 19)
        return _Problem(
            f"What is the remainder when {a} * {b} is divided by {m}?",
            a * b % m,
            f"{a}*{b}={a * b}, {_remainder(a * b, m)}",
        )
    a, n = rng.randint(2, 12), rng.randint(3, 6 if difficulty == 4 else 12)
    steps, power = [], 1
    for _ in range(n):
        steps.append(f"{power}*{a}%{m}={power * a % m}")
        power = power * a % m
    text = f"What is the remainder when {a}^{n} is divided by {m}?"
    return _Problem(text, power, ", ".join(steps))


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _number_theory(rng: random.Random, difficulty: int) -> _Problem:
    if difficulty in (1, 3):
        top = 9 if difficulty == 1 else 12
        shared = rng.randint(1, top)
        a, b = shared * rng.randint(1, top), shared * rng.randint(1, top)
        g = math.gcd(a, b)
        work = f"{a}={g}*{a // g}, {b}={g}*{b // g}"
        if difficulty == 1:
            return _Problem(f"What is the greatest common divisor of {a} and {b}?", g, work)
        lcm = a * b // g
        text = f"What is the least common multiple of {a} and {b}?"
        return _Problem(text, lcm, f"{work}, {a}*{b // g}={lcm}")
    n = rng.randint(2, {2: 300, 4: 400, 5: 400}[difficulty])
    divisors = _divisors(n)
    listed = ",".join(map(str, divisors))
    if difficulty == 2:
        return _Problem(f"How many positive divisors does {n} have?", len(divisors), listed)
    if difficulty == 4:
        text = f"What is the sum of the positive divisors of {n}?"
        return _Problem(text, sum(divisors), listed)
    coprime = sum(math.gcd(k, n) == 1 for k in range(1, n + 1))
    text = f"How many positive integers up to {n} are coprime to {n}?"
    primes = [p for p in divisors if len(_divisors(p)) == 2]
    return _Problem(text, coprime, "primes " + ",".join(map(str, primes)))


_GENERATORS: dict[str, Callable[[random.Random, int], _Problem]] = {
    "arithmetic": _arithmetic,
    "modular": _modular,
    "number_theory": _number_theory,
    "choice": _arithmetic,
}


def draw_in_split(draw: Callable[[], Drawn], text: Callable[[Drawn], str], split: str) -> Drawn:
    """Call `draw` until the text of what it gives belongs to `split`.

    Raises:
        ConfigError: there is no such split, or nothing in it after many draws.
    """
    if split not in ("train", "test"):
        raise ConfigError(f"split must be 'train' or 'test', got {split!r}")
    for _ in range(_MAX_DRAWS):
        drawn = draw()
        if split_of(text(drawn)) == split:
            return drawn
    raise ConfigError(f"no problem of split {split!r} in {_MAX_DRAWS} draws")


def check_difficulty(difficulty: int) -> None:
    """Raise ConfigError for a difficulty outside 1 to 5."""
    if difficulty not in DIFFICULTIES:
        raise ConfigError(f"difficulty must be 1 to 5, got {difficulty!r}")


def split_of(text: str) -> Split:
    """Return the split that a problem belongs to, from the digest of its text."""
    digest = hashlib.sha256(text.encode()).digest()
    return "test" if digest[0] % _TEST_SHARE == 0 else "train"


def mini_task(
    kind: Kind, seed: int, index: int, difficulty: int = 1, *, split: Split = "test"
) -> Task:
    """Generate one task.

    Args:
        kind: "arithmetic", "modular", "number_theory" (integer answers) or "choice".
        seed: names a sequence of tasks.
        index: position in that sequence, from 0.
        difficulty: 1 (easy) to 5; it sets the size of the numbers and the number of steps, and
            for "choice" also the number of options (4 to 8).
        split: "train" or "test"; no problem is in both.

    Raises:
        ConfigError: an unknown kind or split, or a difficulty outside 1 to 5.
    """
    if kind not in _GENERATORS:
        raise UnknownNameError.near("kind of mini task", kind, KINDS)
    check_difficulty(difficulty)
    rng = random.Random(f"{kind}/{difficulty}/{split}/{seed}/{index}")  # strings seed by SHA-512
    problem = draw_in_split(
        lambda: _GENERATORS[kind](rng, difficulty), lambda drawn: drawn.text, split
    )
    metadata: dict[str, Any] = {
        "source": "generated", "licence": "CC0-1.0", "kind": kind, "difficulty": difficulty,
        "split": split, "problem": problem.text, "work": problem.work,
    }  # fmt: skip
    task_id = f"{kind}-{difficulty}-{split}-{seed}-{index}"
    if kind == "choice":
        return _choice_task(task_id, problem, rng, 3 + difficulty, metadata)
    messages: tuple[Message, ...] = (
        {"role": "user", "content": MATH_BOXED.format(problem=problem.text)},
    )
    return Task(task_id, messages, reference=str(problem.answer), metadata=metadata)


arithmetic_task = partial(mini_task, "arithmetic")
modular_task = partial(mini_task, "modular")
number_theory_task = partial(mini_task, "number_theory")
choice_task = partial(mini_task, "choice")


def _choice_task(
    task_id: str, problem: _Problem, rng: random.Random, size: int, metadata: dict[str, Any]
) -> Task:
    """Turn a problem into a question with `size` lettered options, one of them right."""
    options = {problem.answer}
    while len(options) < size:
        options.add(max(0, problem.answer + rng.choice([-10, -3, -2, -1, 1, 2, 3, 10])
                        + rng.randint(-size, size)))  # fmt: skip
    shuffled = sorted(options)
    rng.shuffle(shuffled)
    texts = [str(option) for option in shuffled]
    letter = _LETTERS[shuffled.index(problem.answer)]
    messages: tuple[Message, ...] = (
        {"role": "user", "content": choice_boxed(problem.text, texts)},
    )
    return Task(task_id, messages, reference={"answer": letter, "options": texts},
                metadata=metadata)  # fmt: skip


def solution(task: Task) -> str:
    r"""Return a correct response to a mini task: short reasoning, then the boxed answer.

    The form is that of a thinking model: ``<think>\n…\n</think>\n…\boxed{…}``.
    """
    reference = task.reference
    answer = reference["answer"] if isinstance(reference, dict) else reference
    work = str(task.metadata["work"])
    if task.metadata["kind"] == "choice":
        right = reference["options"][_LETTERS.index(answer)]
        work = f"{work}, {right} is {answer}"
    return f"<think>\n{work}\n</think>\n\\boxed{{{answer}}}"
