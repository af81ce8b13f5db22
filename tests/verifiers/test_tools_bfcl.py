"""BFCL's gold answers, as predictions and mutated, on the 1,240 published rows."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import DataError
from cascade.types import VerdictStatus
from cascade.verifiers import tools
from cascade.verifiers.tools import Call, CallFormat

CATEGORIES = ("simple", "multiple_function", "parallel_function", "parallel_multiple_function")

UNSATISFIABLE = {
    "simple_363": "the gold function `find_closest` is not declared",
    "parallel_multiple_function_179": "a list stands where a call's arguments should",
}
"""Rows whose gold answer no prediction could satisfy: an error, not a zero."""

UNTYPED_IN_XML = {
    "simple_307": "gold true for a parameter declared string",
    "parallel_function_102": "gold 0.85 for a parameter declared integer",
    "parallel_multiple_function_3": 'gold "0.1" for a parameter declared float',
}
"""XML values have no type of their own: the declared one, here wrong, decides."""

BOTH_ACCEPTABLE = {
    "simple_56", "simple_144", "simple_240", "simple_297", "simple_326", "multiple_function_14",
    "parallel_function_155", "parallel_multiple_function_20",
}  # fmt: skip
"""Rows with a boolean for which both values are acceptable, so that the changed one is too."""


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        return [json.loads(line) for line in text]


def references(data_dir: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    base = data_dir / "bfcl_v1_2024-08-11"
    for category in CATEGORIES:
        questions = {row["id"]: row for row in lines(base / f"questions/{category}.jsonl.gz")}
        for answer in lines(base / f"possible_answer/{category}.jsonl.gz"):
            yield answer["id"], tools.bfcl_reference(questions[answer["id"]], answer)


@pytest.mark.parametrize("format", ["python", "openai", "hermes", "nemotron", "llama", "mistral"])
def test_gold_answers_pass_in_every_format(data_dir: Path, format: CallFormat) -> None:
    """At least 99.5 % of 1,000 rows; the exceptions are known by name."""
    failed = set()
    for row, reference in references(data_dir):
        try:
            gold = tools.gold_calls(reference)
        except DataError:
            failed.add(row)
            continue
        text = tools.render_calls(gold, format)
        if tools.verify(text, reference, format=format).reward != 1:
            failed.add(row)
    assert failed == UNSATISFIABLE.keys() | (UNTYPED_IN_XML if format == "nemotron" else {}).keys()
    assert len(failed) <= 5


def other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 7919
    if isinstance(value, list):
        return [*value, other_value(value[0]) if value else "zebra"]
    return f"{value} zebra" if isinstance(value, str) else {**value, "zebra": 1}


def other_type(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    return str(value) if isinstance(value, (int, float)) else json.dumps(value)


def mutations(gold: tuple[Call, ...]) -> Iterator[tuple[str, list[Call]]]:
    for index, call in enumerate(gold):

        def replaced(new: Call, at: int = index) -> list[Call]:
            return [*gold[:at], new, *gold[at + 1 :]]

        yield "name", replaced(Call(call.name + "_x", call.arguments))
        for key, value in call.arguments.items():
            rest = dict(call.arguments)
            yield "value", replaced(Call(call.name, {**rest, key: other_value(value)}))
            yield "type", replaced(Call(call.name, {**rest, key: other_type(value)}))
    yield "count", list(gold[:-1])
    yield "count", [*gold, gold[0]]


def test_mutated_gold_answers_fail(data_dir: Path) -> None:
    """By name, value, type and number of calls: at least 99.5 % of each fail."""
    made: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    rows_passed = set()
    for row, reference in references(data_dir):
        if row in UNSATISFIABLE:
            continue
        for kind, calls in mutations(tools.gold_calls(reference)):
            made[kind] += 1
            if tools.verify(tools.message_of(calls, "x"), reference).reward > 0:
                passed[kind] += 1
                rows_passed.add(row)
    assert made["name"] > 1_700
    assert made["value"] == made["type"] > 4_700
    assert made["count"] == 2 * 998
    assert rows_passed == BOTH_ACCEPTABLE
    assert set(passed) == {"value"}
    assert passed["value"] <= 0.005 * made["value"]


def test_an_irrelevant_question_wants_no_call_and_no_attempt(data_dir: Path) -> None:
    for row in lines(data_dir / "bfcl_v1_2024-08-11/questions/relevance.jsonl.gz"):
        reference = tools.bfcl_reference(row, None)
        name = row["function"]["name"]
        assert tools.verify("None of my tools can do that.", reference).reward == 1
        called = tools.verify(tools.message_of([Call(name, {})]), reference)
        assert called.status is VerdictStatus.WRONG
        for broken in (f"{name}(a=1", f"[{name}(a=", f'{{"name": "{name}", "arguments": {{',
                       f"<tool_call>\n<function={name}>", f"[TOOL_CALLS]{name}"):  # fmt: skip
            verdict = tools.verify(broken, reference)
            assert verdict.reason.startswith("malformed call"), (broken, verdict)
