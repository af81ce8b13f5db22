"""Toy task: customers who read from a script."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_customers",
    description="Toy: customers of a small shop who read from a script, generated",
    env="cascade/Tau2-v0",
    tasks="mini_customers",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
    ),
    toy=True,
)
