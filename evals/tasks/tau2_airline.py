"""τ²-bench, airline."""

from cascade.envs.tau2.tasks import Tau2Source
from cascade.evals.task import EvalTask, JudgeProtocol, Protocol, Published
from cascade.types import SamplingParams

TASK = EvalTask(
    name="tau2_airline",
    description="50 customers of an airline, helped with tools and by a policy (τ²-bench)",
    env="cascade/Tau2-v0",
    tasks=Tau2Source(
        name="tau2_airline",
        domain="airline",
        files=("tau2_toolorchestra/airline_1trial.json.gz",),
        size=50,
        licence="MIT",
    ),
    protocol=Protocol(
        source="Nemotron-Cascade 2, arXiv:2603.19220, appendix A: avg@16, reasoning kept since "
        "the user's last message; sampling as on the model card: T 1.0, top-p 0.95",
        sampling=SamplingParams(temperature=1.0, top_p=0.95, max_tokens=32_768),
        samples=16,
        metrics=("avg@k", "pass@k", "all@2", "all@4"),
    ),
    judge=JudgeProtocol(
        model="gpt-4.1-2025-04-14",
        sampling=SamplingParams(temperature=0.0, max_tokens=4_096, seed=0),
        source="the user simulator of sierra-research/tau2-bench; the one behind the report is not "
        "published",
    ),
    published=(
        Published(
            "Nemotron-Orchestrator-8B",
            56.0,
            "pass@1",
            "sierra-research/tau2-bench at a2c0247, submission toolorchestra_nvidia_2025-12-02",
            1,
            "user simulator gpt-5, several models behind one",
        ),
    ),
    deviations=(
        "descriptions of the tools are our own",
        "an agent may send 100 messages; the publisher counts 200 steps of both sides",
    ),
    mini="mini_customers",
)
