"""MMLU-Redux and LongBench v2.

Columns as their cards state them: seven of MMLU-Redux (question, choices, answer as a number,
error_type, source, correct_answer as text, potential_reason), thirteen of LongBench v2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade.envs.rows import Row, first_field
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError
from cascade.types import Message, Task
from cascade.verifiers.choice import format_prompt

__all__ = ["LONGBENCH_V2", "MMLU_REDUX"]

_LETTERS = "ABCD"


def _redux(row: Row, index: int) -> Task:
    """One question with the re-annotated answer.

    Where the annotators found a wrong label (`error_type` is `wrong_groundtruth`), their answer
    counts; questions with other errors keep their label and can be left out by
    ``--where error_type=ok``.
    """
    question = str(first_field(row, ("question",), "question"))
    options = [str(option) for option in first_field(row, ("choices", "options"), "choices")]
    error = str(row.get("error_type") or "ok")
    right = _index(first_field(row, ("answer",), "answer"), options)
    if error == "wrong_groundtruth" and row.get("correct_answer") not in (None, ""):
        right = _index(row["correct_answer"], options, right)
    metadata: dict[str, Any] = {"problem": question, "error_type": error}
    if row.get("subject") is not None:
        metadata["category"] = str(row["subject"])
    message: Message = {"role": "user", "content": format_prompt("boxed", question, options)}
    reference = {"answer": _LETTERS[right], "options": options}
    return Task(str(row.get("id", index)), (message,), reference, metadata=metadata)


def _index(given: Any, options: list[str], default: int | None = None) -> int:
    """Read an answer: a number from 0 (`int`), the text of an option, a letter, or a digit.

    The original labels are numbers, and an option may have one as its text; the annotators'
    corrections are text.
    """
    if len(options) > len(_LETTERS):
        raise DataError(f"a question has up to four options, got {len(options)}")
    if isinstance(given, int) and 0 <= given < len(options):
        return given
    text = str(given).strip()
    if text in options:
        return options.index(text)
    if text.isdigit() and int(text) < len(options):
        return int(text)
    if len(text) == 1 and text.upper() in _LETTERS[: len(options)]:
        return _LETTERS.index(text.upper())
    if default is not None:
        return default
    raise DataError(f"field 'answer' is {given!r}, which is none of the {len(options)} options")


def _longbench(row: Row, index: int) -> Task:
    """A long text with a question of four options."""
    question = str(first_field(row, ("question",), "question"))
    context = str(first_field(row, ("context",), "context"))
    options = [str(first_field(row, (f"choice_{c}",), f"choice_{c}")) for c in _LETTERS]
    letter = str(first_field(row, ("answer",), "answer"))
    if letter not in _LETTERS:
        raise DataError(f"field 'answer' must be one of A to D, got {letter!r}")
    asked = format_prompt("boxed", question, options)
    content = (
        f"Please read the following text and answer the question below.\n\n<text>\n"
        f"{context.strip()}\n</text>\n\n{asked}"
    )
    message: Message = {"role": "user", "content": content}
    metadata: dict[str, Any] = {"problem": question}
    for field in ("domain", "sub_domain", "difficulty", "length"):
        if row.get(field) is not None:
            metadata[field] = str(row[field])
    reference: Mapping[str, Any] = {"answer": letter, "options": options}
    name = str(first_field(row, ("_id", "id"), "_id"))
    return Task(name, (message,), reference, metadata=metadata)


_SUBJECTS = (
    "anatomy", "astronomy", "business_ethics", "clinical_knowledge", "college_chemistry",
    "college_computer_science", "college_mathematics", "college_medicine", "college_physics",
    "conceptual_physics", "econometrics", "electrical_engineering", "formal_logic", "global_facts",
    "high_school_chemistry", "high_school_geography", "high_school_macroeconomics",
    "high_school_mathematics", "high_school_physics", "high_school_statistics",
    "high_school_us_history", "human_aging", "logical_fallacies", "machine_learning",
    "miscellaneous", "philosophy", "professional_accounting", "professional_law",
    "public_relations", "virology",
)  # fmt: skip

MMLU_REDUX = TaskSource(
    name="mmlu_redux", hub="edinburgh-dawg/mmlu-redux", configs=_SUBJECTS, size=3000, row=_redux,
    licence="CC-BY-4.0",
)  # fmt: skip
LONGBENCH_V2 = TaskSource(
    name="longbench_v2", hub="THUDM/LongBench-v2", split="train", size=503, row=_longbench,
    licence="Apache-2.0 (texts of many owners)",
)  # fmt: skip
