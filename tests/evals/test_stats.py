"""The statistics, against closed forms and values that others have published."""

from __future__ import annotations

import json
import math
import random
from itertools import combinations, product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import ConfigError, DataError
from cascade.evals import stats

RIGHT_OR_WRONG = st.lists(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=6), min_size=1, max_size=8
)


def test_avg_at_k_refuses_problems_with_fewer_samples() -> None:
    """A sum over 8 samples is never divided by 64."""
    with pytest.raises(DataError, match=r"1 of 2 problems have fewer than 4 samples.*has 3"):
        stats.avg_at_k([[1, 0, 1, 1], [1, 0, 1]], 4)


def test_no_metric_exists_without_problems() -> None:
    for metric in (stats.avg_at_k, stats.pass_at_k, stats.all_at_k):
        with pytest.raises(DataError, match="at least one problem"):
            metric([], 1)


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 0"):
        stats.pass_at_k([[1.0]], 0)


@given(RIGHT_OR_WRONG, st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_pass_at_k_and_all_at_k_are_means_over_all_choices_of_k_samples(
    scores: list[list[float]], k: int
) -> None:
    """The estimator equals trying every subset of k samples."""
    for estimate, one in ((stats.pass_at_k, max), (stats.all_at_k, min)):
        brute = fmean(fmean(one(c) for c in combinations(samples, k)) for samples in scores)
        assert estimate(scores, k) == pytest.approx(brute)


@given(RIGHT_OR_WRONG)
@settings(max_examples=50, deadline=None)
def test_pass_at_1_is_the_mean(scores: list[list[float]]) -> None:
    assert stats.pass_at_k(scores, 1) == pytest.approx(stats.mean(scores))


def test_a_partial_reward_does_not_pass() -> None:
    assert stats.pass_at_k([[0.5, 0.99]], 2) == 0.0


def test_majority_takes_the_answer_of_most_samples() -> None:
    assert stats.maj_at_k([[("4", 1.0), ("5", 0.0), ("4", 1.0)]], 3) == 1.0


def test_tied_majority_scores_the_mean_of_the_tied_answers() -> None:
    """The tie rule: the expected value of a throw among the tied answers."""
    assert stats.maj_at_k([[("4", 1.0), ("5", 0.0), ("6", 0.0)]], 3) == pytest.approx(1 / 3)


def test_samples_without_an_answer_do_not_vote() -> None:
    assert stats.maj_at_k([[(None, 0.0), (None, 0.0), ("4", 1.0)]], 3) == 1.0


def test_a_problem_on_which_nobody_votes_scores_zero() -> None:
    assert stats.maj_at_k([[(None, 0.0)]], 1) == 0.0


@pytest.mark.parametrize(
    ("freedom", "level", "expected"),
    [(1, 0.95, 12.7062), (2, 0.95, 4.3027), (5, 0.95, 2.5706), (14, 0.95, 2.1448),
     (29, 0.95, 2.0452), (30, 0.99, 2.7500), (120, 0.95, 1.9799), (100_000, 0.95, 1.95996)],
)  # fmt: skip
def test_student_t_quantiles_are_those_of_the_tables(
    freedom: int, level: float, expected: float
) -> None:
    assert stats.student_t(freedom, level) == pytest.approx(expected, abs=6e-5)


def test_wilson_interval_of_a_textbook_case() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662."""
    assert stats.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_perfect_score_is_not_certain() -> None:
    """Thirty of thirty does not mean that the next question is right for sure."""
    bounds = stats.interval([[1.0] * 4] * 30)
    assert bounds is not None
    assert 0.85 < bounds[0] < 0.9
    assert bounds[1] == 1.0


def test_one_problem_has_no_standard_error() -> None:
    assert stats.standard_error([[1.0, 0.0]]) is None
    assert stats.interval([[1.0, 0.0]]) is None


def test_run_noise_needs_two_samples_of_some_problem() -> None:
    assert stats.run_noise([[1.0], [0.0]]) is None


def test_run_noise_is_the_spread_of_repeated_runs() -> None:
    """Simulated: 2,000 runs at fixed chances spread as the estimate says."""
    rng = random.Random(3)
    chances = [rng.random() for _ in range(30)]

    def run(samples: int) -> list[list[float]]:
        return [[float(rng.random() < p) for _ in range(samples)] for p in chances]

    means = [stats.mean(run(4)) for _ in range(2_000)]
    spread = math.sqrt(fmean((m - fmean(means)) ** 2 for m in means))
    estimates = [stats.run_noise(run(4)) or 0.0 for _ in range(200)]
    assert fmean(estimates) == pytest.approx(spread, rel=0.06)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Problems drawn anew each time: 95 % intervals cover the true mean 92 to 98 times in 100."""
    rng = random.Random(5)
    covered = 0
    for _ in range(500):
        scores = []
        for _ in range(30):
            chance = rng.betavariate(1.2, 0.8)
            scores.append([float(rng.random() < chance) for _ in range(4)])
        low, high = stats.interval(scores) or (0.0, 0.0)
        covered += low <= 0.6 <= high
    assert 0.92 <= covered / 500 <= 0.98


def test_reproduction_tolerance_shrinks_with_the_samples_of_either_side() -> None:
    scores = [[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0]] * 15
    few, exact = stats.reproduction_tolerance(scores, 4)
    many, _ = stats.reproduction_tolerance(scores, 64)
    assert exact
    assert many < few
    # Both sides alike: root of two times one side's noise.
    assert few == pytest.approx(1.95996 * math.sqrt(2) * (stats.run_noise(scores) or 0), rel=1e-4)


def test_one_sample_a_problem_gives_an_upper_bound_of_the_tolerance() -> None:
    half, exact = stats.reproduction_tolerance([[1.0]] * 50 + [[0.0]] * 50)
    assert not exact
    assert half == pytest.approx(1.95996 * 0.05, rel=1e-4)


def test_sign_flip_equals_mcnemar_for_single_samples() -> None:
    """8 against 1 discordant problems: the exact binomial p is 2 (C(9,0) + C(9,1)) / 2^9."""
    p = stats.sign_flip_p([1.0] * 8 + [-1.0] + [0.0] * 40)
    assert p == pytest.approx(2 * 10 / 512)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
def test_sign_flip_is_exact(quarters: list[int]) -> None:
    """Enumerating every flip gives the same p."""
    differences = [q / 4 for q in quarters]
    observed = abs(sum(quarters))
    flips = list(product((-1, 1), repeat=len(quarters)))
    hits = sum(abs(sum(s * q for s, q in zip(f, quarters, strict=True))) >= observed for f in flips)
    assert stats.sign_flip_p(differences, 4) == pytest.approx(hits / len(flips))


def test_drawn_sign_flips_agree_with_the_exact_ones() -> None:
    differences = [0.25, 0.5, -0.25, 0.75, 0.5, 0.0, 0.25, 0.25, 1.0, -0.5]
    drawn = stats.sign_flip_p([d * math.sqrt(2) for d in differences], 4)
    assert drawn == pytest.approx(stats.sign_flip_p(differences, 4), abs=0.015)


def test_paired_comparison_refuses_different_numbers_of_problems() -> None:
    with pytest.raises(DataError, match="2 with 1"):
        stats.paired([[1.0], [0.0]], [[1.0]])


def test_identical_runs_do_not_differ() -> None:
    scores = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    result = stats.paired(scores, scores)
    assert (result.difference, result.p_value, result.a_better, result.b_better) == (0, 1, 0, 0)


@pytest.fixture(scope="module")
def aime_cells(data_dir: Path) -> list[dict[str, Any]]:
    """MathArena's AIME 2025 I table: percentage of 4 runs right, by question and model."""
    path = data_dir / "aime2025_matharena" / "aime2025_I_per_question.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


def _scores(rows: list[dict[str, Any]], model: str) -> list[list[float]]:
    cells = [row[model] / 25 for row in rows if isinstance(row["question"], int)]
    return [[1.0] * round(cell) + [0.0] * (4 - round(cell)) for cell in cells]


def test_avg_at_4_of_sixteen_models_equals_the_published_table(
    aime_cells: list[dict[str, Any]],
) -> None:
    published = next(row for row in aime_cells if row["question"] == "Avg")
    models = [name for name in published if name != "question"]
    assert len(models) == 16
    for model in models:
        score = 100 * stats.avg_at_k(_scores(aime_cells, model), 4)
        assert round(score, 2) == pytest.approx(published[model], abs=0.005), model


@pytest.mark.parametrize(
    ("model", "score", "clustered", "noise"),
    [("DeepSeek-R1", 65.0, 11.1, 3.5), ("o3-mini (high)", 80.0, 9.2, 3.0)],
)
def test_the_two_error_bars_of_published_runs(
    aime_cells: list[dict[str, Any]], model: str, score: float, clustered: float, noise: float
) -> None:
    """New questions and a new run are different questions, with bars three-fold apart."""
    scores = _scores(aime_cells, model)
    assert 100 * stats.mean(scores) == pytest.approx(score)
    assert 100 * (stats.standard_error(scores) or 0) == pytest.approx(clustered, abs=0.05)
    assert 100 * (stats.run_noise(scores) or 0) == pytest.approx(noise, abs=0.05)


def test_pairing_shrinks_the_bar_of_a_comparison(aime_cells: list[dict[str, Any]]) -> None:
    result = stats.paired(_scores(aime_cells, "DeepSeek-R1"), _scores(aime_cells, "o3-mini (low)"))
    assert 100 * result.difference == pytest.approx(11.7, abs=0.05)
    assert 100 * (result.standard_error or 0) == pytest.approx(5.9, abs=0.05)
    assert 100 * (result.unpaired_standard_error or 0) == pytest.approx(16.5, abs=0.05)


def _nemo_runs(folder: Path) -> list[list[dict[str, Any]]]:
    """[problem][run] rows of one benchmark of the NeMo-Skills fixtures."""
    files = sorted(folder.glob("output-rs*.jsonl-test"))
    runs = [[json.loads(ln) for ln in f.read_text().splitlines() if ln.strip()] for f in files]
    return [list(rows) for rows in zip(*runs, strict=True)]


_NEMO = [
    ("gpqa", "symbolic_correct", lambda row: row["symbolic_correct"]),
    ("hendrycks_math", "symbolic_correct", lambda row: row["symbolic_correct"]),
    ("human-eval", "passing_base_tests", lambda row: row["is_correct"]),
    ("human-eval", "passing_plus_tests", lambda row: row["is_correct-plus"]),
    ("minif2f", "lean4_correct", lambda row: row["proof_status"] == "completed"),
]


@pytest.mark.parametrize(
    ("name", "field", "right"), _NEMO, ids=lambda v: v if isinstance(v, str) else ""
)
def test_nemo_skills_metrics_come_out_exactly(
    data_dir: Path, name: str, field: str, right: Any
) -> None:
    """avg-of-k, pass@k, majority@k and the three spreads, for every k in their metrics file."""
    folder = data_dir / "nemo_skills_fixtures" / "eval-results"
    expected = json.loads((folder / "metrics.json-test").read_text())[name]
    rows = _nemo_runs(folder / name)
    scores = [[float(right(row)) for row in problem] for problem in rows]
    for k in range(2, len(rows[0]) + 1):
        average = expected[f"pass@1[avg-of-{k}]"]
        assert 100 * stats.avg_at_k(scores, k) == pytest.approx(average[field], abs=1e-9)
        assert 100 * stats.pass_at_k(scores, k) == pytest.approx(
            expected[f"pass@{k}"][field], abs=1e-9
        )
        spread, ours = average[f"{field}_statistics"], stats.run_statistics(scores, k)
        assert ours.mean == pytest.approx(spread["avg"])
        for part in ("std_dev_across_runs", "std_err_across_runs", "avg_sample_std_dev"):
            assert getattr(ours, part) == pytest.approx(spread[part], abs=1e-12), part
        if f"majority@{k}" in expected:
            votes = [
                [(row["predicted_answer"], float(right(row))) for row in problem]
                for problem in rows
            ]
            majority = expected[f"majority@{k}"][field]
            assert 100 * stats.maj_at_k(votes, k) == pytest.approx(majority, abs=1e-9)
