"""`cascade-eval plot`: pictures of runs, and the numbers in them."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.evals import stats
from cascade.evals.folder import read_records
from cascade.evals.plot import length_curve, pass_curve
from cascade.types import VerdictStatus
from view_runs import write_run


def test_all_pictures_of_two_runs(eval_main: Any, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / n, seed=s, skill=k) for n, s, k in (("a", 1, 0.5), ("b", 2, 0.9))]
    code, out, errors = eval_main("plot", *runs, "--out", tmp_path / "plots")
    assert code == 0, errors
    assert [Path(line).name for line in out.splitlines()] == [
        "scores.svg", "pass.svg", "length.svg"
    ]  # fmt: skip
    for line in out.splitlines():
        text = " ".join(t for t in ET.parse(line).getroot().itertext() if t.strip())
        assert "model-1" in text
        assert "model-2" in text
        assert "sums" in text


def test_the_same_runs_give_the_same_file(eval_main: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    for name in ("x", "y"):
        assert eval_main("plot", run, "--out", tmp_path / name, "--kind", "scores")[0] == 0
    assert (tmp_path / "x/scores.svg").read_bytes() == (tmp_path / "y/scores.svg").read_bytes()


def test_a_png_is_a_png(eval_main: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    code, out, _ = eval_main("plot", run, "--out", tmp_path, "--kind", "pass", "--format", "png")
    assert code == 0
    assert Path(out.strip()).read_bytes().startswith(b"\x89PNG")


def test_the_curve_of_pass_at_k_is_the_unbiased_estimator(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", problems=9, samples=6)
    records = list(read_records(run / "trajectories.jsonl").values())
    by_problem: dict[str, list[float]] = {}
    for record in records:
        by_problem.setdefault(record.task_id, []).append(record.reward)
    points = pass_curve(records)
    assert [point[0] for point in points] == [1, 2, 4, 6]
    for k, value, low, high in points:
        assert value == pytest.approx(100 * stats.pass_at_k(list(by_problem.values()), int(k)))
        assert low <= value <= high


def test_length_bins_hold_every_judged_sample_once(tmp_path: Path) -> None:
    found = read_records(write_run(tmp_path / "a") / "trajectories.jsonl").values()
    records = [replace(record, num_tokens=i + 1) for i, record in enumerate(found)]
    points = length_curve(records)
    assert len(points) == 8
    assert [x for x, *_ in points] == sorted(x for x, *_ in points)
    mean = sum(r.reward for r in records) / len(records)
    assert sum(y for _, y, _, _ in points) / 8 == pytest.approx(100 * mean)
    faulty = [replace(r, status=VerdictStatus.FAULT, reward=0.0) for r in records[:8]]
    assert length_curve([*records, *faulty]) == points
    alike = [replace(record, num_tokens=7) for record in records]
    ((x, y, _, _),) = length_curve(alike)
    assert x == 7
    assert y == pytest.approx(100 * mean)


def test_what_a_picture_needs_is_said(
    eval_main: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "a", samples=1)
    code, out, _ = eval_main("plot", run, "--out", tmp_path / "p")
    assert code == 0
    assert "pass.svg" not in out
    code, _, errors = eval_main("plot", run, "--kind", "pass", "--out", tmp_path / "p")
    assert code == 2
    assert "two samples or more" in errors
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, errors = eval_main("plot", run, "--out", tmp_path / "p")
    assert code == 2
    assert "pip install 'cascade-rl[plot]'" in errors
