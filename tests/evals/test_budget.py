"""`cascade-eval plan`: what it says a run needs is what simulated runs need."""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import NormalDist, fmean, stdev
from typing import Any

import pytest

from cascade.evals.budget import Probe, Wish, plan_budget, probe_of_runs
from view_runs import write_run

AIME = Probe(task="aime", problems=30, within=0.075, between=0.12)


def test_samples_for_another_run_on_the_same_questions() -> None:
    """AIME: a single run's standard error is 5.0, of 64 samples 0.6 (measured on real runs)."""
    need = plan_budget(AIME, Wish(2.0)).same_questions
    assert (need.samples_per_problem, need.samples) == (25, 750)
    error = 100 * (0.075 / (30 * 25)) ** 0.5
    assert 1.96 * error <= 2.0 < 1.96 * 100 * (0.075 / (30 * 24)) ** 0.5


def test_new_questions_have_a_floor_that_no_number_of_samples_breaks() -> None:
    budget = plan_budget(AIME, Wish(2.0))
    assert budget.new_questions.samples_per_problem is None
    assert budget.best_half_width == pytest.approx(1.96 * 100 * (0.12 / 30) ** 0.5, rel=1e-3)
    enough = budget.new_questions.problems
    more = Probe(task="x", problems=enough, within=0.075, between=0.12)
    assert plan_budget(more, Wish(2.0)).new_questions.samples_per_problem is not None
    less = Probe(task="x", problems=enough - 1, within=0.075, between=0.12)
    assert plan_budget(less, Wish(2.0)).new_questions.samples_per_problem is None


def test_cost_in_tokens_and_hours() -> None:
    probe = Probe(
        task="x", problems=100, within=0.1, between=0.0, tokens_per_sample=5000.0,
        tokens_per_second=2000.0,
    )  # fmt: skip
    need = plan_budget(probe, Wish(3.0)).same_questions
    assert need.samples == 100 * (need.samples_per_problem or 0) == 500
    assert need.tokens == 2.5e6
    assert need.hours == pytest.approx(2.5e6 / 2000 / 3600)


def test_the_detectable_difference_is_found_in_80_of_100_comparisons() -> None:
    """Simulated: problems' means of two models differ by the detectable amount on average."""
    rng = random.Random(1)
    n, k, spread = 60, 4, 0.02
    base = [0.2 + 0.6 * rng.random() for _ in range(n)]
    within = fmean(p * (1 - p) for p in base)
    probe = Probe(task="x", problems=n, within=within, between=0.03, difference=spread)
    effect = plan_budget(probe, Wish()).detectable[k] / 100
    found = 0
    for _ in range(400):
        gaps = []
        for p in base:
            shift = rng.gauss(effect, spread**0.5)
            a, b = (min(1.0, max(0.0, p + s)) for s in (shift / 2, -shift / 2))
            gaps.append(fmean((rng.random() < a) - (rng.random() < b) for _ in range(k)))
        z = fmean(gaps) / (stdev(gaps) / n**0.5)
        found += NormalDist().cdf(z) > 0.975
    assert found / 400 == pytest.approx(0.8, abs=0.08)


def test_variances_of_a_probe_are_those_of_the_model_that_was_probed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", problems=300, samples=6, skill=0.5, filler=1)
    (probe,) = probe_of_runs(run)
    assert probe.within == pytest.approx(0.25, abs=0.02)
    assert probe.between == pytest.approx(0.0, abs=0.01)
    assert probe.problems == 300
    assert probe.tokens_per_sample == pytest.approx(20.5, abs=2)
    assert probe.uncertainty is not None
    assert 0 < probe.uncertainty < 0.1


def test_two_runs_measure_how_their_differences_vary(eval_main: Any, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", problems=300, seed=1, skill=0.5)
    b = write_run(tmp_path / "b", problems=300, seed=2, skill=0.7)
    code, out, _ = eval_main("plan", a, b, "--json")
    (task,) = json.loads(out)["tasks"]
    assert code == 0
    assert task["correlation"] is None
    assert task["difference"] == pytest.approx(0.0, abs=0.04)
    _, out, _ = eval_main("plan", a, "--half-width", 5)
    assert "another run within ±5:" in out
    assert "min at the probe's speed" in out
    assert "correlation 0.5 assumed" in out


def test_one_sample_a_problem_is_called_a_bound(eval_main: Any, tmp_path: Path) -> None:
    _, out, _ = eval_main("plan", write_run(tmp_path / "a", samples=1))
    assert "an upper bound; probe with --samples 2" in out


def test_given_variances_need_no_run(eval_main: Any) -> None:
    options = ("--problems", 279, "--within", 0.06, "--between", 0.15)
    code, out, _ = eval_main("plan", *options, "--half-width", 1, "--json")
    assert code == 0
    need = json.loads(out)["tasks"][0]["same_questions"]
    assert need["samples_per_problem"] == 9
    assert need["hours"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give the folder of a probe run"),
        (("--problems", "9", "--within", "1"), "--problems, --within and --between"),
        (("nosuch",), "cannot be read as a report"),
        (("--problems", "9", "--within", "-1", "--between", "0"), "variances of 0 or more"),
        (
            ("--problems", "9", "--within", "1", "--between", "0", "--half-width", "0"),
            "more than 0",
        ),
    ],
)
def test_what_cannot_be_planned_is_an_error(
    eval_main: Any, arguments: tuple[str, ...], message: str
) -> None:
    code, _, errors = eval_main("plan", *arguments)
    assert code == 2
    assert message in errors
