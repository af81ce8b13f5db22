"""Arena-Hard v2.0, hard prompts."""

from cascade.envs.pairwise.sources import ARENA_HARD_V2
from cascade.evals.arena import GPT_4_1, WIN_RATE
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.evals.where import Condition
from cascade.types import SamplingParams

TASK = EvalTask(
    name="arena_hard_v2_hard",
    description="500 hard prompts (code, mathematics), answers compared with o3-mini's by a judge",
    env="cascade/Pairwise-v0",
    tasks=ARENA_HARD_V2,
    where=(Condition("category", "=", "hard_prompt"),),
    size=500,
    judge=GPT_4_1,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A (thinking, no style control); "
        "scoring of lmarena/arena-hard-auto at 196f6b8",
        sampling=SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32_768),
        metrics=(),
        set_metrics=(WIN_RATE,),
        headline="win rate",
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 88.2, "win rate", CASCADE2, 1),
        Published("Nemotron-3-Nano-30B-A3B", 72.1, "win rate", CASCADE2),
        Published("Nemotron-3-Super-120B-A12B", 73.9, "win rate", CASCADE2),
        Published("Qwen3.5-35B-A3B", 64.5, "win rate", CASCADE2, 1),
    ),
    breakdown="subcategory",
    deviations=(
        "the published number is the mean of 100 bootstraps over games; here it is the share "
        "itself, with a bar over questions",
    ),
    mini="mini_pairwise",
)
