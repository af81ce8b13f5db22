"""Mini tasks of structured output: small schemas, answers of a few characters.

A prompt shows the properties of an object and the format, and the answer is the bare document. Both
are short enough for a toy model that reads characters: see `MAX_PROMPT` and `MAX_ANSWER`. A task is
a pure function of ``(difficulty, split, seed, index)``; splits share no schema.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Task
from cascade.verifiers import schema
from cascade.verifiers.schema.extraction import Format

__all__ = ["MAX_ANSWER", "MAX_PROMPT", "mini_task"]

MAX_PROMPT = 128
"""Characters of the user's message; a chat template adds some 20 tokens."""
MAX_ANSWER = 56
"""Characters of the shown solution."""

_FORMATS: dict[int, tuple[Format, ...]] = {
    1: ("json",),
    2: ("json", "yaml"),
    3: ("json", "yaml", "toml"),
    4: ("json", "yaml", "toml", "xml"),
    5: ("json", "yaml", "toml", "xml", "csv"),
}
_NAMES = (
    "age", "id", "size", "pet", "ok", "rank", "tag", "sum", "win", "day", "kind", "hue", "cost",
    "hour", "page", "unit", "year", "wet", "big", "seat",
)  # fmt: skip
_PETS = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")


@dataclass(frozen=True, slots=True)
class _Draft:
    format: Format
    properties: dict[str, Any]
    document: str

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.properties),
            "additionalProperties": False,
        }

    @property
    def prompt(self) -> str:
        shown = json.dumps(self.properties, separators=(",", ":"))
        return f"Write {self.format.upper()} with these properties: {shown}"


def _whole(rng: random.Random, difficulty: int) -> dict[str, Any]:
    if difficulty < 3:
        return {"type": "integer"}
    least = rng.randint(2, 60)
    return {"type": "integer", "minimum": least, "maximum": least + rng.randint(3, 30)}


def _value(rng: random.Random, difficulty: int) -> dict[str, Any]:
    kind = rng.choice(("whole", "truth", "pet"))
    if kind == "whole":
        return _whole(rng, difficulty)
    if kind == "truth":
        return {"type": "boolean"}
    return {"enum": rng.sample(_PETS, 2)}


def _nested(rng: random.Random, difficulty: int) -> dict[str, Any]:
    """A list of numbers, or from difficulty 5 on also an object in the object."""
    if difficulty == 5 and rng.random() < 0.5:
        return {"type": "object", "properties": {rng.choice(_NAMES): {"type": "integer"}}}
    return {"type": "array", "items": {"type": "integer"}, "minItems": rng.randint(1, 3)}


def _filled(rng: random.Random, wanted: dict[str, Any]) -> Any:
    """A value that satisfies the property `wanted`."""
    if "enum" in wanted:
        return rng.choice(wanted["enum"])
    if wanted["type"] == "boolean":
        return rng.random() < 0.5
    if wanted["type"] == "array":
        return [rng.randint(1, 9) for _ in range(wanted["minItems"])]
    if wanted["type"] == "object":
        return {name: _filled(rng, inner) for name, inner in wanted["properties"].items()}
    return rng.randint(wanted.get("minimum", 1), wanted.get("maximum", 99))


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    """Draw until prompt and answer are short."""
    while True:
        format = rng.choice(_FORMATS[difficulty])
        names = rng.sample(_NAMES, 1 if difficulty == 1 else 2)
        properties = {name: _value(rng, difficulty) for name in names}
        if difficulty >= 4 and format != "csv":
            properties[rng.choice(names)] = _nested(rng, difficulty)
        data = {name: _filled(rng, wanted) for name, wanted in properties.items()}
        table = [data] if format == "csv" else data
        document = schema.render(table, format, root="r").strip()
        draft = _Draft(format, properties, document)
        if len(draft.prompt) <= MAX_PROMPT and len(document) <= MAX_ANSWER:
            return draft


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task; its metadata hold a solution.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"structured_output/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), lambda drawn: drawn.prompt, split)
    message: Message = {"role": "user", "content": draft.prompt}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "structured_output", "split": split,
        "difficulty": difficulty, "problem": draft.prompt, "solution": draft.document,
    }  # fmt: skip
    task_id = f"structured_output-{difficulty}-{split}-{seed}-{index}"
    reference = {"schema": draft.schema, "format": draft.format}
    return Task(task_id, (message,), reference, metadata=metadata)
