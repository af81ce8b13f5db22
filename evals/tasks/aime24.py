"""AIME 2024."""

from cascade.evals.published import DEEPSEEK_R1, QWQ
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="aime24",
    description="American Invitational Mathematics Examination 2024, I and II: integers 0 to 999",
    env="cascade/Math-v0",
    tasks="aime24",
    protocol=Protocol(
        source="as AIME25 in Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072),
        samples=64,
    ),
    published=(
        Published("QwQ-32B", 79.5, "avg@64", QWQ, 64, "T 0.6, top-p 0.95, top-k 40, 32,768 tokens"),
        Published(
            "DeepSeek-R1", 79.8, "avg@64", DEEPSEEK_R1, 64, "T 0.6, top-p 0.95, 32,768 tokens"
        ),
    ),
    deviations=("the Cascade 2 report does not evaluate AIME24; its AIME25 settings are used",),
    mini="mini_arithmetic",
)
