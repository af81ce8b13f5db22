"""An office to work in."""

from cascade.envs.tasksets import MiniSource
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="workplace",
    description="200 generated requests of three or four calls in an office with 32 tools",
    env="cascade/Workplace-v0",
    tasks=MiniSource(kind="workplace", difficulty=3, size=200),
    protocol=Protocol(
        source="none: our own, in the form of Workplace-Assistant of Nemotron 3 Nano",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=32_768),
        metrics=("avg@k",),
    ),
    mini="mini_pantry",
)
