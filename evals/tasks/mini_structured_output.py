"""Toy task: one property in JSON."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_structured_output",
    description="Toy: one property in JSON, generated",
    env="cascade/StructuredOutput-v0",
    tasks="mini_structured_output",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
    ),
    toy=True,
)
