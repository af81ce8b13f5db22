"""SciCode."""

from cascade.envs.scicode.sources import SCICODE
from cascade.evals.published import CASCADE2
from cascade.evals.setmetrics import Problems, SetMetric
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams


def _sub_problems(problems: Problems) -> float:
    """Share of the steps that passed."""
    parts = [record.parts for samples in problems for record in samples if record.parts]
    asked = sum(part["asked"] for part in parts)
    return 100.0 * sum(part["passed"] for part in parts) / asked if asked else 0.0


TASK = EvalTask(
    name="scicode",
    description="65 research problems in 288 steps, each a function that numeric tests judge",
    env="cascade/SciCode-v0",
    tasks=SCICODE,
    protocol=Protocol(
        source="Tian et al. 2024, arXiv:2407.13168, without background; sampling of Nemotron-"
        "Cascade 2, arXiv:2603.19220",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=131_072),
        metrics=("avg@k",),
        set_metrics=(
            SetMetric("sub-problems", "steps that pass their tests, of all asked", _sub_problems),
        ),
        headline="sub-problems",
    ),
    published=(
        Published("Nemotron-Cascade-2-30B-A3B", 36.4, "sub-problems", CASCADE2),
        Published("Nemotron-3-Nano-30B-A3B", 33.3, "sub-problems", CASCADE2),
        Published("Nemotron-3-Super-120B-A12B", 42.1, "sub-problems", CASCADE2),
        Published("Qwen3.5-35B-A3B", 38.0, "sub-problems", CASCADE2),
    ),
    deviations=(
        "that the report counts sub-problems, not main problems, is our reading: it does not say",
        "the steps of a problem are asked in one conversation, in our words; the original asks "
        "each anew and shows the functions so far",
        "a step without code is skipped; the original puts the whole answer into later programs",
        "1,800 s of processor time, not of wall time, and 1 GiB of memory",
    ),
    mini="mini_code",
)
