"""AIME 2025."""

from cascade.evals.published import QWQ, cascade2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="aime25",
    description="American Invitational Mathematics Examination 2025, I and II: integers 0 to 999",
    env="cascade/Math-v0",
    tasks="aime25",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072),
        samples=64,
    ),
    published=(
        *cascade2("avg@64", 64, (92.4, 89.1, 90.2, 91.9), by_authors=(3,)),
        Published("QwQ-32B", 69.5, "avg@64", QWQ, 64, "T 0.6, top-p 0.95, top-k 40, 32,768 tokens"),
    ),
    deviations=("without tools; the report's tool-integrated 98.6 is another protocol",),
    mini="mini_modular",
)
