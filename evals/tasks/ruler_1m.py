"""Needles in a haystack of about 1,000,000 tokens."""

from cascade.envs.long_context.ruler import RulerSource
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="ruler_1m",
    description="600 generated texts of about 1,000,000 tokens with hidden numbers (after RULER)",
    env="cascade/Ruler-v0",
    tasks=RulerSource(tokens=1_000_000),
    protocol=Protocol(
        source="RULER, arXiv:2404.06654; Nemotron-Cascade 2, appendix A: 100 of each category, "
        "without reasoning",
        sampling=SamplingParams(temperature=0.0, max_tokens=512, thinking=False),
        metrics=("avg@k",),
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 99.0, "avg@1", CASCADE2, 1),
        Published("Nemotron-3-Nano-30B-A3B", 94.8, "avg@1", CASCADE2),
        Published("Nemotron-3-Super-120B-A12B", 98.3, "avg@1", CASCADE2),
        Published("Qwen3.5-35B-A3B", 94.3, "avg@1", CASCADE2, 1),
    ),
    breakdown="category",
    deviations=(
        "haystacks are generated, not RULER's essays; its two categories with UUIDs are left out",
        "lengths are counted at 4.2 characters a token; the report gives the tokens really sent",
    ),
    mini="mini_long_context",
)
