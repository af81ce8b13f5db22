"""BFCL, single turn."""

from cascade.envs.tool_calling.bfcl import BfclSource
from cascade.evals.task import EvalTask, Protocol
from cascade.types import SamplingParams

TASK = EvalTask(
    name="bfcl",
    description="1,238 requests for one or several calls of functions, or for none (BFCL, Python)",
    env="cascade/ToolCalling-v0",
    tasks=BfclSource(
        name="bfcl",
        categories=("simple", "multiple", "parallel", "parallel_multiple", "irrelevance"),
        licence="Apache-2.0",
        size=1238,
    ),
    protocol=Protocol(
        source="ShishirPatil/gorilla at de8307b (2024-08-11); sampling as on Nemotron-Cascade 2's "
        "model card",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=32_768),
        metrics=("avg@k",),
    ),
    breakdown="category",
    deviations=(
        "two questions that no response can satisfy are left out (simple_363, "
        "parallel_multiple_function_179)",
        "the leaderboard's total weighs categories, and since version 4 has others (agentic, "
        "multi-turn, live); here each question counts alike",
        "a malformed call is no abstention, and signs and slashes in strings count",
    ),
    mini="mini_tool_calling",
)
