"""Documents that satisfy a schema."""

from cascade.envs.tasksets import MiniSource
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="documents",
    description="150 generated requests for small documents in JSON, YAML, TOML, XML and CSV",
    env="cascade/StructuredOutput-v0",
    tasks=MiniSource(kind="structured_output", difficulty=5, size=150),
    protocol=Protocol(
        source="none: our own; judged as in Nemotron-Cascade 2, arXiv:2603.19220, section 4.3",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=32_768),
        metrics=("avg@k",),
    ),
    mini="mini_structured_output",
)
