"""Rewards that only exist within a group: several responses to one task, judged side by side.

Most rewards belong to one episode. A preference does not: it says which of two responses is better.
An environment whose reward is of that kind has a `GroupReward` as its attribute `group_reward`, and
whoever collects groups calls `judged_together` once all episodes of a group have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cascade.envs.base import TextEnv
from cascade.errors import ContractError
from cascade.types import Trajectory

__all__ = ["GroupReward", "judged_together"]


class GroupReward(Protocol):
    """Judges the finished episodes of one task together."""

    async def __call__(self, group: Sequence[Trajectory], /) -> list[Trajectory]:
        """Return the episodes in the order given, each with its reward and verdict of the group.

        An episode that is a FAULT comes back as it is and is compared with nothing. One that the
        judge could not judge comes back as a FAULT: it is then retried or dropped like any other.

        Raises:
            ConfigError: the judge will never accept such a request.
        """
        ...


async def judged_together(env: TextEnv, group: Sequence[Trajectory]) -> list[Trajectory]:
    """Return `group` as the environment's group reward sees it; as it is if there is none.

    Raises:
        ContractError: the reward returned other episodes than it was given.
        ConfigError: see `GroupReward`.
    """
    if env.group_reward is None:
        return list(group)
    judged = await env.group_reward(group)
    if [(t.task_id, t.sample) for t in judged] != [(t.task_id, t.sample) for t in group]:
        raise ContractError(
            f"the group reward of {type(env).__name__} must return the {len(group)} episodes it "
            f"was given, in their order; it returned {len(judged)}"
        )
    return judged
