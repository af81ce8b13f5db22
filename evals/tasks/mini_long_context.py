"""Toy notes with a question."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_long_context",
    description="Toy: a question about a few notes, generated",
    env="cascade/LongContext-v0",
    tasks="mini_long_context",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(max_tokens=64),
        metrics=("avg@k",),
    ),
    toy=True,
)
