"""Needles in a haystack of about 131,072 tokens."""

from cascade.envs.long_context.ruler import RulerSource
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="ruler_128k",
    description="600 generated texts of about 131,072 tokens with hidden numbers (after RULER)",
    env="cascade/Ruler-v0",
    tasks=RulerSource(tokens=131_072),
    protocol=Protocol(
        source="RULER, arXiv:2404.06654; Nemotron-Cascade 2, appendix A: 100 of each category, "
        "without reasoning",
        sampling=SamplingParams(temperature=0.0, max_tokens=512, thinking=False),
        metrics=("avg@k",),
    ),
    breakdown="category",
    deviations=(
        "haystacks are generated, not RULER's essays; its two categories with UUIDs are left out",
        "lengths are counted at 4.2 characters a token; the report gives the tokens really sent",
    ),
    mini="mini_long_context",
)
