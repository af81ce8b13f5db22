"""Reading rows of data: files in four formats, and the forms in which a row is a task.

A row that cannot be read is an error that names file, line and field; nothing is half-loaded.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.envs.prompts import MATH_BOXED
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Message, Task

__all__ = [
    "Beside",
    "Row",
    "digest_of_rows",
    "first_field",
    "read_rows",
    "task_of_nemo_gym_row",
    "task_of_row",
]

Row = Mapping[str, Any]

_QUESTION_FIELDS = ("problem", "question", "Problem", "Question", "prompt")
_ANSWER_FIELDS = ("answer", "expected_answer", "Answer", "gt", "reference")
_ID_FIELDS = ("id", "problem_idx", "question_id", "idx", "unique_id", "uuid", "ID", "task_id")


@dataclass(frozen=True, slots=True)
class Beside:
    """A file that belongs to a row: its name is part of the rows' digest, not where it lies."""

    path: Path

    def __str__(self) -> str:
        """Return the name; `digest_of_rows` takes it."""
        return self.path.name


def read_rows(path: Path) -> list[Row]:
    """Read all rows of a ``.jsonl``, ``.json``, ``.csv`` or ``.parquet`` file, or ``….gz`` of one.

    Raises:
        DataNotFoundError: there is no such file.
        DataError: an unknown format, or a line that is not a JSON object (file and line named).
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {str(path)!r}")
    suffixes = path.suffixes
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[-2:-1] if packed else suffixes[-1:]) or [""]
    if kind[0] == ".parquet" and not packed:
        import pyarrow.parquet

        rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    readers = {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_csv}
    if kind[0] not in readers:
        raise DataError(
            f"{path}: rows are read from .jsonl, .json, .csv (also .gz) or .parquet files"
        )
    try:
        raw = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        text = raw.decode("utf-8")
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path}: not a complete gzip file ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}") from error
    return readers[kind[0]](text, path)


def _read_jsonl(text: str, path: Path) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: a row must be an object, got {row!r:.80}")
        rows.append(row)
    return rows


def _read_json(text: str, path: Path) -> list[Row]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise DataError(f"{path}: a .json file of rows must be a list of objects")
    return value


def _read_csv(text: str, path: Path) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text))
    rows: list[Row] = []
    for row in reader:
        if None in row or None in row.values():
            fields = len(reader.fieldnames or ())
            raise DataError(
                f"{path}, line {reader.line_num}: the row does not have {fields} fields"
            )
        rows.append(row)
    return rows


def digest_of_rows(rows: Sequence[Row]) -> str:
    """SHA-256 of the rows as canonical JSON lines: the same for .jsonl, .gz and .parquet."""
    digest = hashlib.sha256()
    for row in rows:
        line = json.dumps(
            row, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str
        )
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def first_field(row: Row, names: Sequence[str], what: str) -> Any:
    """Return the first field of `names` that the row has and that is not None.

    Raises:
        DataError: it has none of them; the message lists them and what it has.
    """
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise DataError(
        f"no field for the {what} (one of {', '.join(names)}); the row has {', '.join(sorted(row))}"
    )


def task_of_row(row: Row, index: int) -> Task:
    """Read a row in any of the forms that need no declaration.

    A `Task` as JSON (`messages`, `reference`), a NeMo-Gym row (`responses_create_params`), or a
    question with an answer (`problem` or `question`, `answer`), which gets the boxed prompt.
    """
    if "responses_create_params" in row:
        return task_of_nemo_gym_row(row, index)
    task_id = str(next((row[name] for name in _ID_FIELDS if row.get(name) is not None), index))
    if "messages" in row:
        return Task(
            task_id,
            _messages(row["messages"]),
            row.get("reference", row.get("answer")),
            tuple(row.get("tools") or ()),
            dict(row.get("metadata") or {}),
        )
    question = first_field(row, _QUESTION_FIELDS, "question")
    answer = first_field(row, _ANSWER_FIELDS, "answer")
    if not isinstance(question, str):
        raise DataError(f"the question must be text, got {type(question).__name__}")
    content = MATH_BOXED.format(problem=question)
    known = {*_QUESTION_FIELDS, *_ANSWER_FIELDS, *_ID_FIELDS}
    metadata = {key: value for key, value in row.items() if key not in known}
    message: Message = {"role": "user", "content": content}
    return Task(task_id, (message,), answer, metadata={"problem": question, **metadata})


def task_of_nemo_gym_row(row: Row, index: int) -> Task:
    """Read a row of NeMo-Gym's JSONL form; what the verifier needs becomes the reference.

    Source of the form: NVIDIA-NeMo/Gym at 07d6b0d (the 73,809 released Cascade-2 RL rows use it).
    """
    params = row["responses_create_params"]
    if not isinstance(params, Mapping) or "input" not in params:
        raise DataError("field 'responses_create_params' must be an object with the field 'input'")
    given = params["input"]
    messages = _messages([{"role": "user", "content": given}] if isinstance(given, str) else given)
    about = ("uuid", "id", "agent_ref", "dataset", "pass_rate", "pass_rate_total",
             "pass_rate_passed", "license", "responses_create_params", "response",
             "reward")  # fmt: skip
    reference = {key: value for key, value in row.items() if key not in about}
    metadata = {key: row[key] for key in about[2:8] if key in row}
    task_id = str(row.get("uuid") or row.get("id") or index)
    return Task(task_id, messages, reference, tuple(params.get("tools") or ()), metadata)


def _messages(given: Any) -> tuple[Message, ...]:
    """Check and normalise messages; contents in parts (`input_text`, `text`) become one text."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise DataError("field 'messages' must be a list of at least one message")
    messages: list[Message] = []
    for position, message in enumerate(given):
        if not isinstance(message, Mapping) or "role" not in message:
            raise DataError(f"message {position} must be an object with the field 'role'")
        role = "system" if message["role"] == "developer" else message["role"]
        if role not in ("system", "user", "assistant", "tool"):
            raise DataError(f"message {position} has the unknown role {role!r}")
        content = message.get("content") or ""
        if not isinstance(content, str):
            content = "".join(str(part.get("text", "")) for part in content)
        kept: dict[str, Any] = {**message, "role": role, "content": content}
        kept.pop("type", None)
        messages.append(kept)  # type: ignore[arg-type]
    return tuple(messages)
