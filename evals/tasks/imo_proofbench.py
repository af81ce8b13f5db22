"""IMO-ProofBench."""

from cascade.envs.graded.rubrics import strict_mean
from cascade.envs.graded.sources import IMO_PROOFBENCH
from cascade.evals.published import CASCADE2
from cascade.evals.task import EvalTask, JudgeProtocol, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="imo_proofbench",
    description="60 olympiad proofs (30 basic, 30 advanced), 0 to 7 points by a judge",
    env="cascade/Graded-v0",
    env_options={"rubric": "proof", "gradings": 64, "aggregate": strict_mean},
    tasks=IMO_PROOFBENCH,
    judge=JudgeProtocol(
        "DeepSeek-V3.2-Speciale",
        SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072, seed=0),
        "Nemotron-Cascade 2, arXiv:2603.19220, appendix A: 64 gradings, any 0 makes 0, else mean",
    ),
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=262_144),
        samples=1,
        metrics=("avg@k",),
    ),
    published=(
        Published(
            "Nemotron-Cascade-2-30B-A3B", 72.9, "avg@1", CASCADE2, 1,
            "of the loop in cascade.envs.graded.refine; basic 92.5, advanced 53.4",
        ),
    ),
    breakdown="part",
    deviations=(
        "one proof each; the published number is of the loop that generates, verifies and refines",
        "the judge's prompt states ProofAutoGrader's rules in our words",
    ),
    mini="mini_graded",
)  # fmt: skip
