"""Mini tasks of tool calling: two to six declared functions, one or two calls.

The functions stand in the prompt as signatures and the answer is a call in Python syntax, which
keeps both within reach of a toy model. A task is a pure function of ``(difficulty, split, seed,
index)``; splits share no request.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Task

__all__ = ["mini_task"]

_NAMES = ("Ann", "Bob", "Cem", "Dia", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon")
_ROOMS = ("hall", "attic", "study", "porch", "cellar")


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    parameters: tuple[tuple[str, str], ...]
    """Name and JSON type, all required."""
    draw: Callable[[random.Random], tuple[str, dict[str, Any]]]
    """Returns a request in words, and the arguments that answer it."""

    def declaration(self) -> dict[str, Any]:
        """The function in OpenAI's form."""
        properties = {name: {"type": kind} for name, kind in self.parameters}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        return {"type": "function", "function": {"name": self.name, "parameters": schema}}

    def signature(self) -> str:
        """The function as the prompt shows it."""
        return f"{self.name}({', '.join(f'{name}: {kind}' for name, kind in self.parameters)})"


def _add(rng: random.Random) -> tuple[str, dict[str, Any]]:
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    return f"add {a} and {b}", {"a": a, "b": b}


def _timer(rng: random.Random) -> tuple[str, dict[str, Any]]:
    minutes = rng.randint(1, 90)
    return f"set a timer of {minutes} minutes", {"minutes": minutes}


def _light(rng: random.Random) -> tuple[str, dict[str, Any]]:
    room, on = rng.choice(_ROOMS), rng.random() < 0.5
    return f"turn the {room} light {'on' if on else 'off'}", {"room": room, "on": on}


def _call(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name = rng.choice(_NAMES)
    return f"call {name}", {"name": name}


def _pay(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name, amount = rng.choice(_NAMES), rng.randint(1, 99) + rng.choice((0.25, 0.5, 0.75))
    return f"pay {name} {amount} euros", {"name": name, "amount": amount}


def _roll(rng: random.Random) -> tuple[str, dict[str, Any]]:
    sides, times = rng.choice((4, 6, 8, 12, 20)), rng.randint(1, 9)
    return f"roll {times} dice of {sides} sides", {"sides": sides, "times": times}


_FUNCTIONS = (
    _Function("add", (("a", "integer"), ("b", "integer")), _add),
    _Function("timer", (("minutes", "integer"),), _timer),
    _Function("light", (("room", "string"), ("on", "boolean")), _light),
    _Function("call", (("name", "string"),), _call),
    _Function("pay", (("name", "string"), ("amount", "number")), _pay),
    _Function("roll", (("sides", "integer"), ("times", "integer")), _roll),
)


@dataclass(frozen=True, slots=True)
class _Draft:
    request: str
    calls: tuple[dict[str, Any], ...]
    offered: tuple[_Function, ...]


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    """Offer `difficulty` + 1 functions; two requests from difficulty 4 on."""
    offered = rng.sample(_FUNCTIONS, difficulty + 1)
    used = rng.sample(offered, 2 if difficulty >= 4 else 1)
    drawn = [(function.name, *function.draw(rng)) for function in used]
    calls = tuple({"name": name, "arguments": arguments} for name, _, arguments in drawn)
    return _Draft(" and ".join(text for _, text, _ in drawn), calls, tuple(offered))


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"tool_calling/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), lambda drawn: drawn.request, split)
    signatures = "; ".join(function.signature() for function in draft.offered)
    content = f"Functions: {signatures}\nAnswer with calls such as [f(x=1)]: {draft.request}."
    message: Message = {"role": "user", "content": content}
    reference = {
        "calls": list(draft.calls),
        "tools": [function.declaration() for function in draft.offered],
    }
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "tool_calling", "split": split,
        "difficulty": difficulty, "problem": draft.request,
    }  # fmt: skip
    task_id = f"tool_calling-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), reference, metadata=metadata)
