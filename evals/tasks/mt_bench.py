"""MT-Bench."""

from statistics import fmean

from cascade.envs.graded.mt_bench import LOWEST, MT_BENCH
from cascade.evals.setmetrics import Problems, SetMetric
from cascade.evals.task import EvalTask, JudgeProtocol, Protocol, Published
from cascade.types import SamplingParams

_PAPER = "Zheng et al. 2023, arXiv:2306.05685"
_BLOG = "lmsys.org/blog/2023-06-22-leaderboard, Table 1"


def _score(problems: Problems) -> float:
    """Mean grade of both turns of all samples; a sample without grades has the lowest."""
    return fmean(
        record.parts.get(turn, LOWEST)
        for samples in problems
        for record in samples
        for turn in ("turn_1", "turn_2")
    )


TASK = EvalTask(
    name="mt_bench",
    description="80 conversations of two questions, each answer graded from 1 to 10 by a judge",
    env="cascade/MtBench-v0",
    tasks=MT_BENCH,
    judge=JudgeProtocol(
        "gpt-4",
        SamplingParams(temperature=0.0, max_tokens=2048),
        "lm-sys/FastChat at 0e6d3e4, fastchat/llm_judge: single-answer grading",
    ),
    protocol=Protocol(
        source=f"{_PAPER}; lm-sys/FastChat at 0e6d3e4, fastchat/llm_judge",
        sampling=SamplingParams(temperature=0.7, max_tokens=1024),
        metrics=(),
        set_metrics=(
            SetMetric("score", "mean grade of both turns, 1 to 10", _score, unit="of 10"),
        ),
        headline="score",
    ),
    published=(
        Published("gpt-4", 8.99, "score", _BLOG),
        Published("gpt-3.5-turbo", 7.94, "score", _BLOG),
        Published("vicuna-33b-v1.3", 7.12, "score", _BLOG),
    ),
    breakdown="category",
    deviations=(
        "not part of the Cascade 2 report",
        "one temperature; the original has 0.7 for writing and roleplay, 0.1 for stem and "
        "humanities, 0 elsewhere",
        "a reply without a grade makes a FAULT; the original leaves that turn out",
    ),
    mini="mini_graded",
)
