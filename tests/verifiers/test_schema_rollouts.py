"""Published rollouts of NeMo-Gym's structured-output environment come out as published."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from cascade.verifiers import schema
from cascade.verifiers.schema import SchemaVerifier


def rows(data_dir: Path) -> list[dict[str, Any]]:
    path = data_dir / "nemo_gym_rollouts" / "structured_outputs.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def schema_of(row: dict[str, Any]) -> dict[str, Any]:
    """The largest JSON object in the prompt: the rows keep their schema only there."""
    best: tuple[int, dict[str, Any]] = (0, {})
    for message in row["responses_create_params"]["input"]:
        text = message["content"]
        at = text.find("{")
        while at >= 0:
            try:
                found, end = json.JSONDecoder().raw_decode(text, at)
            except ValueError:
                end = at + 1
            else:
                best = max(best, (end - at, found), key=lambda pair: pair[0])
            at = text.find("{", end)
    # Four of the five prompts show the properties alone.
    made = best[1]
    return made if "type" in made else {"type": "object", "properties": made}


def text_of(row: dict[str, Any]) -> str:
    items = [item for item in row["response"]["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in items for part in item["content"])


def test_the_rewards_of_the_published_rows_come_out_under_the_published_rule(
    data_dir: Path,
) -> None:
    """The published verifier parses the whole answer: a fence around right JSON earns nothing."""
    found = [schema.PUBLISHED(text_of(r), {"schema": schema_of(r)}).reward for r in rows(data_dir)]
    assert found == [row["reward"] for row in rows(data_dir)] == [0, 0, 1, 0, 0]


def test_without_their_fences_all_answers_satisfy_the_schema_as_written(data_dir: Path) -> None:
    """Under the strict form, two lack a property that the schema does not require."""
    strict = []
    for row in rows(data_dir):
        reference = {"schema": schema_of(row)}
        lenient = SchemaVerifier(strict=False, formats=False)
        assert lenient(text_of(row), reference).reward == 1
        assert lenient(text_of(row).replace(":", "=", 1), reference).reward == 0
        strict.append(SchemaVerifier(formats=False)(text_of(row), reference).reward)
    assert strict == [1, 1, 1, 0, 0]


def test_formats_are_conditions_unless_they_are_turned_off(data_dir: Path) -> None:
    """The last row writes 10:00 where its schema says format "time" (RFC 3339: with an offset)."""
    row = rows(data_dir)[4]
    verdict = schema.verify(text_of(row), {"schema": schema_of(row)}, strict=False)
    assert verdict.reason == "$.dates.openingHours[0].openTime: '10:00' is not a 'time'"
