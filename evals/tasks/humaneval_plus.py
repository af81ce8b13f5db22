"""HumanEval+."""

from cascade.envs.code.sources import HUMANEVAL_PLUS
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="humaneval_plus",
    description="HumanEval with 80 times as many tests (EvalPlus)",
    env="cascade/Code-v0",
    tasks=HUMANEVAL_PLUS,
    protocol=Protocol(
        source="EvalPlus, Liu et al. 2023, arXiv:2305.01210: greedy, its instruction for chats",
        sampling=SamplingParams(temperature=0.0, max_tokens=4096),
        metrics=("avg@k",),
    ),
    deviations=("not part of the Cascade 2 report", "3 s of processor time for all tests"),
    mini="mini_code",
)
