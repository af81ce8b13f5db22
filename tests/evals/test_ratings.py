"""Bradley-Terry strengths with covariates, and boards from judgments."""

from __future__ import annotations

import numpy as np
import pytest

from cascade.errors import ConfigError, DataError
from cascade.evals import ratings
from cascade.evals.arena_board import (
    Judged,
    Style,
    battles_of,
    board,
    judged_of_row,
    length_control,
    style_of,
)
from cascade.evals.ratings import Battles, bootstrap_win_rates, fit, win_rates

TRUTH = np.array([0.0, 1.0, -0.7, 2.2])


def simulated(
    games: int = 40_000, effect: float | None = None, seed: int = 1, models: int = 4
) -> Battles:
    """Games of models whose strengths are known; one covariate with a known effect."""
    rng = np.random.default_rng(seed)
    first = rng.integers(models, size=games)
    second = (first + rng.integers(1, models, size=games)) % models
    style = None
    odds = TRUTH[first] - TRUTH[second]
    if effect is not None:
        # The stronger a model, the longer it writes: without control, length looks like strength.
        style = (TRUTH[first] - TRUTH[second] + rng.normal(size=games))[:, None]
        odds = odds + effect * style[:, 0]
    won = (rng.random(games) < 1 / (1 + np.exp(-odds))).astype(float)
    names = tuple("abcd"[:models])
    question = rng.integers(400, size=games)
    return Battles(names, first, second, won, np.ones(games), question, style)


def test_strengths_are_recovered() -> None:
    found = fit(simulated()).strength_M
    assert found - found[0] == pytest.approx(TRUTH, abs=0.06)


def test_style_is_told_apart_from_strength() -> None:
    battles = simulated(effect=0.8)
    found = fit(battles)
    assert found.strength_M - found.strength_M[0] == pytest.approx(TRUTH, abs=0.1)
    assert found.effect_K == pytest.approx([0.8], abs=0.05)
    blind = fit(
        Battles(battles.models, battles.first_N, battles.second_N, battles.outcome_N,
                battles.weight_N, battles.question_N)
    ).strength_M  # fmt: skip
    assert blind[3] - blind[0] > 3.0


def test_two_models_have_the_closed_form() -> None:
    """3 wins, 1 loss and 2 ties of weight 2: (3 + 2) / 8."""
    outcome = np.array([1, 1, 1, 0, 0.5, 0.5])
    weight = np.array([1.0, 1, 1, 1, 2, 2])
    zero, one = np.zeros(6, int), np.ones(6, int)
    battles = Battles(("base", "new"), one, zero, outcome, weight, np.arange(6))
    assert win_rates(fit(battles).strength_M, 0)[1] == pytest.approx(5 / 8, abs=1e-6)


def test_a_model_that_always_wins_gets_a_finite_strength() -> None:
    battles = Battles(
        ("base", "new"), np.ones(50, int), np.zeros(50, int), np.ones(50), np.ones(50),
        np.arange(50),
    )  # fmt: skip
    assert win_rates(fit(battles).strength_M, 0)[1] == pytest.approx(1.0, abs=1e-4)


def test_the_gradient_is_zero_where_the_fit_ends() -> None:
    """Checked against differences of the likelihood itself, penalties included."""
    battles = simulated(2_000, effect=0.5)
    found = fit(battles, ridge=0.3, style_ridge=0.7)
    assert battles.style_NK is not None

    def loss(at: ratings.Floats) -> float:
        z = at[battles.first_N] - at[battles.second_N] + battles.style_NK @ at[4:]  # type: ignore[operator]
        penalty = 0.15 * (at[:4] ** 2).sum() + 0.35 * (at[4:] ** 2).sum()
        return float((np.logaddexp(0, z) - battles.outcome_N * z).sum() + penalty)

    at = np.concatenate((found.strength_M, found.effect_K))
    for i in range(5):
        step = np.eye(5)[i] * 1e-4
        assert abs(loss(at + step) - loss(at - step)) / 2e-4 < 1e-3


def test_questions_are_drawn_not_games() -> None:
    """Each game written down ten times is no more evidence."""
    battles = simulated(2_000)
    copies = np.repeat(np.arange(2_000), 10)
    many = Battles(
        battles.models, battles.first_N[copies], battles.second_N[copies],
        battles.outcome_N[copies], battles.weight_N[copies], battles.question_N[copies],
    )  # fmt: skip
    once, tenfold = (bootstrap_win_rates(b, 0, rounds=60) for b in (battles, many))
    assert tenfold.std(axis=0) == pytest.approx(once.std(axis=0), rel=0.01)
    assert (once[:, 0] == 0.5).all()
    assert bootstrap_win_rates(battles, 0, rounds=3).tolist() == once[:3].tolist()


