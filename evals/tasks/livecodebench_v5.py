"""LiveCodeBench v5: August 2024 to January 2025."""

from cascade.evals.published import QWQ
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.evals.where import Condition
from cascade.types import SamplingParams

_BOARD = "LiveCodeBench/submissions at 4d04b02, graded_list of the published programs"

TASK = EvalTask(
    name="livecodebench_v5",
    description="279 contest problems of August 2024 to January 2025 (release v5), hidden tests",
    env="cascade/Code-v0",
    tasks="livecodebench",
    where=(
        Condition("contest_date", ">=", "2024-08-01"),
        Condition("contest_date", "<", "2025-02-01"),
    ),
    size=279,
    protocol=Protocol(
        source="QwenLM/QwQ at 620a5ea: prompt and problems; T 0.6, top-p 0.95, top-k 40",
        sampling=SamplingParams(temperature=0.6, top_p=0.95, top_k=40, max_tokens=32_768),
        samples=8,
        metrics=("avg@k", "pass@k"),
    ),
    published=(
        Published("QwQ-32B", 63.4, "avg@8", QWQ, 8),
        Published("o1-mini-2024-09-12", 51.97, "avg@1", _BOARD, 1, "T 0.2 is asked for"),
    ),
    breakdown="difficulty",
    deviations=("6 s of processor time a test, not of wall time",),
    mini="mini_code",
)
