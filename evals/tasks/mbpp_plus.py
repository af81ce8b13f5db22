"""MBPP+."""

from cascade.envs.code.sources import MBPP_PLUS
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mbpp_plus",
    description="378 tasks of MBPP with 35 times as many tests (EvalPlus)",
    env="cascade/Code-v0",
    tasks=MBPP_PLUS,
    protocol=Protocol(
        source="Liu et al. 2023, arXiv:2305.01210 (EvalPlus): greedy; MBPP's own prompt",
        sampling=SamplingParams(temperature=0.0, max_tokens=4096),
        metrics=("avg@k",),
    ),
    deviations=("not part of the Cascade 2 report", "3 s of processor time for all tests"),
    mini="mini_code",
)
