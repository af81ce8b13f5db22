"""`cascade-eval list` and `cascade-eval show TASK`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cascade.envs.tasksets import TaskSource
from cascade.evals.plan import plain
from cascade.evals.suites import SUITES
from cascade.evals.task import EvalTask, JudgeProtocol, find_task, task_names

__all__ = ["describe", "list_tasks", "show_task"]


def list_tasks(*, as_json: bool = False) -> None:
    """Print suites and tasks."""
    tasks = [find_task(name) for name in task_names()]
    if as_json:
        suites = {s.name: {"description": s.description, "tasks": s.tasks} for s in SUITES.values()}
        print(json.dumps({"suites": suites, "tasks": {t.name: describe(t) for t in tasks}}))
        return
    print("suites:")
    for suite in SUITES.values():
        print(f"  {suite.name}: {suite.description}\n    {', '.join(suite.tasks)}")
    print("\ntasks:")
    width = max(len(task.name) for task in tasks)
    for task in tasks:
        rows = task.num_problems
        protocol = f"{'?' if rows is None else f'{rows:,}'} × {task.protocol.samples}"
        print(f"  {task.name:{width}}  {protocol:>10}  {task.description}")


def show_task(name: str, *, as_json: bool = False) -> None:
    """Print everything that is known about a task.

    Raises:
        UnknownNameError: no such task.
    """
    task = find_task(name)
    facts = describe(task)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    _print(facts)


def describe(task: EvalTask) -> dict[str, Any]:
    """Return a task as plain data: source, licence, rows, protocol, published numbers."""
    source = task.source
    data: dict[str, Any] = {"task_set": source.name, "rows": source.size, "licence": task.licence}
    if isinstance(source, TaskSource):
        data |= {"hub": source.hub, "config": source.config, "split": source.split,
                 "revision": source.revision, "files": list(source.files)}  # fmt: skip
    else:
        data |= {"generator": source.kind, "difficulty": source.difficulty}
    return {
        "name": task.name,
        "description": task.description,
        "toy": task.toy,
        "env": task.env,
        "env_options": plain(task.env_options),
        "judge": None if task.judge is None else _judge(task.judge),
        "data": data,
        "protocol": task.protocol.as_json(),
        "deviations": list(task.deviations),
        "mini": task.mini,
        "published": [{f.name: getattr(p, f.name) for f in fields(p)} for p in task.published],
    }


def _judge(judge: JudgeProtocol) -> dict[str, Any]:
    sampling = {f.name: plain(getattr(judge.sampling, f.name)) for f in fields(judge.sampling)}
    return {"model": judge.model, "source": judge.source, "sampling": sampling,
            "attempts": judge.attempts}  # fmt: skip


def _print(facts: Mapping[str, Any], indent: str = "") -> None:
    for key, value in facts.items():
        if value in (None, "", [], {}, False):
            continue
        if isinstance(value, Mapping):
            print(f"{indent}{key}:")
            _print(value, indent + "  ")
        elif isinstance(value, list):
            print(f"{indent}{key}:")
            for item in value:
                print(f"{indent}  - {_line(item)}")
        else:
            print(f"{indent}{key}: {value}")


def _line(item: Any) -> str:
    if isinstance(item, Mapping):
        return ", ".join(f"{key} {value}" for key, value in item.items() if value not in (None, ""))
    return str(item)
