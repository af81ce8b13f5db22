"""GPQA-Diamond."""

from cascade.evals.published import cascade2
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="gpqa_diamond",
    description="198 graduate-level science questions with four options (Rein et al. 2023)",
    env="cascade/MultipleChoice-v0",
    tasks="gpqa_diamond",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        samples=8,
    ),
    published=cascade2("avg@8", 8, (76.1, 73.0, 79.2, 84.2)),
    deviations=(
        "the report does not print its prompt: NeMo-Skills' prompt mcq-4choices-boxed is used",
        "the options' order is drawn by the question's id, the same in every sample and run",
    ),
    mini="mini_choice",
)
