"""Advantages of a group; a FAULT changes nothing for the others."""

from __future__ import annotations

import numpy as np
import pytest

from cascade.errors import ContractError
from cascade.trainer.advantages import (
    centred,
    group_advantages,
    has_signal,
    leave_one_out,
    normalised,
)

REWARDS = np.array([1.0, 0.0, 0.0, 0.5])


def test_the_published_formulas() -> None:
    deviation = np.sqrt(((REWARDS - 0.375) ** 2).sum() / 3)
    assert normalised(REWARDS) == pytest.approx((REWARDS - 0.375) / deviation)
    assert centred(REWARDS) == pytest.approx(REWARDS - 0.375)
    others = [(REWARDS.sum() - r) / 3 for r in REWARDS]
    assert leave_one_out(REWARDS) == pytest.approx(REWARDS - others)


@pytest.mark.parametrize("of_group", [normalised, centred, leave_one_out])
def test_a_group_without_differences_teaches_nothing(of_group: object) -> None:
    assert callable(of_group)
    for rewards in (np.ones(4), np.array([0.1] * 3), np.array([1.0])):
        assert of_group(rewards) == pytest.approx(np.zeros(len(rewards)), abs=1e-15)
        assert not has_signal(rewards)
    assert has_signal(REWARDS)


def test_a_fault_enters_no_statistic() -> None:
    rewards = [1.0, 0.0, 0.0, 0.5, 0.0, 1.0]
    groups = [0, 0, 0, 0, 1, 1]
    plain = group_advantages(rewards, groups)
    with_faults = group_advantages([None, *rewards, None], [0, *groups, 1])
    assert with_faults == [None, *plain, None]
    assert plain[:4] == pytest.approx(normalised(REWARDS).tolist())
    assert group_advantages([None, None], [0, 0]) == [None, None]


def test_a_reward_that_is_no_number_names_its_episode() -> None:
    with pytest.raises(ContractError, match="episode 1 of group 7 has reward nan"):
        group_advantages([1.0, float("nan")], [7, 7])
