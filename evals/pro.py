"""LiveCodeBench Pro: one task for each quarter and difficulty, as the numbers are published."""

from __future__ import annotations

from cascade.envs.code.sources import LCB_PRO_25Q1, LCB_PRO_25Q2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.evals.where import Condition
from cascade.types import SamplingParams

__all__ = ["pro_task"]

_SOURCES = {"25q1": LCB_PRO_25Q1, "25q2": LCB_PRO_25Q2}
_ABOUT_DATA = {
    "25q1": "whether every problem of this quarter has published tests could not be checked",
    "25q2": "3 of the quarter's 167 problems (2086F, 2101F, 2109B) have no published tests",
}


def pro_task(quarter: str, difficulty: str, published: tuple[Published, ...]) -> EvalTask:
    """Return the task of a quarter ("25q1", "25q2") and a difficulty ("easy", "medium", "hard")."""
    return EvalTask(
        name=f"livecodebench_pro_{quarter}_{difficulty}",
        description=f"LiveCodeBench Pro {quarter.upper()}, {difficulty}: C++, tests with checkers",
        env="cascade/Code-v0",
        tasks=_SOURCES[quarter],
        where=(Condition("difficulty", "=", difficulty),),
        protocol=Protocol(
            source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A: avg@8; LiveCodeBench Pro, "
            "arXiv:2506.11928",
            sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
            samples=8,
            metrics=("avg@k", "pass@k"),
        ),
        published=published,
        deviations=(
            _ABOUT_DATA[quarter],
            "the prompt is in our words: the toolkit's states no licence",
            "the columns are those that the toolkit's benchmark.py reads (problem_id, difficulty, "
            "problem_statement, …); the data set itself is gated and was not seen",
        ),
        mini="mini_code",
    )
