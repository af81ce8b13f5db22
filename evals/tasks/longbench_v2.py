"""LongBench v2."""

from cascade.envs.multiple_choice.sources import LONGBENCH_V2
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="longbench_v2",
    description="503 questions on texts of 8,000 to 2 million words (Bai et al. 2024)",
    env="cascade/MultipleChoice-v0",
    tasks=LONGBENCH_V2,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A: avg@4, sampling not stated",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=32_768),
        samples=4,
        metrics=("avg@k",),
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 40.3, "avg@4", CASCADE2, 4),
        Published("Nemotron-3-Nano-30B-A3B", 39.6, "avg@4", CASCADE2),
        Published("Qwen3.5-35B-A3B", 59.0, "avg@4", CASCADE2),
    ),
    breakdown="length",
    deviations=(
        "answers are asked for in a box, not as 'The correct answer is (A)'",
        "texts are not cut in the middle: a server refuses what is longer than its context",
    ),
    mini="mini_choice",
)
