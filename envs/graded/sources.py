"""Benchmarks whose answers a judge grades: olympiad answers and proofs, Humanity's Last Exam."""

from __future__ import annotations

import csv
from pathlib import Path

from cascade.envs.prompts import MATH_BOXED
from cascade.envs.rows import Row, first_field
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError
from cascade.types import Message, Task

__all__ = ["HLE", "IMO_ANSWERBENCH", "IMO_PROOFBENCH"]

_PROOF = (
    "{problem}\n\nGive a complete and rigorous solution. Where an answer is asked for, state it "
    "and prove that it is right."
)
_HLE = "{problem}\nPlease place your final answer inside \\boxed{{}}"
"""The instruction of Nemotron-Cascade 2's evaluation (arXiv:2603.19220, appendix A)."""


_WITHOUT_ANSWER = "imo-bench-algebra-036"


def answerbench_rows(path: Path) -> list[Row]:
    """Read AnswerBench v2, whose row 36 lost its answer: a field is missing, the others moved up.

    That problem cannot be judged and is left out; any other row of a wrong length is an error.

    Raises:
        DataError: another row does not have as many fields as the header.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a file of AnswerBench: {error}") from error
    kept: list[Row] = []
    for number, row in enumerate(rows, start=1):
        if len(row) == len(header):
            kept.append(dict(zip(header, row, strict=True)))
        elif row[:1] != [_WITHOUT_ANSWER]:
            raise DataError(f"{path}, row {number}: {len(row)} fields, not {len(header)}")
    return kept


def _task(name: str, prompt: str, problem: str, reference: object, row: Row) -> Task:
    message: Message = {"role": "user", "content": prompt.format(problem=problem)}
    metadata = {"problem": problem}
    for field in ("Category", "Subcategory", "Level", "Source", "category", "answer_type"):
        if row.get(field) is not None:
            metadata[field.lower()] = str(row[field])
    return Task(name, (message,), reference, metadata=metadata)


def _answer(row: Row, index: int) -> Task:
    problem = str(first_field(row, ("Problem", "problem"), "Problem")).strip()
    answer = str(first_field(row, ("Short Answer", "answer"), "Short Answer"))
    return _task(str(first_field(row, ("Problem ID", "id"), "Problem ID")), MATH_BOXED, problem,
                 answer, row)  # fmt: skip


def _proof(row: Row, index: int) -> Task:
    problem = str(first_field(row, ("Problem", "problem"), "Problem")).strip()
    name = str(first_field(row, ("Problem ID", "id"), "Problem ID"))
    reference = {
        "reference": str(first_field(row, ("Solution", "solution"), "Solution")),
        "guidelines": str(first_field(row, ("Grading guidelines", "rubric"), "Grading guidelines")),
    }
    task = _task(name, _PROOF, problem, reference, row)
    return Task(task.id, task.messages, reference,
                metadata={**task.metadata, "part": name.split("-")[1]})  # fmt: skip


def _hle(row: Row, index: int) -> Task:
    question = str(first_field(row, ("question",), "question"))
    answer = str(first_field(row, ("answer",), "answer"))
    task = _task(str(first_field(row, ("id",), "id")), _HLE, question, answer, row)
    image = "no" if row.get("image") in (None, "") else "yes"
    return Task(task.id, task.messages, answer, metadata={**task.metadata, "image": image})


_IMO = "CC-BY-4.0 (google-deepmind/superhuman, imobench)"

IMO_ANSWERBENCH = TaskSource(
    name="imo_answerbench", size=399, read=answerbench_rows, row=_answer, licence=_IMO,
    files=("imo_bench/answerbench_v2.csv",),
)  # fmt: skip
IMO_PROOFBENCH = TaskSource(
    name="imo_proofbench", size=60, row=_proof, licence=_IMO,
    files=("imo_bench/proofbench_v2.csv",),
)  # fmt: skip
HLE = TaskSource(
    name="hle", hub="cais/hle", size=2500, row=_hle,
    licence="MIT (gated: do not publish the questions)",
)  # fmt: skip
