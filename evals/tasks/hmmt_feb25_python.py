"""HMMT February 2025 with a Python interpreter."""

from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="hmmt_feb25_python",
    description="HMMT February 2025 with a stateful Python tool: at most 100 calls of 120 s",
    env="cascade/MathPython-v0",
    tasks="hmmt_feb25",
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A (tool-integrated)",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072),
        samples=64,
    ),
    deviations=(
        "no published number: the report gives none with tools",
        "the token budget holds for each message; the report's for the whole response",
    ),
    mini="mini_modular",
)
