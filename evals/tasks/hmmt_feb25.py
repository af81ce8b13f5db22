"""HMMT, February 2025."""

from cascade.evals.published import cascade2
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="hmmt_feb25",
    description="Harvard-MIT Mathematics Tournament, February 2025: expressions as answers",
    env="cascade/Math-v0",
    tasks="hmmt_feb25",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072),
        samples=64,
    ),
    published=cascade2("avg@64", 64, (94.6, 84.6, 93.7, 89.0), by_authors=(1,)),
    mini="mini_number_theory",
)
