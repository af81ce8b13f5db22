"""Small evaluations for tests: a planned task of sums, and `cascade-eval` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cascade.envs import TaskSet
from cascade.envs.tasksets import Provenance
from cascade.evals.plan import PlannedTask
from cascade.evals.task import EvalTask, Protocol
from cascade.types import Message, SamplingParams, Task


def start_eval(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start `cascade-eval` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "cascade.evals.cli", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def planned(
    name: str = "sums",
    problems: int = 4,
    samples: int = 3,
    env: str = "cascade/Math-v0",
    **protocol: Any,
) -> PlannedTask:
    """A task whose problem number i has the answer i."""
    tasks = tuple(
        Task(f"{name}-{i}", (Message(role="user", content=f"What is {i} + 0?"),), str(i))
        for i in range(problems)
    )
    task_set = TaskSet(name, tasks, Provenance("test", "", problems))
    rules = Protocol("test", SamplingParams(max_tokens=64), samples, **protocol)
    task = EvalTask(name=name, description="", env=env, tasks="mini_arithmetic", protocol=rules)
    return PlannedTask(task, rules, task_set, problems)
