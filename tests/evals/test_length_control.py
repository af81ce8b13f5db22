"""Length-controlled win rates."""

from __future__ import annotations

import numpy as np
import pytest

from cascade.errors import DataError
from cascade.evals.alpaca import LENGTH_CONTROLLED, PREFERENCE
from cascade.evals.length_control import length_controlled
from cascade.evals.records import Record
from cascade.types import VerdictStatus


def simulated(theta: float, phi: float, longer: float) -> tuple[list[float], list[int], list[int]]:
    """A judge of known taste, and a model that writes `longer` characters more on average."""
    rng = np.random.default_rng(3)
    base = rng.integers(500, 2500, size=4000)
    ours = np.maximum(1, base + rng.normal(longer, 600, size=4000)).astype(int)
    gap = ours - base
    odds = theta + phi * np.tanh(gap / gap.std())
    wins = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(float)
    return wins.tolist(), ours.tolist(), base.tolist()


@pytest.mark.parametrize(("theta", "phi"), [(0.0, 1.5), (0.8, 1.0), (-0.5, 0.0)])
def test_the_taste_for_length_is_taken_out(theta: float, phi: float) -> None:
    found = length_controlled(*simulated(theta, phi, longer=500), rounds=20)
    truth = 100 / (1 + np.exp(-theta))
    assert found.controlled == pytest.approx(truth, abs=3 * found.standard_error + 0.5)
    assert found.length_effect == pytest.approx(phi, abs=0.15)
    if phi > 0:
        assert found.win_rate > found.controlled + 5


def test_the_baseline_against_itself_is_a_draw() -> None:
    found = length_controlled([0.5] * 40, [100] * 40, [100] * 40, rounds=5)
    assert (found.win_rate, round(found.controlled, 6), found.length_effect) == (50, 50, 0)


def test_difficulties_are_averaged_over() -> None:
    wins = [1.0, 1.0, 1.0, 0.0] * 50
    found = length_controlled(wins, [9] * 200, [9] * 200, [0, 0, 0, 1] * 50, ridge=0.01, rounds=2)
    assert found.controlled == pytest.approx(75, abs=1)


def test_lists_that_do_not_fit_are_errors() -> None:
    with pytest.raises(DataError, match="two lengths"):
        length_controlled([1.0], [1, 2], [1])
    with pytest.raises(DataError, match="outcome"):
        length_controlled([1.5], [1], [1])


def test_the_task_s_scores_are_those_of_the_function() -> None:
    """An unanswered question loses in both scores."""
    preferences, lengths, base = simulated(0.5, 1.0, longer=300)
    problems = [
        [record(i, {"won": 2 * p, "games": 2.0, "length": n, "baseline_length": b})]
        for i, (p, n, b) in enumerate(zip(preferences[:400], lengths, base, strict=False))
    ]
    expected = length_controlled(preferences[:400], lengths[:400], base[:400], rounds=0)
    assert LENGTH_CONTROLLED.compute(problems) == pytest.approx(expected.controlled)
    assert PREFERENCE.compute(problems) == pytest.approx(expected.win_rate)
    lost = [*problems, [record(400, {})]]
    assert PREFERENCE.compute(lost) == pytest.approx(expected.win_rate * 400 / 401)
    assert LENGTH_CONTROLLED.compute(lost) < expected.controlled


def record(number: int, parts: dict[str, float]) -> Record:
    return Record(
        "alpaca_eval", str(number), 0, 0.0, VerdictStatus.WRONG, None, False, False, False, 0, parts
    )
