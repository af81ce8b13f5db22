"""Rewards of a group to advantages. A FAULT has no reward, so it enters no statistic.

A group is the episodes of one task. Rewards are plain numbers; pure functions on float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cascade.errors import ContractError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    GroupAdvantages = Callable[[FloatArray], FloatArray]
    """Rewards of one group's G judged episodes -> their advantages; both [G]."""

__all__ = ["centred", "group_advantages", "has_signal", "leave_one_out", "normalised"]


def normalised(rewards_G: FloatArray) -> FloatArray:
    """(r - mean) / std, the advantage of GRPO (arXiv 2402.03300, Nemotron-Cascade 2 eq. 1).

    The standard deviation is the sample's (divided by G - 1), which the papers leave open. A group
    whose rewards are all equal teaches nothing: its advantages are 0, with no epsilon involved.
    """
    if not has_signal(rewards_G):
        return rewards_G * 0.0
    advantages: FloatArray = centred(rewards_G) / rewards_G.std(ddof=1)
    return advantages


def centred(rewards_G: FloatArray) -> FloatArray:
    """Return r - mean, the advantage of Dr. GRPO (arXiv 2503.20783): hard tasks weigh no more."""
    advantages: FloatArray = rewards_G - rewards_G.mean()
    return advantages


def leave_one_out(rewards_G: FloatArray) -> FloatArray:
    """Return r - mean of the others, the baseline of RLOO (arXiv 2402.14740)."""
    count = len(rewards_G)
    return rewards_G * 0.0 if count < 2 else centred(rewards_G) * (count / (count - 1))


def has_signal(rewards_G: Sequence[float] | FloatArray) -> bool:
    """Whether the rewards of a group differ: only then does it move the weights."""
    return len(rewards_G) > 1 and max(rewards_G) - min(rewards_G) > 1e-12


def group_advantages(
    rewards: Sequence[float | None],
    groups: Sequence[int],
    of_group: GroupAdvantages = normalised,
) -> list[float | None]:
    """Return the advantage of each episode within its group.

    Args:
        rewards: one per episode; None for a FAULT.
        groups: the group of each episode.
        of_group: how one group's rewards become advantages.

    Returns:
        One per episode; None for a FAULT, which changes nothing for the rest of its group.

    Raises:
        ContractError: a reward is not a finite number.
    """
    import numpy as np

    members: dict[int, list[int]] = {}
    for i, (reward, group) in enumerate(zip(rewards, groups, strict=True)):
        if reward is None:
            continue
        if not math.isfinite(reward):
            raise ContractError(
                f"episode {i} of group {group} has reward {reward!r}: an environment whose judge "
                "fails must say FAULT"
            )
        members.setdefault(group, []).append(i)
    advantages: list[float | None] = [None] * len(rewards)
    for indices in members.values():
        of_members = of_group(np.array([rewards[i] for i in indices], dtype=np.float64))
        for i, advantage in zip(indices, of_members.tolist(), strict=True):
            advantages[i] = advantage
    return advantages
