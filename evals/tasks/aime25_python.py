"""AIME 2025 with a Python interpreter."""

from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="aime25_python",
    description="AIME 2025 with a stateful Python tool: at most 100 calls of 120 s",
    env="cascade/MathPython-v0",
    tasks="aime25",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A (tool-integrated)",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072),
        samples=64,
    ),
    published=(Published("Nemotron-Cascade-2-30B-A3B", 98.6, "avg@64", CASCADE2, 64),),
    deviations=("the token budget holds for each message; the report's for the whole response",),
    mini="mini_modular",
)
