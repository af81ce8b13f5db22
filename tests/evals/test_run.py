"""`cascade-eval` as a person runs it: folders, reports, exit codes, kill -9, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.trajectories import read_trajectories
from cascade.errors import ConfigError
from cascade.evals.folder import RunFolder
from mock_server import MockServer
from small_runs import start_eval

MINI = ("--suite", "reasoning", "--mini")


def _server_options(server: MockServer) -> tuple[str, ...]:
    return "--base-url", server.base_url, "--model", "mock"


def _wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    pytest.fail(f"{path} never had {count} lines")


def _keys(folder: Path) -> Counter[tuple[Any, str, int]]:
    rows = read_trajectories(folder / "trajectories.jsonl")
    return Counter((t.metadata["task"], t.task_id, t.sample) for t in rows)


def test_a_mini_run_says_first_that_it_is_a_toy(
    eval_main: Any, server: MockServer, tmp_path: Path
) -> None:
    """Neither the table nor report.json can be mistaken for a benchmark result."""
    code, out, _ = eval_main(*MINI, *_server_options(server), "--limit", 5, "--out", tmp_path / "r")
    assert out.splitlines()[0].startswith("TOY RUN: toy problems")
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["mini"] is True
    assert report["notice"].startswith("TOY RUN")
    assert set(report["tasks"]) == {
        "mini_arithmetic", "mini_modular", "mini_number_theory", "mini_choice",
    }  # fmt: skip
    assert all(task["published"] == [] for task in report["tasks"].values())
    assert "published" not in out
    assert code == 3  # the server answers multiple choice with a number: unparsable
    assert report["problems"] == [
        "mini_choice: unparsable in 20 of 20 samples (100.0%, the limit is 20%)"
    ]


def test_a_clean_run_exits_0_and_its_report_repeats_everything(
    eval_main: Any, server: MockServer, tmp_path: Path
) -> None:
    code, out, _ = eval_main(
        "--task", "mini_arithmetic", *_server_options(server), "--out", tmp_path / "r", "--json",
        "--seed", 5, "--temperature", 0.5,
    )  # fmt: skip
    assert code == 0
    report = json.loads(out)
    assert report == json.loads((tmp_path / "r" / "report.json").read_text())
    task = report["tasks"]["mini_arithmetic"]
    assert (report["status"], report["seed"], report["model"]) == ("complete", 5, "mock")
    assert task["samples"] == task["expected_samples"] == 200
    assert len(task["data"]["sha256"]) == 64
    assert task["protocol"]["sampling"]["temperature"] == 0.5
    assert task["deviations"] == ["temperature: 0.5 instead of 1.0"]
    assert report["versions"]["cascade"]
    assert report["engine"]["base_url"] == server.base_url
    assert report["engine"]["server_version"] == "mock 1.2"
    assert report["engine"]["template"] == "the server's own"
    assert task["available_problems"] == 50
    assert set(task["counts"]) == {
        "correct", "partial", "wrong", "no_answer", "fault", "truncated", "empty", "unparsable",
        "refused",
    }  # fmt: skip
    assert report["command"].startswith("cascade-eval --task mini_arithmetic")


def test_what_a_content_filter_ends_is_counted_and_shown(
    eval_main: Any, server: MockServer, tmp_path: Path
) -> None:
    server.script(*[{"choice": {"finish_reason": "content_filter"}}] * 3)
    code, out, _ = eval_main(
        "--task", "mini_arithmetic", "--limit", 2, "--samples", 2, *_server_options(server),
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert code == 3
    assert "refused in 3 of 4 samples (75.0%, the limit is 5%)" in " ".join(out.split())
    counts = json.loads((tmp_path / "r" / "report.json").read_text())["tasks"]["mini_arithmetic"]
    assert counts["counts"]["refused"] == 3
    assert counts["samples"] == 4


def test_published_numbers_stand_beside_ours(
    eval_main: Any, server: MockServer, tmp_path: Path, data_dir: Path
) -> None:
    code, out, _ = eval_main(
        "--task", "aime25", "--samples", 2, *_server_options(server), "--out", tmp_path / "r",
        "--data-dir", data_dir,
    )  # fmt: skip
    assert code == 0
    assert not out.startswith("TOY")
    assert "published: aime25 92.4 Nemotron-Cascade-2-30B-A3B (avg@64): below by 92.4" in out
    assert "changed: aime25: samples: 2 instead of 64" in out


def test_a_run_that_was_killed_is_finished_without_repeating_anything(
    server: MockServer, tmp_path: Path
) -> None:
    """Kill -9 in the middle: the resumed run draws exactly what is missing."""
    folder = tmp_path / "run"
    options = ("--task", "mini_modular", "--concurrency", "4", "--out", folder)
    process = start_eval(*options, *_server_options(server))
    _wait_for_lines(folder / "trajectories.jsonl", 40, process)
    process.kill()
    process.communicate()
    before = _keys(folder)
    assert 40 <= before.total() < 200
    server.reset()
    resumed = start_eval(*options, *_server_options(server), "--resume")
    _, errors = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, errors
    assert f"resuming: {before.total()} samples are done" in errors
    after = _keys(folder)
    assert set(after.values()) == {1}
    assert after.total() == 200
    samples = [r for r in server.requests() if r["path"].endswith("/chat/completions")]
    assert len(samples) == 200 - before.total()


def test_ctrl_c_ends_cleanly_with_what_there_is(server: MockServer, tmp_path: Path) -> None:
    """SIGINT: a report of the finished samples, exit code 130, and a hint how to go on."""
    folder = tmp_path / "run"
    process = start_eval(
        "--task", "mini_modular", "--concurrency", "2", "--out", folder, *_server_options(server)
    )
    _wait_for_lines(folder / "trajectories.jsonl", 20, process)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert f"--resume --out {folder}" in errors
    report = json.loads((folder / "report.json").read_text())
    assert report["status"] == "interrupted"
    task = report["tasks"]["mini_modular"]
    assert 20 <= task["samples"] == _keys(folder).total() < 200
    assert not task["complete"]
    assert "incomplete" in out


def test_a_server_that_dies_half_way_keeps_what_is_done(tmp_path: Path) -> None:
    """The run ends by itself, exit code 3; another server finishes it."""
    folder = tmp_path / "run"
    options = (
        "--task", "mini_arithmetic", "--concurrency", "4", "--out", folder, "--model", "mock",
        "--engine-option", "max_retries=1", "--engine-option", "retry_seconds=0.01",
    )  # fmt: skip
    with MockServer(reply="\\boxed{12}", die_after=50) as dying:
        process = start_eval(*options, "--base-url", dying.base_url)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    assert "failures of the engine in a row" in out.replace("\n", " ")
    done = [t for t in read_trajectories(folder / "trajectories.jsonl") if not t.verdict.is_fault]
    assert 40 <= len(done) <= 50
    with MockServer(reply="\\boxed{12}") as alive:
        resumed = start_eval(*options, "--base-url", alive.base_url, "--resume")
        _, errors = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, errors
    good = {(t.task_id, t.sample) for t in read_trajectories(folder / "trajectories.jsonl")
            if not t.verdict.is_fault}  # fmt: skip
    assert len(good) == 200


def test_a_run_folder_is_never_overwritten(
    eval_main: Any, server: MockServer, tmp_path: Path
) -> None:
    options = ("--task", "mini_arithmetic", "--limit", 3, *_server_options(server))
    assert eval_main(*options, "--out", tmp_path / "r")[0] == 0
    before = (tmp_path / "r" / "trajectories.jsonl").read_bytes()
    code, _, errors = eval_main(*options, "--out", tmp_path / "r")
    assert code == 2
    assert "add --resume" in errors
    assert (tmp_path / "r" / "trajectories.jsonl").read_bytes() == before


def test_resuming_with_another_protocol_names_the_fields(
    eval_main: Any, server: MockServer, tmp_path: Path
) -> None:
    options = ("--task", "mini_arithmetic", "--limit", 3, *_server_options(server))
    assert eval_main(*options, "--out", tmp_path / "r")[0] == 0
    code, _, errors = eval_main(
        *options, "--out", tmp_path / "r", "--resume", "--samples", 5, "--seed", 1
    )
    assert code == 2
    assert "tasks.mini_arithmetic.protocol.samples was 4, now 5" in errors
    assert "seed was 0, now 1" in errors


def test_two_processes_cannot_write_one_folder(tmp_path: Path) -> None:
    first = RunFolder(tmp_path, {"format": "cascade.run/1"}, resume=False)
    with pytest.raises(ConfigError, match="another process"):
        RunFolder(tmp_path, {"format": "cascade.run/1"}, resume=True)
    first.close()
    RunFolder(tmp_path, {"format": "cascade.run/1"}, resume=True).close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "reasonin", "--mini"), "did you mean 'reasoning'"),
        (("--task", "aime_25", "--mini"), "did you mean 'aime25'"),
        (("--task", "aime25"), "which model"),
        (("--mini", "--engine", "htpp", "--model", "m", "--task", "aime25"), "did you mean 'http'"),
        (("--mini", "--engine", "http", "--task", "aime25"), "needs --model"),
        (("--engine", "torch", "--base-url", "http://x/v1", "--task", "gsm8k"), "--engine torch"),
        (("--mini",), "--suite NAME or --task NAME"),
        (("--suite", "reasoning", "--mini", "--resume"), "--resume needs --out"),
        (("--suite", "reasoning", "--mini", "--max-empty-share", "2"), "share from 0 to 1"),
        (("--suite", "reasoning", "--mini", "--temperature", "-1"), "temperature must be 0"),
        (("--suite", "reasoning", "--mini", "--sampling-extra", "[]"), "must be a JSON object"),
        (("--suite", "reasoning", "--mini", "--engine-option", "x"), "NAME=VALUE"),
    ],
)
def test_what_cannot_run_is_one_line_and_exit_code_2(
    eval_main: Any, arguments: tuple[str, ...], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, errors = eval_main(*arguments)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert out == ""
    assert os.listdir(tmp_path) == []


def test_a_server_that_is_not_there_is_exit_code_2(eval_main: Any, tmp_path: Path) -> None:
    code, _, errors = eval_main(
        *MINI, "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--out", tmp_path / "r"
    )
    assert code == 2
    assert "no server at http://127.0.0.1:9/v1" in errors


def test_an_unknown_model_is_exit_code_2(
    eval_main: Any, server: MockServer, tmp_path: Path
) -> None:
    code, _, errors = eval_main(
        *MINI, "--base-url", server.base_url, "--model", "nosuch", "--out", tmp_path / "r"
    )
    assert code == 2
    assert "it has 'mock'" in errors


def test_a_key_is_read_from_the_environment_and_never_stored(
    eval_main: Any, server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    code, _, _ = eval_main(
        "--task", "mini_arithmetic", "--limit", 2, *_server_options(server),
        "--api-key-env", "MY_KEY", "--out", tmp_path / "r",
    )  # fmt: skip
    assert code == 0
    assert server.requests()[-1]["headers"]["authorization"] == "Bearer sk-very-secret"
    for file in (tmp_path / "r").iterdir():
        assert b"very-secret" not in file.read_bytes()


def test_missing_data_can_be_left_out_loudly(
    eval_main: Any, server: MockServer, tmp_path: Path, data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out, _ = eval_main(
        "--task", "aime25", "--task", "aime26", "--samples", 1, *_server_options(server),
        "--data-dir", data_dir, "--skip-missing", "--out", tmp_path / "r",
    )  # fmt: skip
    assert code == 0
    assert "left out: aime26: task set 'aime26' is not on this machine" in out
