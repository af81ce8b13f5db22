"""The code task sets: where each is published, and how its rows become tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade.envs.code.mini import MINI_CODE
from cascade.envs.code.prompts import messages_of
from cascade.envs.rows import Row, task_of_row
from cascade.envs.tasksets import TaskSource
from cascade.types import Task
from cascade.verifiers.code import problem_of

__all__ = ["CODE_SOURCES", "code_task"]


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


_RELEASES = tuple(f"livecodebench/test{number}.jsonl" for number in ("", 2, 3, 4, 5, 6))

CODE_SOURCES: Mapping[str, TaskSource] = {
    source.name: source
    for source in (
        TaskSource(
            name="humaneval", hub="openai/openai_humaneval", size=164, row=code_task,
            files=("humaneval/HumanEval.jsonl.gz",), licence="MIT",
        ),
        TaskSource(
            name="mbpp", hub="google-research-datasets/mbpp", config="full", split="test",
            row=code_task, files=("mbpp/mbpp.jsonl.gz",), licence="CC-BY-4.0",
        ),
        TaskSource(
            name="livecodebench", hub="livecodebench/code_generation_lite", row=code_task,
            files=_RELEASES, size=1055, licence="MIT (problems: AtCoder, LeetCode, Codeforces)",
        ),
        *MINI_CODE.values(),
    )
}  # fmt: skip
"""Task sets by name. LiveCodeBench's hub repository is a script that `datasets` no longer runs:
its six files ``test.jsonl`` to ``test6.jsonl`` go into the folder ``livecodebench``."""
