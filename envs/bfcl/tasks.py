"""The published multi-turn rows: requests, expected calls and declarations of a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.envs.rows import Row, digest_of_rows
from cascade.envs.tasksets import Provenance, TaskSet, TaskSource
from cascade.envs.tool_calling.bfcl import openai_tools, read_lines
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Task
from cascade.verifiers import tools

__all__ = ["BfclMultiTurnSource", "multi_turn_task"]

_DECLARED = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
"""Service -> its file of declarations below ``multi_turn_func_doc``."""


def multi_turn_task(
    question: Row, answer: Row, declared: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Task:
    """Read one row with its answer.

    Args:
        question: `question` (a list of messages for each request), `initial_config`,
            `involved_classes`, `excluded_function`, `missed_function`.
        answer: `ground_truth`, for each request the expected calls in Python syntax.
        declared: service -> its functions, in BFCL's form.

    Raises:
        DataError: a field is missing, or an expected call cannot be read.
    """
    for field in ("id", "question", "involved_classes"):
        if field not in question:
            raise DataError(f"field {field!r} is missing")
    turns, gold = question["question"], answer["ground_truth"]
    if len(turns) != len(gold):
        raise DataError(f"{len(turns)} requests, but {len(gold)} lists of expected calls")
    functions = [f for name in question["involved_classes"] for f in declared[name]]
    excluded = set(question.get("excluded_function") or ())
    late = question.get("missed_function") or {}
    held = {name for names in late.values() for name in names}
    every = openai_tools(functions)
    reference = {
        "services": list(question["involved_classes"]),
        "config": question.get("initial_config") or {},
        "turns": [list(messages) for messages in turns],
        "expected": [_calls(calls, every) for calls in gold],
        "held_back": {
            turn: [tool for tool in every if tool["function"]["name"] in names]
            for turn, names in late.items()
        },
        "long_context": "long_context" in str(question["id"]),
    }
    offered = tuple(t for t in every if t["function"]["name"] not in excluded | held)
    return Task(str(question["id"]), (), reference, offered, {"category": _category(question)})


def _category(question: Row) -> str:
    return str(question["id"]).rpartition("_")[0]


def _calls(texts: Sequence[str], declared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for text in texts:
        parsed = tools.parse_calls(f"[{text}]", "python", declared)
        if parsed.malformed or len(parsed.calls) != 1:
            raise DataError(f"the expected call {text[:80]!r} cannot be read")
        call = parsed.calls[0]
        found.append({"name": call.name, "arguments": dict(call.arguments)})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class BfclMultiTurnSource(TaskSource):
    """One multi-turn category, from the folder ``bfcl_eval/data``, called ``bfcl`` here."""

    category: str

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Load it.

        Raises:
            DataNotFoundError: it is not there.
            DataError: a row that cannot be read.
        """
        if data_dir is None or not (data_dir / "bfcl").is_dir():
            raise DataNotFoundError(
                f"BFCL's category {self.category!r} is not on this machine: put the folder "
                f"bfcl_eval/data of ShishirPatil/gorilla into the data folder as 'bfcl' "
                f"(looked at: {data_dir})"
            )
        folder, name = data_dir / "bfcl", f"BFCL_v4_{self.category}.json"
        questions = read_lines(folder / name)
        answers = {row["id"]: row for row in read_lines(folder / "possible_answer" / name)}
        needed = {service for row in questions for service in row["involved_classes"]}
        declared = {
            service: read_lines(folder / "multi_turn_func_doc" / f"{_DECLARED[service]}.json")
            for service in needed
        }
        tasks = []
        for row in questions:
            try:
                tasks.append(multi_turn_task(row, answers[row["id"]], declared))
            except (DataError, KeyError) as error:
                raise DataError(f"{folder / name}, row {row.get('id')!r}: {error}") from error
        rows = [*questions, *answers.values()]
        provenance = Provenance(str(folder), digest_of_rows(rows), len(tasks), self.licence)
        return TaskSet(self.name, tuple(tasks), provenance)
