"""HumanEval."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="humaneval",
    description="164 functions to complete, judged by their tests",
    env="cascade/Code-v0",
    tasks="humaneval",
    protocol=Protocol(
        source="Chen et al. 2021, arXiv:2107.03374; EvalPlus' instruction for chat models",
        sampling=SamplingParams(temperature=0.0, max_tokens=4096),
        metrics=("avg@k",),
    ),
    deviations=("not part of the Cascade 2 report", "3 s of processor time for all tests"),
    mini="mini_code",
)