def test_models_that_nothing_connects_cannot_be_compared() -> None:
    index = np.array([0, 2])
    with pytest.raises(DataError, match="no chain of battles connects 'a' with c, d"):
        Battles(tuple("abcd"), index, index + 1, np.ones(2), np.ones(2), np.zeros(2, int))


@pytest.mark.parametrize("outcome", [-0.1, 1.5, float("nan")])
def test_outcomes_lie_between_0_and_1(outcome: float) -> None:
    one = np.array([1])
    with pytest.raises(DataError, match="outcome"):
        Battles(("a", "b"), one - 1, one, np.array([outcome]), np.ones(1), one)


def test_a_baseline_without_battles_is_named() -> None:
    with pytest.raises(ConfigError, match="'z' is in no battle"):
        simulated(10).index("z")


def judged(model: str, question: int, first: str | None, second: str | None) -> Judged:
    return Judged(str(question), model, first, second)


def test_a_board_ranks_models_and_leaves_open_games_out() -> None:
    rows = [judged("good", i, "B>>A", "A>B") for i in range(20)]
    rows += [judged("bad", i, "A>B", "A=B" if i % 2 else "B>A") for i in range(20)]
    rows += [judged("good", 99, "A>>B", None), judged("base", 0, "A=B", "A=B")]
    battles = battles_of(rows, "base")
    found = board(battles, "base", rounds=30)
    assert [(r.model, r.questions) for r in found] == [("good", 20), ("base", 20), ("bad", 20)]
    assert found[0].score == pytest.approx(100, abs=0.01)
    assert found[1].score == 50
    assert (found[1].low, found[1].high) == (50, 50)
    # Ten times a loss and a tie, ten times two losses: 5 of 40 games.
    assert found[2].score == pytest.approx(12.5, abs=1e-3)


def test_duplicated_judgments_are_an_error() -> None:
    with pytest.raises(DataError, match="judged twice on question '1'"):
        battles_of([judged("m", 1, "A>B", "A>B")] * 2, "base")


@pytest.mark.parametrize(
    ("score", "label"),
    [("A>>B", "A>>B"), ("B<<A", "A>>B"), ("A<B", "B>A"), ("B=A", "A=B"), ("A=B", "A=B"),
     ("B>A", "B>A")],
)  # fmt: skip
def test_labels_in_either_direction(score: str, label: str) -> None:
    row = {"uid": "1", "model": "m", "games": [{"score": score}, {"score": None}]}
    assert judged_of_row(row).first == label
    assert not judged_of_row(row).is_whole


def test_one_game_is_repeated_or_left_open() -> None:
    row = {"question_id": "1", "model": "m", "games": [{"score": "A>B"}]}
    assert judged_of_row(row).second is None
    assert judged_of_row(row, missing="repeat").second == "A>B"


@pytest.mark.parametrize(
    "row",
    [{"uid": "1", "model": "m"}, {"uid": "1", "model": "m", "games": []},
     {"uid": "1", "model": "m", "games": [{"score": "I like A"}, None]},
     {"model": "m", "games": [{"score": "A>B"}]}, {"uid": "1", "games": [{"score": "A>A"}]}],
)  # fmt: skip
def test_rows_that_are_no_judgments_are_errors(row: dict[str, object]) -> None:
    with pytest.raises(DataError):
        judged_of_row(row)


def test_markup_inside_code_does_not_count() -> None:
    text = "# Title\n\n- one\n* two\n 3. three\n**bold** __also__\n```\n# no\n- no\n**no**\n```\n"
    found = style_of(text)
    assert (found.headers, found.lists, found.bold) == (1, 3, 2)
    assert style_of("").length == 0


def test_longer_answers_lose_their_advantage_under_control() -> None:
    """A model that wins only where it writes more is no better at equal length."""
    rng = np.random.default_rng(0)
    rows, styles = [], {}
    for i in range(600):
        longer = int(rng.integers(-300, 300))
        styles["base", str(i)] = Style(1000, 0, 0, 0)
        styles["long", str(i)] = Style(1100 + longer, 0, 0, 0)
        wins = rng.random() < 1 / (1 + np.exp(-(100 + longer) / 60))
        rows.append(judged("long", i, *("B>A", "A>B") if wins else ("A>B", "B>A")))
    plain = board(battles_of(rows, "base"), "base", rounds=5)[0]
    battles = battles_of(rows, "base", styles=styles, covariates=length_control)
    assert (plain.model, battles.num_covariates) == ("long", 1)
    assert plain.score > 60
    with pytest.raises(DataError, match="no style of 'long'"):
        battles_of(rows, "base", styles={})
