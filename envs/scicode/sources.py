"""SciCode's problems: rows, what a step asks, and where the files lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cascade.envs.rows import Beside, Row, first_field, read_rows
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Message, Task

__all__ = ["SCICODE", "Step", "scicode_rows", "step_message"]

_GIVEN = frozenset({"13.6", "62.1", "76.3"})
"""Steps that are not asked: their code is published (eval/data/*.txt) and shown."""

_INTRODUCTION = (
    "You solve a problem of computational science step by step. In each step you write one "
    "function (or class) in Python, with the header that is given, in a block that begins with "
    "```python. Functions of earlier steps can be called; do not repeat them. Write no tests and "
    "no examples. Only these imports may be used; they stand before your code already:\n"
    "{dependencies}\n\nProblem: {problem}\n\n{step}"
)
_STEP = "Step {id}: {description}\n\n{header}\n\n{return_line}"
_SHOWN = "Step {id} is given: {description}\n\n```python\n{given}\n```\n\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One function of a problem."""

    id: str
    """As in "10.2"."""
    description: str
    header: str
    return_line: str
    tests: tuple[str, ...]
    """Test code; each compares with `target`, and later ones may use names of earlier ones."""
    targets: tuple[Any, ...] | None = None
    """What each test's `target` is, as JSON; None: it is read from `targets_file`."""
    given: str = ""
    """Published code of a step that is not asked."""
    solution: str = ""
    """Published code of the data set's validation part."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Step:
        """Read an entry of `sub_steps`.

        Raises:
            DataError: a field is missing, or the step has no tests.
        """
        name, description, header = (
            str(first_field(row, (field,), field))
            for field in ("step_number", "step_description_prompt", "function_header")
        )
        tests, targets = row.get("test_cases"), row.get("targets")
        if not isinstance(tests, list) or not tests:
            raise DataError(f"step {name} needs the list 'test_cases'")
        if targets is not None and len(targets) != len(tests):
            raise DataError(f"step {name} has {len(tests)} tests and {len(targets)} targets")
        return cls(
            id=name,
            description=description,
            header=header,
            return_line=str(row.get("return_line") or ""),
            tests=tuple(map(str, tests)),
            targets=None if targets is None else tuple(targets),
            given=str(row.get("given_code") or ""),
            solution=str(row.get("ground_truth_code") or ""),
        )


def step_message(steps: tuple[Step, ...], number: int) -> tuple[str, int]:
    """Return what is said of step `number` (from 0), and the number of the step that it asks for.

    Given steps are shown on the way; the number is `len(steps)` if none is left to ask for.
    """
    shown = ""
    while number < len(steps) and steps[number].given:
        step = steps[number]
        shown += _SHOWN.format(id=step.id, description=step.description, given=step.given.strip())
        number += 1
    if number < len(steps):
        shown += _STEP.format(**asdict(steps[number]))
    return shown, number


def scicode_rows(path: Path) -> list[Row]:
    """Read a file of problems; the code of given steps and the expected values lie beside it.

    Raises:
        DataNotFoundError: ``STEP.txt`` of a given step is missing, or ``test_data.h5`` is, and the
            rows bring no targets.
    """
    rows: list[Row] = []
    targets = path.parent / "test_data.h5"
    for row in read_rows(path):
        steps = []
        for step in first_field(row, ("sub_steps",), "sub_steps"):
            name = str(step.get("step_number"))
            beside = path.parent / f"{name}.txt"
            if name in _GIVEN and not step.get("given_code"):
                if not beside.is_file():
                    raise DataNotFoundError(
                        f"the code of step {name} is not on this machine: put SciCode's "
                        f"eval/data/{name}.txt at {beside}"
                    )
                step = {**step, "given_code": beside.read_text(encoding="utf-8")}
            if step.get("targets") is None and not targets.is_file():
                raise DataNotFoundError(
                    f"the expected values of SciCode are not on this machine: put test_data.h5 "
                    f"(its README links to it) at {targets}"
                )
            steps.append(step)
        rows.append({**row, "sub_steps": steps, "targets_file": Beside(targets)})
    return rows


def _problem(row: Row, index: int) -> Task:
    steps = tuple(Step.of_row(step) for step in first_field(row, ("sub_steps",), "sub_steps"))
    if all(step.given for step in steps):
        raise DataError("a problem needs a step that is asked")
    problem = str(first_field(row, ("problem_description_main",), "problem_description_main"))
    dependencies = str(row.get("required_dependencies") or "")
    asked, _ = step_message(steps, 0)
    content = _INTRODUCTION.format(dependencies=dependencies, problem=problem, step=asked)
    message: Message = {"role": "user", "content": content}
    reference = {
        "steps": [asdict(step) for step in steps], "dependencies": dependencies,
        "targets_file": str(row["targets_file"].path),
    }  # fmt: skip
    name = str(first_field(row, ("problem_id",), "problem_id"))
    metadata = {"problem": problem, "name": str(row.get("problem_name") or name)}
    return Task(name, (message,), reference, metadata=metadata)


SCICODE = TaskSource(
    name="scicode", size=65, read=scicode_rows, row=_problem,
    files=("scicode/problems_test.jsonl",),
    licence="Apache-2.0, as the card of SciCode1/SciCode says",
)  # fmt: skip
