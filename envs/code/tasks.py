"""How the rows of code data sets become tasks."""

from __future__ import annotations

from typing import Any

from cascade.envs.code.prompts import messages_of
from cascade.envs.rows import Row, task_of_row
from cascade.types import Task
from cascade.verifiers.code import problem_of

__all__ = ["code_task"]


def code_task(row: Row, index: int) -> Task:
    """Turn a row of any form that `problem_of` knows into a task; the row is its reference.

    A row that brings its own messages (a task as JSON, a NeMo-Gym row) keeps them.

    Raises:
        DataError: the row's form is unknown, or its problem cannot be read.
    """
    if "messages" in row or "responses_create_params" in row:
        return task_of_row(row, index)
    problem = problem_of(row)
    metadata: dict[str, Any] = {**problem.metadata, "problem": problem.statement}
    return Task(problem.id, messages_of(problem), dict(row), metadata=metadata)
