"""Ratings from contest standings."""

from __future__ import annotations

import itertools
from statistics import fmean

import pytest

from cascade.errors import ConfigError, DataError
from cascade.evals.elo import (
    HIGHEST,
    Human,
    Tries,
    average_rating,
    contest_rating,
    expected_rejections,
    place_of,
    rating_of_place,
    standing,
)


@pytest.mark.parametrize(("tries", "solved"), [(8, 1), (8, 3), (6, 6), (5, 2), (1, 1)])
def test_expected_rejections_are_those_of_all_orders(tries: int, solved: int) -> None:
    """Counted over every order of the tries: (N - k) / (k + 1)."""
    orders = set(itertools.permutations([1] * solved + [0] * (tries - solved)))
    counted = fmean(order.index(1) for order in orders)
    assert expected_rejections(tries, solved) == pytest.approx(counted)


def test_a_rejection_costs_50_points_or_10_minutes() -> None:
    problems = [Tries(500, 8, 1), Tries(1000, 8, 8), Tries(2000, 8, 0)]
    assert standing(problems, icpc=False) == (500 - 50 * 3.5 + 1000, 0)
    assert standing([Tries(1, 8, 1), Tries(1, 8, 0)], icpc=True) == (1, 35)
    assert standing([Tries(100, 8, 1)], icpc=False) == (0, 0)


def test_places_are_shared_by_equals() -> None:
    humans = [Human(0, 5), Human(0, 3, 10), Human(0, 3, 20), Human(0, 1)]
    assert place_of(3, 15, humans) == 3
    assert place_of(3, 10, humans) == 2.5
    assert place_of(9, 0, humans) == 1


def test_the_middle_of_equal_contestants_has_their_rating() -> None:
    ratings = [1500.0] * 99
    assert rating_of_place(1 + 99 / 2, ratings) == pytest.approx(1500, abs=0.01)


def test_the_equation_is_solved() -> None:
    ratings = [800 + 20.0 * i for i in range(100)]
    for true in (900, 1700, 2500):
        place = 1 + sum(1 / (1 + 10 ** ((true - r) / 400)) for r in ratings)
        assert rating_of_place(place, ratings) == pytest.approx(true, abs=0.01)


def test_nobody_is_rated_without_bounds() -> None:
    assert rating_of_place(1.0, [2000.0]) == pytest.approx(HIGHEST, abs=1e-6)
    with pytest.raises(DataError, match="cannot be"):
        rating_of_place(3.0, [2000.0])
    with pytest.raises(DataError):
        rating_of_place(1.0, [])
    with pytest.raises(ConfigError):
        Tries(1, 2, 3)
    with pytest.raises(DataError):
        average_rating([])


def test_more_solutions_never_rate_lower() -> None:
    humans = [Human(1000 + 10.0 * i, 10.0 * i) for i in range(200)]
    rated = [contest_rating([Tries(500, 8, k), Tries(1000, 8, k // 2)], humans) for k in range(9)]
    assert rated == sorted(rated)
    assert rated[-1] > rated[0] + 300
