"""`cascade-eval --suite cascade2` over vLLM's own server: all tasks with data, two problems each.

The toy model answers, and judges too: it solves nothing and gives hardly a verdict. What counts is
that every task is asked, judged and counted, and that what cannot be judged is a FAULT.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cascade.evals.suites import find_suite
from cascade.trainer.toy import cached_toy
from vllm_server import serving, vllm_python

HAVE_DATA = {
    "aime25", "hmmt_feb25", "aime25_python", "imo_answerbench", "imo_proofbench",
    "arena_hard_v2_hard", "ifbench", "bfcl", "tau2_retail", "ruler_1m",
}  # fmt: skip
"""Whose data lies in the folder, or is generated."""


def test_the_whole_suite_runs_over_a_real_server(data_dir: Path, tmp_path: Path) -> None:
    vllm_python()
    toy = cached_toy(show_progress=False)
    out = tmp_path / "run"
    tools = ("--enable-auto-tool-choice", "--tool-call-parser", "qwen3_coder")
    with serving(toy, "toy", tmp_path / "server.log", arguments=tools) as url:
        command = [
            sys.executable, "-m", "cascade.evals.cli", "--suite", "cascade2", "--skip-missing",
            "--limit", "2", "--samples", "1", "--max-tokens", "8", "--temperature", "1",
            "--base-url", url, "--model", "toy", "--judge-base-url", url, "--judge-model", "toy",
            "--judge-max-tokens", "8",
            "--data-dir", str(data_dir), "--out", str(out), "--retries", "0",
            "--max-truncated-share", "1", "--max-no-answer-share", "1",
            "--max-unparsable-share", "1", "--max-empty-share", "1", "--max-fault-share", "1",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 3), done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    tasks, skipped = report["tasks"], report["skipped"]
    assert set(find_suite("cascade2").tasks) == {*tasks, *skipped}
    assert set(tasks) >= HAVE_DATA, skipped
    for name, task in tasks.items():
        assert task["samples"] == 2, (name, task["samples"])
        judged = sum(
            task["counts"][status] for status in ("correct", "partial", "wrong", "no_answer")
        )
        assert judged + task["counts"]["fault"] == 2, name
    # A million tokens are beyond the toy: the server's refusal is a FAULT, not a wrong answer.
    assert tasks["ruler_1m"]["counts"]["fault"] == 2
    for name in ("aime25", "hmmt_feb25", "aime25_python", "ifbench"):
        assert tasks[name]["counts"]["fault"] == 0, (name, report["problems"])
    for name, reason in skipped.items():
        assert "is not on this machine" in reason, (name, reason)
