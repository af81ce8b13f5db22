"""Rows of the published instruction sets as tasks."""

from __future__ import annotations

from cascade.envs.rows import Row, first_field, task_of_row
from cascade.errors import DataError
from cascade.types import Message, Task
from cascade.verifiers import instructions

__all__ = ["instruction_task"]

_CONSTRAINTS = ("instruction_id_list", "kwargs", "ground_truth", "verifier_metadata")


def instruction_task(row: Row, index: int) -> Task:
    """Read a row of IFEval and IFBench (`prompt`), IF-RLVR (`messages`) or NeMo-Gym.

    Raises:
        DataError: no prompt, or constraints that `load_constraints` refuses.
    """
    instructions.load_constraints(row)
    if "responses_create_params" in row:
        return task_of_row(row, index)
    reference = {field: row[field] for field in _CONSTRAINTS if field in row}
    task_id = str(row.get("key", index))
    if "messages" in row:
        return task_of_row({"id": task_id, "messages": row["messages"], "answer": reference}, index)
    prompt = first_field(row, ("prompt",), "prompt")
    if not isinstance(prompt, str):
        raise DataError(f"field 'prompt' must be text, got {type(prompt).__name__}")
    message: Message = {"role": "user", "content": prompt}
    return Task(task_id, (message,), reference, metadata={"problem": prompt})
