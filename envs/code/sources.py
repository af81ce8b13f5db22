"""Code benchmarks whose rows `problem_of` does not read as they are."""

from __future__ import annotations

from cascade.envs.rows import Row, first_field
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError
from cascade.types import Task

__all__ = ["HUMANEVAL_PLUS", "MBPP_PLUS"]


def _code(row: Row, index: int) -> Task:
    from cascade.envs.code.tasks import code_task  # judging code takes long to load

    return code_task(row, index)


def _mbpp_plus(row: Row, index: int) -> Task:
    """EvalPlus' form: the asserts of `test_list` are shown, the program `test` judges."""
    test = row.get("test")
    shown = row.get("test_list")
    if not isinstance(test, str) or not isinstance(shown, list) or not shown:
        raise DataError("a row of MBPP+ needs the text 'test' and the list 'test_list'")
    statement = str(first_field(row, ("prompt", "text"), "prompt"))
    imports = "\n".join(str(line) for line in row.get("test_imports") or ())
    asked = _code({**row, "text": statement}, index)
    hidden = {
        "task_id": row.get("task_id", index),
        "text": statement,
        "test_list": [f"{imports}\n{test}".strip()],
        "code": row.get("code"),
    }
    return Task(asked.id, asked.messages, hidden, metadata=asked.metadata)


HUMANEVAL_PLUS = TaskSource(
    name="humaneval_plus", hub="evalplus/humanevalplus", size=164, row=_code,
    licence="Apache-2.0",
)  # fmt: skip
MBPP_PLUS = TaskSource(
    name="mbpp_plus", hub="evalplus/mbppplus", size=378, row=_mbpp_plus, licence="Apache-2.0",
)  # fmt: skip
