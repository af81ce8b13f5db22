"""AIME 2026."""

from cascade.evals.published import cascade2
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="aime26",
    description="American Invitational Mathematics Examination 2026, I and II: integers 0 to 999",
    env="cascade/Math-v0",
    tasks="aime26",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072),
        samples=64,
    ),
    published=cascade2("avg@64", 64, (90.9, 89.9, 89.8, 91.1), by_authors=(1, 2, 3)),
    deviations=("without tools; the report's tool-integrated 95.0 is another protocol",),
    mini="mini_number_theory",
)
