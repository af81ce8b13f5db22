"""Toy task: sums and differences with four options."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_choice",
    description="Toy: sums and differences with four options, generated",
    env="cascade/MultipleChoice-v0",
    tasks="mini_choice",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
    ),
    toy=True,
)
