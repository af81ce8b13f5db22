"""Toy task: sums and differences."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_arithmetic",
    description="Toy: sums and differences, generated",
    env="cascade/Math-v0",
    tasks="mini_arithmetic",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
    ),
    toy=True,
)
