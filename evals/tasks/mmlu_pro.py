"""MMLU-Pro."""

from cascade.evals.published import cascade2
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="mmlu_pro",
    description="12,032 questions of 14 subjects with up to ten options (Wang et al. 2024)",
    env="cascade/MultipleChoice-v0",
    tasks="mmlu_pro",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        samples=1,
    ),
    published=cascade2("avg@1", 1, (79.8, 78.3, 83.7, 85.3)),
    deviations=(
        "zero-shot with NeMo-Skills' boxed prompt for choices; the data set's own script is "
        "five-shot and puts a random letter where no answer is found: here that is no answer",
    ),
    mini="mini_choice",
)
