"""BFCL, several requests in one conversation."""

from cascade.envs.bfcl import BfclMultiTurnSource
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="bfcl_multi_turn",
    description="200 conversations with simulated services (BFCL, multi_turn_base)",
    env="cascade/BfclMultiTurn-v0",
    tasks=BfclMultiTurnSource(
        name="bfcl_multi_turn", category="multi_turn_base", licence="Apache-2.0", size=200
    ),
    protocol=Protocol(
        source="ShishirPatil/gorilla at 6ea5797, bfcl-eval 2026.3.23; sampling as on "
        "Nemotron-Cascade 2's model card",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=32_768),
        metrics=("avg@k",),
    ),
    deviations=(
        "needs the distribution bfcl-eval, whose classes are the services",
        "the first request that fails ends the conversation; the score is the same",
    ),
    mini="mini_pantry",
)
