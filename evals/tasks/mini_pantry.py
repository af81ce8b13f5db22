"""Toy task: calls that change a pantry, and a last word."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_pantry",
    description="Toy: calls that change a pantry, and a last word, generated",
    env="cascade/Pantry-v0",
    tasks="mini_pantry",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
    ),
    toy=True,
)
