"""Several instructions at once."""

from cascade.envs.tasksets import MiniSource
from cascade.evals.followed import INSTRUCTION_METRICS
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="multi_constraint",
    description="300 generated requests with four instructions each, which one text can follow",
    env="cascade/InstructionFollowing-v0",
    tasks=MiniSource(kind="multi_constraint", difficulty=3, size=300),
    env_options={"mode": "strict", "standard": "sound", "both": True},
    protocol=Protocol(
        source="none: our own; sampling as for IFBench in Nemotron-Cascade 2, arXiv:2603.19220",
        sampling=SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32_768),
        metrics=("avg@k",),
        headline="prompt strict",
        set_metrics=INSTRUCTION_METRICS,
    ),
    mini="mini_instructions",
)
