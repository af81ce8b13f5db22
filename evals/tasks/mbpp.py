"""MBPP."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mbpp",
    description="974 short programming tasks, three asserts each",
    env="cascade/Code-v0",
    tasks="mbpp",
    protocol=Protocol(
        source="Austin et al. 2021, arXiv:2108.07732: its prompt, test split",
        sampling=SamplingParams(temperature=0.0, max_tokens=4096),
        metrics=("avg@k",),
    ),
    deviations=("not part of the Cascade 2 report", "3 s of processor time for all tests"),
    mini="mini_code",
)
