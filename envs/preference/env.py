"""Preference: an open request, whose answers a judge compares."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Literal, get_args

from cascade.envs.base import Tasks, TextEnv, Turn
from cascade.envs.groups import GroupReward
from cascade.envs.judges.judge import wait_for
from cascade.envs.preference.comparison import Comparison, PairJudge
from cascade.envs.preference.reward import PreferenceReward, split_response
from cascade.envs.preference.rules import CourtesyJudge
from cascade.errors import ConfigError, DataError
from cascade.types import Task, Verdict, VerdictStatus

__all__ = ["PreferenceEnv"]

Against = Literal["baseline", "group"]


class PreferenceEnv(TextEnv):
    """A request without a right answer; a judge says which of two answers is better.

    Alone, an answer is compared with the task's stored one (``reference["baseline"]``) in both
    orders: CORRECT if it wins both on balance, WRONG if it loses, PARTIAL with 0.5 if neither. In
    training the answers of a group are compared with each other by `group_reward`.

    Args:
        tasks: see `TextEnv`; generated notes if not given.
        judge: compares two answers; the rules of the generated notes if not given. See
            `GenerativeRewardModel` for models.
        against: "baseline" judges each answer as it comes. "group" leaves it to the group reward
            and saves the judge's calls: the verdict of a single answer is then PARTIAL with 0.5 and
            means only that there is one.
        group_reward: how a group is judged; `PreferenceReward(judge)` if not given.
        data_dir, render_mode: see `TextEnv`.

    Raises:
        ConfigError: an unknown `against`.
    """

    default_tasks: ClassVar[Tasks] = "mini_preference"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        judge: PairJudge | None = None,
        against: Against = "baseline",
        group_reward: GroupReward | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        if against not in get_args(Against):
            raise ConfigError(f"against must be 'baseline' or 'group', got {against!r}")
        self.judge: PairJudge = judge if judge is not None else CourtesyJudge()
        self.against = against
        self.group_reward = group_reward or PreferenceReward(self.judge)

    def respond(self, text: str) -> Turn:
        """Judge the one answer, or see that there is one."""
        answer = split_response(text)[1]
        if not answer:
            return Turn(verdict=Verdict.no_answer("no answer to compare"))
        if self.against == "group":
            waits = Verdict(0.5, VerdictStatus.PARTIAL, answer, reason="judged within its group")
            return Turn(verdict=waits)
        return Turn(verdict=self._against_baseline(answer))

    def _against_baseline(self, answer: str) -> Verdict:
        baseline = _baseline(self.task)
        request = self.task.messages
        there = wait_for(self.judge.compare(request, answer, baseline))
        back = wait_for(self.judge.compare(request, baseline, answer))
        if not (isinstance(there, Comparison) and isinstance(back, Comparison)):
            why = there if isinstance(there, str) else back
            return Verdict.fault(f"judge: {why}", answer)
        margin = there.points[0] - there.points[1] + back.points[1] - back.points[0]
        reason = f"{margin / 2:+.2f} points against the stored answer"
        if margin == 0:
            return Verdict(0.5, VerdictStatus.PARTIAL, answer, reason=reason)
        judged = Verdict.correct if margin > 0 else Verdict.wrong
        return judged(answer, reason)

    def oracle_response(self, task: Task) -> str | None:
        """Return the stored solution, if there is one."""
        return task.metadata.get("solution")

    def wrong_response(self, task: Task) -> str | None:
        """Return an answer that says nothing, which the rules of the generated notes know."""
        return "No." if isinstance(self.judge, CourtesyJudge) else None

    def responds_quickly(self, text: str) -> bool:
        """Whether no model is asked."""
        return self.against == "group" or isinstance(self.judge, CourtesyJudge)


def _baseline(task: Task) -> str:
    given: Any = task.reference
    baseline = given.get("baseline") if isinstance(given, dict) else None
    if not isinstance(baseline, str) or not baseline.strip():
        raise DataError(
            f"task {task.id!r}: reference['baseline'], the stored answer to compare with, is "
            'missing; supply it, or judge within groups only (against="group")'
        )
    return baseline
