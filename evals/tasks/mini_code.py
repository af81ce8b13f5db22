"""Toy programs."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_code",
    description="Toy: one-line functions from examples, generated",
    env="cascade/Code-v0",
    tasks="mini_code",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(max_tokens=256),
        samples=2,
        metrics=("avg@k", "pass@k"),
    ),
    toy=True,
)
