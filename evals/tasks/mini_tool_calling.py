"""Toy task: one call of two functions."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_tool_calling",
    description="Toy: one call of two functions, generated",
    env="cascade/ToolCalling-v0",
    tasks="mini_tool_calling",
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
    ),
    toy=True,
)
