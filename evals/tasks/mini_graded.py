"""Toy differences, graded by a toy judge."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_graded",
    description="Toy: differences, graded by a toy judge",
    env="cascade/Graded-v0",
    tasks="mini_graded",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(max_tokens=64),
        metrics=("avg@k",),
    ),
    toy=True,
)
