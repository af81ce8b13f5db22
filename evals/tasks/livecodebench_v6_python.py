"""LiveCodeBench v6 with a Python interpreter."""

from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.evals.where import Condition
from cascade.types import SamplingParams

TASK = EvalTask(
    name="livecodebench_v6_python",
    description="LiveCodeBench v6 with a stateful Python tool: at most 100 calls of 120 s",
    env="cascade/Code-v0",
    env_options={"max_tool_calls": 100, "tool_seconds": 120.0},
    tasks="livecodebench",
    where=(
        Condition("contest_date", ">=", "2024-08-01"),
        Condition("contest_date", "<", "2025-06-01"),
    ),
    size=454,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A (tool-integrated)",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        samples=8,
        metrics=("avg@k", "pass@k"),
    ),
    published=(Published("Nemotron-Cascade-2-30B-A3B", 88.4, "avg@8", CASCADE2, 8),),
    breakdown="difficulty",
    deviations=(
        "prompt of the QwQ-32B evaluation; the report's own is not published",
        "6 s of processor time a test, not of wall time",
        "the token budget holds for each message; the report's for the whole response",
    ),
    mini="mini_code",
)
