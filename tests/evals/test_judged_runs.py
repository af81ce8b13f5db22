"""Whole runs of tasks that a model judges, over real HTTP servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mock_server import MockServer

TASK = "arena_hard_v2_hard"


def asked_of(server: MockServer) -> int:
    """Verdicts that were asked for; the check whether the server is there does not count."""
    return sum("chat" in request["path"] for request in server.requests())


@pytest.fixture
def judged_run(eval_main: Any, data_dir: Path, tmp_path: Path) -> Any:
    """Run three questions of Arena-Hard; returns (code, report, folder, stderr)."""

    def run(model: MockServer, judge: MockServer, *options: str) -> tuple[int, Any, Path, str]:
        out = tmp_path / "run"
        code, _, errors = eval_main(
            "--task", TASK, "--limit", "3", "--base-url", model.base_url, "--model", "mock",
            "--judge-base-url", judge.base_url, "--judge-model", "judge", "--data-dir", data_dir,
            "--out", out, "--retries", "0", *options,
        )  # fmt: skip
        report = out / "report.json"
        return code, json.loads(report.read_text()) if report.exists() else None, out, errors

    return run


def test_a_judged_run_keeps_its_judgments_and_pays_for_each_once(
    judged_run: Any, eval_main: Any, tmp_path: Path
) -> None:
    """The judge always likes A: each question is a draw, and the interval is that of draws."""
    with (
        MockServer(reply="my answer") as model,
        MockServer(reply="Sure. [[A>B]]", model="judge") as judge,
    ):
        code, report, out, errors = judged_run(model, judge)
        assert code == 0, errors
        task = report["tasks"][TASK]
        assert (task["headline"], task["score"]) == ("win rate", 50.0)
        assert task["judge"] == "judge"
        assert "judge: 'judge' instead of 'gpt-4.1'" in task["deviations"]
        assert report["judge"]["model"] == "judge"
        assert asked_of(judge) == 6
        asked = judge.requests()[-1]["body"]
        assert asked["temperature"] == 0
        assert "my answer" in asked["messages"][-1]["content"]
        assert len((out / "judgments.jsonl").read_text().splitlines()) == 6

        (out / "trajectories.jsonl").write_text(
            (out / "trajectories.jsonl").read_text().split("\n", 1)[0] + "\n"
        )
        code, again, _, _ = judged_run(model, judge, "--resume")
        assert (code, again["tasks"][TASK]["score"]) == (0, 50.0)
        assert asked_of(judge) == 6
    code, counted, _ = eval_main(
        "rescore", "--task", TASK, "--format", "trajectories:graded", "--outputs",
        out / "trajectories.jsonl", "--json", "--out", tmp_path / "v.jsonl",
    )  # fmt: skip
    assert (code, json.loads(counted)["metrics"]["win rate"]) == (3, 50.0)
    assert json.loads(counted)["counts"]["missing_problems"] == 497
    code, board, _ = eval_main("board", out, "--baseline", "o3-mini-2025-01-31", "--json")
    assert code == 0
    scores = {row["model"]: row["score"] for row in json.loads(board)["models"]}
    assert scores == {"mock": pytest.approx(50), "o3-mini-2025-01-31": 50}


def test_a_judge_that_answers_in_prose_makes_faults_not_losses(judged_run: Any) -> None:
    with (
        MockServer(reply="my answer") as model,
        MockServer(reply="Both are lovely.", model="judge") as judge,
    ):
        code, report, _, _ = judged_run(model, judge)
        assert asked_of(judge) == 3 * 2 * 3
    task = report["tasks"][TASK]
    assert code == 3
    assert task["counts"]["fault"] == 3
    assert task["score"] is None
    assert not task["complete"]
    assert "fault in 3 of 3 samples" in " ".join(report["problems"])


def test_without_a_judge_the_task_says_what_it_needs(
    eval_main: Any, server: MockServer, data_dir: Path
) -> None:
    code, _, errors = eval_main(
        "--task", TASK, "--base-url", server.base_url, "--model", "mock", "--data-dir", data_dir
    )
    assert code == 2
    assert "is judged by a model (published: gpt-4.1): give --judge-base-url" in errors


def test_a_judge_that_is_not_there_stops_the_run_at_once(
    judged_run: Any, server: MockServer
) -> None:
    gone = MockServer(model="judge")
    gone.stop()
    code, _, _, errors = judged_run(server, gone)
    assert code == 2
    assert "no server at" in errors


def test_judges_settings_without_a_judge_are_refused(eval_main: Any, server: MockServer) -> None:
    code, _, errors = eval_main(
        "--task",
        TASK,
        "--base-url",
        server.base_url,
        "--model",
        "m",
        "--judge-base-url",
        "http://x/v1",
    )
    assert code == 2
    assert "need --judge-model" in errors


def test_a_board_names_models_that_miss_questions(eval_main: Any, tmp_path: Path) -> None:
    games = [{"score": "A>B"}, {"score": "A>B"}]
    rows = [{"uid": str(i), "model": m, "games": games} for m in "ab" for i in range(4)]
    file = tmp_path / "judgments.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    code, out, _ = eval_main("board", file, "--baseline", "base", "--rounds", "5")
    assert code == 3
    assert "attention: b: judged on 3 of 4 questions: its score is incomplete" in out
    code, _, errors = eval_main("board", file, file, "--baseline", "base")
    assert (code, "judged twice" in errors) == (2, True)
    code, _, errors = eval_main("board", file, "--baseline", "base", "--control", "style")
    assert (code, "--control style needs --answers" in errors) == (2, True)


def test_a_toy_stands_in_with_mini(eval_main: Any, tmp_path: Path, server: MockServer) -> None:
    code, out, errors = eval_main(
        "--task", TASK, "--mini", "--base-url", server.base_url, "--model", "mock", "--limit", "4",
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert code == 0, errors
    report = json.loads(out)
    assert report["mini"]
    assert report["tasks"]["mini_pairwise"]["score"] == 0
