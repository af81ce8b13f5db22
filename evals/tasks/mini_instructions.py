"""Toy task: a few words that keep one rule."""

from cascade.evals.followed import INSTRUCTION_METRICS
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_instructions",
    description="Toy: a few words that keep one rule, generated",
    env="cascade/InstructionFollowing-v0",
    tasks="mini_instructions",
    env_options={"standard": "sound", "both": True},
    protocol=Protocol(
        source="none: toy problems",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=256),
        samples=4,
        metrics=("avg@k",),
        set_metrics=INSTRUCTION_METRICS,
    ),
    toy=True,
)
