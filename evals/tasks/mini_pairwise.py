"""Toy questions, compared with a baseline that knows nothing."""

from cascade.evals.arena import WIN_RATE
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mini_pairwise",
    description="toy sums, answers compared by a toy judge: stands in for pairwise benchmarks",
    env="cascade/Pairwise-v0",
    tasks="mini_pairwise",
    protocol=Protocol(
        source="cascade.envs.pairwise.mini",
        sampling=SamplingParams(max_tokens=64),
        metrics=(),
        set_metrics=(WIN_RATE,),
        headline="win rate",
    ),
    toy=True,
)
