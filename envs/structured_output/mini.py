"""Mini tasks of structured output: small schemas, answers of a few characters.

A task is a pure function of ``(difficulty, split, seed, index)``; splits share no schema.
"""

from __future__ import annotations

import json
import random
from typing import Any

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Message, Task
from cascade.verifiers import schema
from cascade.verifiers.schema.extraction import Format

__all__ = ["mini_task"]

_FORMATS: dict[int, tuple[Format, ...]] = {
    1: ("json",),
    2: ("json", "yaml"),
    3: ("json", "yaml", "toml"),
    4: ("json", "yaml", "toml", "xml"),
    5: ("json", "yaml", "toml", "xml", "csv"),
}
_Draft = tuple[Format, dict[str, Any]]


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    format = rng.choice(_FORMATS[difficulty])
    return format, schema.generate_schema(rng, difficulty, format)


def _described(draft: _Draft) -> str:
    return f"{draft[0].upper()} {json.dumps(draft[1], separators=(',', ':'))}"


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task; its metadata hold a solution.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"structured_output/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), _described, split)
    format, wanted = draft
    document = schema.render(schema.generate_document(wanted, rng), format)
    compact = json.dumps(wanted, separators=(",", ":"))
    content = f"Write {format.upper()} for this JSON Schema, all properties: {compact}"
    message: Message = {"role": "user", "content": content}
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "structured_output", "split": split,
        "difficulty": difficulty, "problem": _described(draft),
        "solution": f"```{format}\n{document}\n```",
    }  # fmt: skip
    task_id = f"structured_output-{difficulty}-{split}-{seed}-{index}"
    return Task(task_id, (message,), {"schema": wanted, "format": format}, metadata=metadata)
