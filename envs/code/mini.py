r"""Mini code tasks: write a one-line function from five examples of what it returns.

Made for a toy model: the prompt is short, a right answer takes at most 60 characters, and every
function is the only one of its kind that fits the examples. The hidden tests use other arguments.
As in `cascade.envs.mini`, a task is a pure function of ``(difficulty, split, seed, index)``, and a
problem belongs to a split by the digest of its text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from cascade.envs.mini import DIFFICULTIES, Split, split_of
from cascade.errors import ConfigError
from cascade.types import Message, Task

__all__ = ["mini_task", "solution"]

SHOWN = (0, 1, 2, 3, 10)
HIDDEN = (4, 7, 12, 19, -1, -6)
PROMPT = "Write f(x) in Python, in one line.\n{examples}"
_MAX_DRAWS = 10_000

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Form:
    """A kind of function with numbers to fill in."""

    text: str
    """A `str.format` template of the expression."""
    value: Callable[[int, Numbers], int]
    draw: Callable[[random.Random], Numbers]
    """Numbers that make another function than any other numbers would."""


def _signed(number: int) -> str:
    return f"+{number}" if number >= 0 else str(number)


def _piecewise(x: int, n: Numbers) -> int:
    return n[0] * x + n[1] if x % 2 else n[2] * x + n[3]


@cache
def _remainders() -> tuple[Numbers, ...]:
    """Numbers (a, b, m) for which no others give the same values on the shown arguments."""
    found: dict[Numbers, list[Numbers]] = {}
    for m in range(5, 16):
        for a in range(2, m):
            for b in range(m):
                values = tuple((a * x + b) % m for x in SHOWN)
                found.setdefault(values, []).append((a, b, m))
    return tuple(numbers[0] for numbers in found.values() if len(numbers) == 1)


_FORMS: Mapping[int, _Form] = {
    1: _Form("x{0}", lambda x, n: x + n[0], lambda r: (r.randint(-200, 200),)),
    2: _Form(
        "{0:d}*x{1}",
        lambda x, n: n[0] * x + n[1],
        lambda r: (r.randint(2, 12), r.randint(-50, 50)),
    ),
    3: _Form(
        "x*x{0}*x{1}",
        lambda x, n: x * x + n[0] * x + n[1],
        lambda r: (r.choice([-5, -4, -3, -2, 2, 3, 4, 5]), r.randint(-30, 30)),
    ),
    4: _Form(
        "({0:d}*x{1})%{2:d}",
        lambda x, n: (n[0] * x + n[1]) % n[2],
        lambda r: r.choice(_remainders()),
    ),
    5: _Form(
        "{0:d}*x{1} if x%2 else {2:d}*x{3}",
        _piecewise,
        lambda r: (r.randint(2, 9), r.randint(-20, 20), r.randint(2, 9), r.randint(-20, 20)),
    ),
}


def _expression(form: _Form, numbers: Numbers) -> str:
    """Fill in the numbers: as they are where the template says `:d`, else with their sign."""
    signed = [_Signed(number) for number in numbers]
    return form.text.format(*signed)


class _Signed:
    """A number that is formatted with its sign, or plain by the format `d`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __format__(self, spec: str) -> str:
        return str(self.number) if spec == "d" else _signed(self.number)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Args:
        seed: names a sequence of tasks.
        index: position in that sequence, from 0.
        difficulty: 1 (x+b), 2 (a*x+b), 3 (quadratic), 4 (remainder), 5 (even and odd differ).
        split: "train" or "test"; no problem is in both.

    Raises:
        ConfigError: an unknown split, or a difficulty outside 1 to 5.
    """
    if difficulty not in DIFFICULTIES:
        raise ConfigError(f"difficulty must be 1 to 5, got {difficulty!r}")
    if split not in ("train", "test"):
        raise ConfigError(f"split must be 'train' or 'test', got {split!r}")
    rng = random.Random(f"code/{difficulty}/{split}/{seed}/{index}")
    form = _FORMS[difficulty]
    for _ in range(_MAX_DRAWS):
        numbers = form.draw(rng)
        text = PROMPT.format(
            examples="\n".join(f"f({x}) = {form.value(x, numbers)}" for x in SHOWN)
        )
        if split_of(text) == split:
            break
    else:  # pragma: no cover - the splits would have to be empty
        raise ConfigError(f"no {split} problem of difficulty {difficulty}")
    arguments = (*SHOWN, *HIDDEN)
    reference = {
        "input_output": {
            "fn_name": "f",
            "inputs": [[x] for x in arguments],
            "outputs": [form.value(x, numbers) for x in arguments],
            "num_public": len(SHOWN),
        },
        "solutions": [f"def f(x): return {_expression(form, numbers)}"],
    }
    message: Message = {"role": "user", "content": text}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "code", "difficulty": difficulty,
        "split": split, "problem": text,
    }  # fmt: skip
    return Task(
        f"code-{difficulty}-{split}-{seed}-{index}", (message,), reference, metadata=metadata
    )


def solution(task: Task) -> str:
    """Return a correct response to a mini code task, in the form of a thinking model."""
    reference = task.reference
    values = reference["input_output"]["outputs"]
    first, second = values[:2]
    work = f"f(0)={first}, f(1)-f(0)={second - first}"
    return f"<think>\n{work}\n</think>\n```python\n{reference['solutions'][0]}\n```"
