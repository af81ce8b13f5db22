"""Published rollouts of NeMo-Gym's tool environments: their calls, and their rewards."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from cascade.verifiers import tools


def rows(data_dir: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(data_dir / f"nemo_gym_rollouts/{name}.jsonl.gz", "rt", encoding="utf-8") as text:
        return [json.loads(line) for line in text]


def test_the_next_step_is_judged_as_published(data_dir: Path) -> None:
    """Message expected and given, call expected and given, call expected and not given."""
    found, published = [], []
    for row in rows(data_dir, "single_step_tool_use_with_argument_comparison"):
        reference = {
            "expected_action": row["expected_action"],
            "tools": row["responses_create_params"]["tools"],
        }
        found.append(tools.verify(row["response"]["output"], reference).reward)
        published.append(row["reward"])
    assert found == published == [1, 1, 0, 1, 0]


def test_the_calls_of_xlam_rows_are_read_as_published(data_dir: Path) -> None:
    """The rows do not keep the expected calls, only how many were right."""
    for row in rows(data_dir, "xlam_fc"):
        declared = row["responses_create_params"]["tools"]
        parsed = tools.parse_calls(row["response"]["output"], tools=declared)
        found = [{"name": call.name, "arguments": dict(call.arguments)} for call in parsed.calls]
        assert found == row["predicted_calls"]
        assert len(found) == row["num_predicted"]
        if row["reward"] == 1:
            # All were right, so they are the expected ones, up to arguments the check ignored.
            reference = {"expected_answers": found, "tools": declared}
            assert tools.verify(row["response"]["output"], reference).reward == 1


def test_the_calls_of_workplace_rows_are_calls_of_declared_tools(data_dir: Path) -> None:
    """Their rewards compare the states of five data bases that the rows do not hold."""
    for row in rows(data_dir, "workplace_assistant"):
        declared = row["responses_create_params"]["tools"]
        parsed = tools.parse_calls(row["response"]["output"], tools=declared)
        made = [item for item in row["response"]["output"] if item["type"] == "function_call"]
        assert len(parsed.calls) == len(made)
        assert not parsed.malformed
