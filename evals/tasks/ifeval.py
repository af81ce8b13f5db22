"""IFEval."""

from cascade.evals.followed import INSTRUCTION_METRICS
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

_PAPER = "Zhou et al. 2023, arXiv:2311.07911"

TASK = EvalTask(
    name="ifeval",
    description="541 prompts with 25 kinds of verifiable instructions (Zhou et al. 2023)",
    env="cascade/InstructionFollowing-v0",
    tasks="ifeval",
    env_options={"mode": "strict", "standard": "published", "both": True},
    protocol=Protocol(
        source="arXiv:2311.07911; sampling as for IFBench in Nemotron-Cascade 2, arXiv:2603.19220, "
        "appendix A",
        sampling=SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32_768),
        metrics=("avg@k",),
        headline="prompt strict",
        set_metrics=INSTRUCTION_METRICS,
    ),
    published=(Published("GPT-4 (2023-11)", 76.89, "prompt strict", _PAPER, 1),),
    deviations=(
        "the original draws a letter at random for '#' and '!' (keys 1122 and 1129); here they "
        "are counted",
    ),
    mini="mini_instructions",
)
