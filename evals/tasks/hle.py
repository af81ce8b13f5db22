"""Humanity's Last Exam, questions without pictures."""

from cascade.envs.graded.sources import HLE
from cascade.evals.judge_models import GPT_OSS_120B
from cascade.evals.published import cascade2
from cascade.evals.task import EvalTask, Protocol
from cascade.evals.where import Condition
from cascade.types import SamplingParams

TASK = EvalTask(
    name="hle",
    description="2,158 questions at the frontier of knowledge without pictures, judged by a model",
    env="cascade/Graded-v0",
    env_options={"rubric": "equal"},
    tasks=HLE,
    where=(Condition("image", "=", "no"),),
    size=2158,
    judge=GPT_OSS_120B,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A: the question and a box",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        metrics=("avg@k",),
    ),
    published=cascade2("avg@1", 1, (17.7, 10.6, 18.3, 22.4)),
    breakdown="category",
    deviations=(
        "the judge's prompt states the published judge's rules in our words",
        "the boxed form scores 6 to 7 points above the official one, by the report",
    ),
    mini="mini_graded",
)
