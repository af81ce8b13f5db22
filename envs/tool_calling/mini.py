"""Mini tasks of tool calling: two to four declared functions, one or two calls.

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
from cascade.verifiers import tools

__all__ = ["MAX_ANSWER", "MAX_PROMPT", "mini_task"]

MAX_PROMPT = 128
"""Characters of the user's message; a chat template adds some 20 tokens."""
MAX_ANSWER = 56
"""Characters of the gold calls."""

_NAMES = ("Ann", "Bob", "Cem", "Dia", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon")
_ROOMS = ("hall", "attic", "study", "porch", "cellar")
_PYTHON = {"integer": "int", "string": "str", "boolean": "bool", "number": "float"}
_SIZES = {1: (2, 1), 2: (3, 1), 3: (4, 1), 4: (3, 2), 5: (4, 2)}
"""Difficulty -> functions on offer, calls wanted."""


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
        shown = ", ".join(f"{name}: {_PYTHON[kind]}" for name, kind in self.parameters)
        return f"{self.name}({shown})"


def _add(rng: random.Random) -> tuple[str, dict[str, Any]]:
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    return f"add {a} and {b}", {"a": a, "b": b}


def _timer(rng: random.Random) -> tuple[str, dict[str, Any]]:
    minutes = rng.randint(1, 90)
    return f"time {minutes} minutes", {"min": minutes}


def _light(rng: random.Random) -> tuple[str, dict[str, Any]]:
    room, on = rng.choice(_ROOMS), rng.random() < 0.5
    return f"turn the {room} light {'on' if on else 'off'}", {"room": room, "on": on}


def _call(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name = rng.choice(_NAMES)
    return f"call {name}", {"name": name}


def _pay(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name, amount = rng.choice(_NAMES), rng.randint(1, 99) + rng.choice((0.25, 0.5, 0.75))
    return f"pay {name} {amount} euros", {"name": name, "sum": amount}


def _roll(rng: random.Random) -> tuple[str, dict[str, Any]]:
    sides, times = rng.choice((4, 6, 8, 12, 20)), rng.randint(1, 9)
    return f"roll {times} dice of {sides} sides", {"n": times, "sides": sides}


_FUNCTIONS = (
    _Function("add", (("a", "integer"), ("b", "integer")), _add),
    _Function("timer", (("min", "integer"),), _timer),
    _Function("light", (("room", "string"), ("on", "boolean")), _light),
    _Function("call", (("name", "string"),), _call),
    _Function("pay", (("name", "string"), ("sum", "number")), _pay),
    _Function("roll", (("n", "integer"), ("sides", "integer")), _roll),
)


@dataclass(frozen=True, slots=True)
class _Draft:
    request: str
    calls: tuple[tools.Call, ...]
    offered: tuple[_Function, ...]

    @property
    def prompt(self) -> str:
        signatures = "; ".join(function.signature() for function in self.offered)
        return f"{signatures}\nUse [f(x=1)]: {self.request}."

    @property
    def answer(self) -> str:
        return tools.render_calls(self.calls, "python")


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    """Draw until prompt and answer are short."""
    offers, wanted = _SIZES[difficulty]
    while True:
        offered = rng.sample(_FUNCTIONS, offers)
        drawn = [(f.name, *f.draw(rng)) for f in rng.sample(offered, wanted)]
        request = " and ".join(text for _, text, _ in drawn)
        calls = tuple(tools.Call(name, arguments) for name, _, arguments in drawn)
        draft = _Draft(request, calls, tuple(offered))
        if len(draft.prompt) <= MAX_PROMPT and len(draft.answer) <= MAX_ANSWER:
            return draft


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"tool_calling/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), lambda drawn: drawn.request, split)
    message: Message = {"role": "user", "content": draft.prompt}
    reference = {
        "calls": [{"name": c.name, "arguments": dict(c.arguments)} for c in draft.calls],
        "tools": [function.declaration() for function in draft.offered],
    }
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "tool_calling", "split": split,
        "difficulty": difficulty, "problem": draft.request, "solution": draft.answer,
    }  # fmt: skip
    task_id = f"tool_calling-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), reference, metadata=metadata)
