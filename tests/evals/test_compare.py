"""Comparing two runs problem by problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def _verdicts(path: Path, rewards: dict[str, list[float]], task: str = "t") -> Path:
    rows = [
        {"task": task, "id": name, "sample": i, "status": "correct" if r else "wrong", "reward": r}
        for name, given in rewards.items()
        for i, r in enumerate(given)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_runs_are_compared_problem_by_problem(eval_main: Any, tmp_path: Path) -> None:
    """B solves a subset of what A solves: far apart although each interval is wide."""
    a = _verdicts(tmp_path / "a.jsonl", {f"p{i}": [float(i < 24)] for i in range(30)})
    b = _verdicts(tmp_path / "b.jsonl", {f"p{i}": [float(i < 14)] for i in range(30)})
    code, out, _ = eval_main("compare", a, b, "--json")
    (task,) = json.loads(out)["tasks"]
    assert code == 0
    assert task["difference"] == pytest.approx(100 / 3)
    assert (task["a_better"], task["b_better"], task["problems"]) == (10, 0, 30)
    assert task["p_value"] == pytest.approx(2 / 2**10)
    assert task["sentence"] == "A is better"
    assert task["standard_error"] < task["unpaired_standard_error"]
    assert task["detectable"] > task["standard_error"] * 2


def test_runs_that_cannot_be_told_apart_are_tied(eval_main: Any, tmp_path: Path) -> None:
    a = _verdicts(tmp_path / "a.jsonl", {"p": [1.0, 0.0], "q": [0.0, 1.0], "r": [1.0, 1.0]})
    b = _verdicts(tmp_path / "b.jsonl", {"p": [0.0, 0.0], "q": [1.0, 1.0], "r": [1.0, 1.0]})
    _, out, _ = eval_main("compare", a, b)
    assert "tied" in out


def test_different_problems_are_refused_with_their_names(eval_main: Any, tmp_path: Path) -> None:
    a = _verdicts(tmp_path / "a.jsonl", {"p": [1.0], "q": [1.0], "x": [0.0]})
    b = _verdicts(tmp_path / "b.jsonl", {"p": [0.0], "q": [1.0], "y": [0.0]})
    code, _, errors = eval_main("compare", a, b)
    assert code == 2
    assert "only in A: x; only in B: y" in errors
    code, out, _ = eval_main("compare", a, b, "--common", "--json")
    (task,) = json.loads(out)["tasks"]
    assert (code, task["problems"], task["left_out"]) == (0, 2, 2)


def test_different_tasks_are_refused(eval_main: Any, tmp_path: Path) -> None:
    a = _verdicts(tmp_path / "a.jsonl", {"p": [1.0]}, "aime24")
    b = _verdicts(tmp_path / "b.jsonl", {"p": [1.0]}, "aime25")
    code, _, errors = eval_main("compare", a, b)
    assert code == 2
    assert "aime24" in errors
    assert "aime25" in errors


def test_what_is_no_run_is_refused(eval_main: Any, tmp_path: Path) -> None:
    a = _verdicts(tmp_path / "a.jsonl", {"p": [1.0]})
    bad = tmp_path / "b.jsonl"
    bad.write_text('{"task": "t", "id": "p"}\n')
    assert "line 1: no field 'status'" in eval_main("compare", a, bad)[2]
    assert "no such run folder" in eval_main("compare", a, tmp_path / "nothing")[2]


def test_faults_are_left_out_of_a_comparison(eval_main: Any, tmp_path: Path) -> None:
    a = _verdicts(tmp_path / "a.jsonl", {"p": [1.0], "q": [1.0]})
    b = _verdicts(tmp_path / "b.jsonl", {"p": [1.0], "q": [1.0]})
    with b.open("a") as file:
        file.write('{"task": "t", "id": "p", "sample": 1, "status": "fault", "reward": 0.0}\n')
    _, out, _ = eval_main("compare", a, b, "--json")
    assert json.loads(out)["tasks"][0]["difference"] == 0.0


def test_run_folders_are_compared(eval_main: Any, server: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        eval_main(
            "--task", "mini_arithmetic", "--limit", 5, "--base-url", server.base_url,
            "--model", "mock", "--out", tmp_path / name,
        )  # fmt: skip
    code, out, _ = eval_main("compare", tmp_path / "a", tmp_path / "b", "--json")
    (task,) = json.loads(out)["tasks"]
    assert (code, task["task"], task["problems"], task["p_value"]) == (0, "mini_arithmetic", 5, 1.0)
