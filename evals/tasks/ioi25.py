"""International Olympiad in Informatics 2025."""

from cascade.envs.contest.sources import PackageFolder
from cascade.evals.contests import IOI_POINTS
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="ioi25",
    description="Six problems of IOI 2025, 600 points in subtasks, with verdicts in the prompt",
    env="cascade/Contest-v0",
    env_options={"rules": "ioi", "submissions": 50},
    tasks=PackageFolder(name="ioi25", folder="ioi2025_packages", form="cms", size=6),
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A: 50 rounds, 40 candidates a round",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        samples=40,
        metrics=("avg@k",),
        set_metrics=(IOI_POINTS,),
        headline="points",
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 439.28, "points", CASCADE2, 2000, "gold: 438.3"),
        Published("Qwen3.5-35B-A3B", 348.6, "points", CASCADE2, 2000),
    ),
    deviations=(
        "40 contestants of 50 submissions each, the best of every subtask counts; the report draws "
        "40 candidates in each of 50 rounds a subtask and shows all of them the same history",
    ),
    mini="mini_code",
)
