"""Prime Intellect's verifiers evaluates environments of ours with its own runner."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cascade.envs import load_tasks
from cascade.verifiers import tools
from conftest import unavailable
from mock_server import MockServer

MODULE = """\
from cascade.envs.adapters.verifiers import plugin

CascadeEnv, CascadeTaskset, CascadeHarness = plugin({env!r}{options})
__all__ = ["CascadeEnv", "CascadeHarness", "CascadeTaskset"]
"""


@pytest.fixture(scope="session", autouse=True)
def _verifiers() -> None:
    if importlib.util.find_spec("prime_runs") is None:  # a folder of ours is called verifiers too
        unavailable("verifiers is not installed: pip install 'cascade-rl[outside]'")


def evaluated(
    folder: Path, env: str, options: dict[str, Any], server: MockServer, count: int
) -> list[dict[str, Any]]:
    """Run `vf-eval` in a process of its own; return each episode's trace, in task order."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    (folder / "my_tasks.py").write_text(MODULE.format(env=env, options=given))
    command = [
        sys.executable, "-c", "from verifiers.v1.cli.eval.main import main; main()", "my-tasks",
        "--model", "mock", "--client.base-url", server.base_url, "--no-push", "--no-rich",
        "--run.name", "run", "--output-dir", str(folder), "-n", str(count),
    ]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (folder / "run" / "traces.jsonl").read_text().splitlines()
    episodes = sorted(map(json.loads, lines), key=lambda e: e["task"]["data"]["idx"])
    return [episode["traces"][0] for episode in episodes]


def test_its_runner_scores_math_and_sends_what_our_rollout_sends(tmp_path: Path) -> None:
    tasks = load_tasks("mini_arithmetic").take(3)
    right = [(str(t.metadata["problem"]), f"\\boxed{{{t.reference}}}") for t in tasks.take(2)]
    with MockServer(reply="\\boxed{-1}", replies=tuple(right)) as server:
        options = {"tasks": "mini_arithmetic"}
        traces = evaluated(tmp_path, "cascade/Math-v0", options, server, 3)
        sent = [request["body"] for request in server.requests()]
    assert [trace["rewards"]["reward"]["score"] for trace in traces] == [1.0, 1.0, 0.0]
    assert [trace["task"]["key"] for trace in traces] == [task.id for task in tasks]
    statuses = [trace["info"]["verdict"]["status"] for trace in traces]
    assert statuses == ["correct", "correct", "wrong"]
    prompts = [{"model": "mock", "messages": [dict(m) for m in task.messages]} for task in tasks]
    assert sorted(map(str, sent)) == sorted(map(str, prompts))


def test_its_runner_plays_several_turns_with_tools(tmp_path: Path) -> None:
    task = load_tasks("mini_workplace")[0]
    calls = tools.render_calls(tools.gold_calls(task.reference), "nemotron")
    with MockServer(reply=calls, replies=(("office@dunelogistics", "Done."),)) as server:
        options = {"tasks": "mini_workplace"}
        (trace,) = evaluated(tmp_path, "cascade/Workplace-v0", options, server, 1)
        sent = [request["body"] for request in server.requests()]
    assert trace["rewards"]["reward"]["score"] == 1.0
    assert [len(body["messages"]) for body in sent] == [
        2,
        3 + len(tools.gold_calls(task.reference)),
    ]
    assert sent[0]["tools"] == [dict(tool) for tool in task.tools]
    assert len(trace["calls"]) == 2


def test_a_fault_is_an_error_and_has_no_reward(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"problem": "?", "answer": "\\frac{\\sqrt{8}}{2}"}) + "\n")
    with MockServer(reply="\\boxed{\\sqrt{2}}") as server:
        options = {"tasks": str(tasks), "timeout_seconds": 1e-6}
        (trace,) = evaluated(tmp_path, "cascade/Math-v0", options, server, 1)
    assert not trace["ok"]
    assert trace["rewards"] == {}
    assert "FAULT" in trace["errors"][0]["message"]
