"""Run folders for tests and benchmarks of the viewer: written like real ones, without a model."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cascade.envs.trajectories import TrajectoryWriter
from cascade.evals.folder import write_json
from cascade.evals.records import record_of
from cascade.evals.report import build_report
from cascade.evals.summary import Limits
from cascade.types import Completion, Message, StopReason, Trajectory, Verdict
from small_runs import planned

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    "<!--<script> {{7*7}} \u2028\u2029 \ud800 lone \u202etxet kcab\u202c \x1b[31mred\x00 "
)

Change = Callable[[Trajectory, random.Random], Trajectory]


def unchanged(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """Leave the trajectory as it is."""
    return trajectory


def write_run(
    folder: Path,
    problems: int = 6,
    samples: int = 4,
    *,
    seed: int = 0,
    skill: float = 0.6,
    filler: int = 20,
    change: Change = unchanged,
) -> Path:
    """Write a run on sums (task "sums"): right with chance `skill`, drawn from `seed`."""
    plan = planned(problems=problems, samples=samples)
    rng = random.Random(seed)
    records = []
    with TrajectoryWriter(folder / "trajectories.jsonl") as writer:
        for number in range(samples):
            for index, task in enumerate(plan.tasks):
                trajectory = _sum(task.id, index, number, rng, skill, filler)
                trajectory = change(trajectory, rng)
                writer.write(trajectory)
                records.append(record_of(trajectory, "sums"))
    facts = {"model": f"model-{seed}", "seed": seed, "seconds": 1.0, "engine": {"kind": "test"}}
    report = build_report([plan], records, Limits(), engine_kind="test", facts=facts)
    write_json(folder / "report.json", report.as_json())
    return folder


def _sum(
    task_id: str, index: int, number: int, rng: random.Random, skill: float, filler: int
) -> Trajectory:
    right = rng.random() < skill
    answer = str(index if right else index + rng.choice((1, 2)))
    words = " ".join(rng.choices(("carry", "digit", "sum", "check", "hence"), k=filler))
    text = f"<think>\n{words} {number}\n</think>\nSo \\boxed{{{answer}}}"
    question = Message(role="user", content=f"What is {index} + 0?")
    return Trajectory(
        task_id=task_id, env_id="cascade/Math-v0", sample=number,
        messages=(question, Message(role="assistant", content=text)),
        completions=(Completion(text, StopReason.STOP, num_tokens=filler + rng.randrange(40)),),
        verdict=Verdict.correct(answer) if right else Verdict.wrong(answer, f"not {index}"),
        stop_reason=StopReason.STOP, reward=float(right), seed=rng.randrange(1000),
        seconds=rng.random(), metadata={"task": "sums"},
    )  # fmt: skip


def with_text(trajectory: Trajectory, text: str) -> Trajectory:
    """Put another response into a trajectory."""
    messages = (*trajectory.messages[:-1], Message(role="assistant", content=text))
    completion = replace(trajectory.completions[0], text=text)
    return replace(trajectory, messages=messages, completions=(completion,))
