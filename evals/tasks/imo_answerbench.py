"""IMO-AnswerBench."""

from cascade.envs.graded.sources import IMO_ANSWERBENCH
from cascade.evals.judge_models import GPT_OSS_120B
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="imo_answerbench",
    description="399 olympiad problems with short answers (Luong et al. 2025), equality by a judge",
    env="cascade/Graded-v0",
    env_options={"rubric": "answer"},
    tasks=IMO_ANSWERBENCH,
    judge=GPT_OSS_120B,
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=1.0, max_tokens=262_144),
        samples=16,
        metrics=("avg@k", "pass@k"),
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 79.3, "avg@16", CASCADE2, 16),
        Published("Nemotron-3-Nano-30B-A3B", 70.4, "avg@16", CASCADE2, 16),
        Published("Nemotron-3-Super-120B-A12B", 77.2, "avg@16", CASCADE2, 16),
        Published("Qwen3.5-35B-A3B", 74.8, "avg@16", CASCADE2, 16),
    ),
    breakdown="category",
    deviations=(
        "399 of 400 problems: the published file (v2) lost the answer of imo-bench-algebra-036",
        "the judge's prompt states AnswerAutoGrader's rules in our words",
    ),
    mini="mini_graded",
)
