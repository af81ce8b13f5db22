"""LiveCodeBench, every release; --where contest_date>=DATE chooses a window."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="livecodebench",
    description="1,055 contest problems since May 2023 (all releases); choose dates with --where",
    env="cascade/Code-v0",
    tasks="livecodebench",
    protocol=Protocol(
        source="LiveCodeBench/LiveCodeBench at 28fef95: T 0.2, top-p 0.95, 10 samples",
        sampling=SamplingParams(temperature=0.2, top_p=0.95, max_tokens=32_768),
        samples=10,
        metrics=("avg@k", "pass@k"),
    ),
    breakdown="difficulty",
    deviations=(
        "prompt of the QwQ-32B evaluation",
        "6 s of processor time a test, not of wall time",
    ),
    mini="mini_code",
)
