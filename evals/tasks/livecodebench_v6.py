"""LiveCodeBench v6: August 2024 to May 2025."""

from cascade.evals.published import cascade2
from cascade.evals.task import EvalTask, Protocol
from cascade.evals.where import Condition
from cascade.types import SamplingParams

TASK = EvalTask(
    name="livecodebench_v6",
    description="454 contest problems of August 2024 to May 2025 (release v6), hidden tests",
    env="cascade/Code-v0",
    tasks="livecodebench",
    where=(
        Condition("contest_date", ">=", "2024-08-01"),
        Condition("contest_date", "<", "2025-06-01"),
    ),
    size=454,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A (thinking)",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        samples=8,
        metrics=("avg@k", "pass@k"),
    ),
    published=cascade2("avg@8", 8, (87.2, 68.3, 78.7, 74.6)),
    breakdown="difficulty",
    deviations=(
        "prompt of the QwQ-32B evaluation; the report's own is not published",
        "6 s of processor time a test, not of wall time",
        "without tools; the report's tool-integrated 88.4 is livecodebench_v6_python",
    ),
    mini="mini_code",
)
