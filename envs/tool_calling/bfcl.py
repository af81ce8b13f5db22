"""The single-turn questions of the Berkeley Function-Calling Leaderboard as tasks.

A category is two files, questions and possible answers, with the same ids. They are read in the
layout of August 2024 and in that of bfcl-eval (version 4, whose ``.json`` files hold JSON lines).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.envs.rows import Row, digest_of_rows
from cascade.envs.tasksets import Provenance, TaskSet, TaskSource
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Message, Task
from cascade.verifiers import tools

__all__ = ["BfclSource", "bfcl_task", "openai_tools", "read_lines"]

_OLD = "bfcl_v1_2024-08-11"
_NEW = "bfcl"
_CATEGORIES = {
    "simple": (("simple", "simple_python"), "python"),
    "multiple": (("multiple_function", "multiple"), "python"),
    "parallel": (("parallel_function", "parallel"), "python"),
    "parallel_multiple": (("parallel_multiple_function", "parallel_multiple"), "python"),
    "irrelevance": (("relevance", "irrelevance"), "python"),
    "java": (("", "simple_java"), "java"),
    "javascript": (("", "simple_javascript"), "javascript"),
}
"""Category -> its files' names in the old and the new layout, and its language."""
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None, "Integer": "integer",
          "String": "string", "Boolean": "boolean", "Array": "array", "ArrayList": "array",
          "HashMap": "object", "Hashtable": "object", "long": "integer", "double": "number",
          "byte": "integer", "short": "integer", "char": "string", "Long": "integer",
          "Bigint": "integer", "Float": "number", "Double": "number", "Any": None}  # fmt: skip
"""BFCL's names of types -> JSON Schema's; None: any value."""


def openai_tools(functions: Any) -> tuple[dict[str, Any], ...]:
    """Return BFCL's functions in OpenAI's form: types of JSON Schema, names without dots."""
    listed = [functions] if isinstance(functions, Mapping) else functions
    return tuple(
        {
            "type": "function",
            "function": {
                "name": function["name"].replace(".", "_"),
                "description": function.get("description", ""),
                "parameters": _schema(function.get("parameters") or {"type": "object"}),
            },
        }
        for function in listed
    )


def _schema(given: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(given)
    if isinstance(made.get("type"), str):
        kind = _TYPES.get(made["type"], made["type"])
        made.pop("type")
        if kind is not None:
            made["type"] = kind
    if isinstance(made.get("properties"), Mapping):
        made["properties"] = {name: _schema(part) for name, part in made["properties"].items()}
    if isinstance(made.get("items"), Mapping):
        made["items"] = _schema(made["items"])
    return made


def bfcl_task(question: Row, answer: Row | None, category: str) -> Task:
    """Read one question with its answer; none for the category irrelevance.

    Raises:
        DataError: a field is missing, or no response could satisfy the answer.
    """
    for field in ("id", "question", "function"):
        if field not in question:
            raise DataError(f"field {field!r} is missing")
    language: Any = _CATEGORIES[category][1]
    reference = tools.bfcl_reference(question, answer, language)
    if answer is not None:
        tools.gold_calls(reference)
    return Task(
        str(question["id"]),
        _messages(question["question"]),
        reference,
        openai_tools(question["function"]),
        {"category": category},
    )


def _messages(asked: Any) -> tuple[Message, ...]:
    if isinstance(asked, str):
        return ({"role": "user", "content": asked},)
    turns = asked[0] if asked and isinstance(asked[0], list) else asked
    return tuple({"role": turn["role"], "content": turn["content"]} for turn in turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class BfclSource(TaskSource):
    """Several categories as one set; rows that no response could satisfy are left out.

    Looked for below the data folder: ``bfcl_v1_2024-08-11/questions/NAME.jsonl.gz`` with
    ``possible_answer`` beside it, and ``bfcl/BFCL_v4_NAME.json`` with ``bfcl/possible_answer`` (the
    folder ``bfcl_eval/data``).
    """

    categories: tuple[str, ...]

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Load every category.

        Raises:
            DataNotFoundError: one of them is in neither place.
            DataError: a row that cannot be read, or another number of tasks than the set has.
        """
        tasks: list[Task] = []
        rows: list[Row] = []
        for category in self.categories:
            questions, answers = _read_category(category, data_dir)
            rows += [*questions, *answers]
            by_id = {row["id"]: row for row in answers}
            for question in questions:
                answer = by_id.get(question.get("id"))
                if answer is None and category != "irrelevance":
                    raise DataError(f"{category}: no answer to question {question.get('id')!r}")
                try:
                    tasks.append(bfcl_task(question, answer, category))
                except DataError:
                    continue
        if self.size is not None and len(tasks) != self.size:
            raise DataError(f"{self.name} has {self.size} tasks that can be judged, "
                            f"{len(tasks)} were found")  # fmt: skip
        provenance = Provenance(str(data_dir), digest_of_rows(rows), len(tasks), self.licence)
        return TaskSet(self.name, tuple(tasks), provenance)


def _read_category(category: str, data_dir: Path | None) -> tuple[Sequence[Row], Sequence[Row]]:
    names, _ = _CATEGORIES[category]
    if data_dir is None:
        raise DataNotFoundError("BFCL is read from a data folder, and none was given: --data-dir")
    old, new = data_dir / _OLD, data_dir / _NEW
    places = [
        (old / f"questions/{names[0]}.jsonl.gz", old / f"possible_answer/{names[0]}.jsonl.gz"),
        (new / f"BFCL_v4_{names[1]}.json", new / f"possible_answer/BFCL_v4_{names[1]}.json"),
    ]
    for questions, answers in places:
        if questions.is_file():
            found = () if category == "irrelevance" else read_lines(answers)
            return read_lines(questions), found
    looked = "; ".join(str(questions) for questions, _ in places)
    raise DataNotFoundError(
        f"BFCL's category {category!r} is not on this machine (looked at: {looked}). Put the "
        f"folder bfcl_eval/data of ShishirPatil/gorilla into the data folder as {_NEW!r}"
    )


def read_lines(path: Path) -> list[Row]:
    """Read JSON lines, whatever the file's name ends in.

    Raises:
        DataNotFoundError, DataError: there is no such file, or a line is no JSON.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {str(path)!r}")
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error})") from error
    return rows
