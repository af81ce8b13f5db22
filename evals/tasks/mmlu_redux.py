"""MMLU-Redux."""

from cascade.envs.multiple_choice.sources import MMLU_REDUX
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mmlu_redux",
    description="3,000 questions of MMLU with labels checked by hand (Gema et al. 2024)",
    env="cascade/MultipleChoice-v0",
    tasks=MMLU_REDUX,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        metrics=("avg@k",),
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 86.3, "avg@1", CASCADE2, 1),
        Published("Qwen3.5-35B-A3B", 93.3, "pass@1", CASCADE2, note="as stated by its maker"),
    ),
    breakdown="category",
    deviations=(
        "zero-shot with NeMo-Skills' boxed prompt for choices; the report's is not published",
        "a wrong label counts as corrected; questions with other errors keep theirs (NeMo-Skills "
        "leaves them out, and takes the 57 subjects of MMLU-Redux 2.0); which of both the report "
        "means could not be checked",
    ),
    mini="mini_choice",
)
