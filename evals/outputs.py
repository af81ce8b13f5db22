"""Reading stored outputs and gold answers: whole, checked, and named row by row where they fail."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from cascade.envs.rows import Row, read_rows
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import DataError
from cascade.evals.formats import Format, Output, find_format, guess_format
from cascade.types import Task

__all__ = ["line_of", "named_by_prompt", "numbered", "own_problems", "read_answers", "read_outputs"]

_ANSWER_IDS = ("id", "task_id", "question_id", "problem_idx", "unique_id", "idx")


def read_outputs(
    paths: Sequence[Path], format_name: str | None, task: str | None
) -> tuple[Format, list[Output], int]:
    """Read every file whole, or nothing.

    Args:
        paths: files of one form; with several, each holds further samples.
        format_name: ``NAME`` or ``NAME:ARGUMENT``; None: our own, told apart by the first row.
        task: rows that name another task are set aside; None keeps all.

    Returns:
        The form, the outputs in order, and how many rows were set aside.

    Raises:
        UnknownNameError: an unknown format.
        DataError: a row that cannot be read, with file, line and field.
    """
    outputs: list[Output] = []
    other = 0
    form, argument = find_format(format_name) if format_name else (None, "")
    for path in paths:
        rows = form.load(path) if form is not None else read_rows(path)
        if not rows:
            raise DataError(f"{path}: no rows; there is nothing to rescore")
        form = form or guess_format(rows[0])
        for index, row in enumerate(rows):
            try:
                found = list(form.read(row, index, argument))
            except DataError as error:
                raise DataError(f"{path}, line {line_of(path, index)}: {error}") from error
            for output in found:
                if task is None or output.task in (None, task):
                    outputs.append(output)
                else:
                    other += 1
    assert form is not None
    if not outputs:
        raise DataError(f"the outputs hold no sample of task {task!r}")
    return form, outputs, other


def line_of(path: Path, index: int) -> int:
    """Return the line number of row `index`; blank lines of a JSONL file are no rows."""
    if ".csv" in path.suffixes:
        return index + 2
    if ".jsonl" not in path.suffixes:
        return index + 1
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    numbers = (n for n, line in enumerate(text.split(b"\n"), start=1) if line.strip())
    return next(islice(numbers, index, None), index + 1)


def read_answers(
    path: Path | None, outputs: Sequence[Output], default_options: int | None
) -> TaskSet:
    """Read gold answers from a file of rows {id, answer[, options]}, or from the outputs' own rows.

    Args:
        path: None takes the gold answers that the outputs carry.
        outputs: what will be judged.
        default_options: options of a multiple-choice question whose row does not say; None: the
            answers are no letters.

    Raises:
        DataError: an answer is missing, twice there, or there are two for one problem.
    """
    if path is None:
        golds: dict[str, Any] = {}
        for output in outputs:
            if output.gold is None:
                raise DataError(f"output {output.id!r} carries no gold answer: give --answers")
            if golds.setdefault(output.id, output.gold) != output.gold:
                raise DataError(f"the outputs give two gold answers for {output.id!r}")
        tasks = tuple(Task(name, (), gold) for name, gold in golds.items())
        return TaskSet("the outputs' own answers", tasks, Provenance("outputs", "", len(tasks)))
    tasks = tuple(
        _answer(row, index, path, default_options) for index, row in enumerate(read_rows(path))
    )
    return TaskSet(path.name, tasks, Provenance(str(path), "", len(tasks)))


def _answer(row: Row, index: int, path: Path, default_options: int | None) -> Task:
    name = next((row[key] for key in _ANSWER_IDS if row.get(key) is not None), None)
    answer = row.get("answer", row.get("expected_answer"))
    for field_name, value in (("id", name), ("answer", answer)):
        if value is None or (isinstance(value, str) and not value.strip()):
            raise DataError(f"{path}, line {line_of(path, index)}: field {field_name!r} is missing")
    if isinstance(answer, str):
        answer = answer.removeprefix("#").strip()  # ZeroEval writes "# 18"
    options = row.get("options")
    if isinstance(options, str) and options.isdigit():
        options = int(options)
    if options is None:
        options = default_options
    reference = answer if options is None else {"answer": answer, "options": options}
    return Task(str(name), (), reference)


def own_problems(outputs: Sequence[Output]) -> TaskSet:
    """Return the problems that outputs name, with the metadata that they bring.

    Raises:
        DataError: two outputs of one problem differ in it.
    """
    found: dict[str, Task] = {}
    for output in outputs:
        task = found.setdefault(output.id, Task(output.id, (), metadata=dict(output.metadata)))
        if dict(task.metadata) != dict(output.metadata):
            raise DataError(f"the outputs describe problem {output.id!r} in two ways")
    tasks = tuple(found.values())
    return TaskSet("the outputs' own problems", tasks, Provenance("outputs", "", len(tasks)))


def named_by_prompt(outputs: Sequence[Output], answers: TaskSet) -> list[Output]:
    """Give outputs that are named by their prompt the id of the problem with that prompt."""
    ids = {task.messages[-1]["content"].strip(): task.id for task in answers if task.messages}
    return [replace(output, id=ids.get(output.id.strip(), output.id)) for output in outputs]


def numbered(outputs: Sequence[Output]) -> list[tuple[Output, int]]:
    """Number the samples of each problem."""
    if len({output.sample is None for output in outputs}) > 1:
        raise DataError("some rows have the field 'sample' and some have not: number all or none")
    seen: Counter[str] = Counter()
    last: dict[tuple[str, int], tuple[Output, int]] = {}
    for output in outputs:
        number = seen[output.id] if output.sample is None else output.sample
        seen[output.id] += 1
        # A resumed run writes a sample again only where it had ended as a fault.
        before = last.get((output.id, number))
        if before is not None and output.task is None:
            raise DataError(f"sample {number} of {output.id!r} occurs twice")
        last[output.id, number] = (output, number)
    return list(last.values())
