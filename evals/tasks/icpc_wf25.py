"""ICPC World Finals 2025."""

from cascade.envs.contest.sources import PackageFolder
from cascade.evals.contests import SOLVED
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="icpc_wf25",
    description="Twelve problems of the ICPC World Finals 2025, solved or not",
    env="cascade/Contest-v0",
    env_options={"rules": "icpc", "submissions": 1},
    tasks=PackageFolder(name="icpc_wf25", folder="icpc_wf2025_packages", form="kattis", size=12),
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A: up to 1,000 generations",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        samples=1000,
        metrics=("avg@k",),
        set_metrics=(SOLVED,),
        headline="solved",
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 10, "solved", CASCADE2, 1000, "after filtering"),
    ),
    deviations=("every sample is judged; the report submits few, chosen on the public tests",),
    mini="mini_code",
)
