"""One question, one answer, compared with a baseline's answer by a judge, in both orders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from cascade.envs.base import Tasks
from cascade.envs.judges import Judge, Orders, Parse, both_orders
from cascade.envs.judges.env import JudgedEnv
from cascade.envs.pairwise.mini import toy_judge
from cascade.envs.pairwise.protocols import find_pair_protocol
from cascade.errors import DataError
from cascade.types import Message, Task, Verdict, VerdictStatus

__all__ = ["PairwiseEnv"]


class PairwiseEnv(JudgedEnv):
    """The model answers; a judge compares the answer with the baseline's, once in each order.

    A task's reference is ``{"baseline": TEXT, "model": NAME}``; the question is the last message of
    the user. The reward is the model's share of the games by the protocol's weights. The verdict's
    `extracted` holds the labels of both games, first the one in which the baseline is A; `parts`
    the weighted ``won`` and ``games``, from which the win rate of many questions is computed (it is
    no mean of rewards), and the lengths of both answers in characters, ``length`` and
    ``baseline_length``, by which it can be controlled.

    Args:
        tasks: see `TextEnv`.
        judge: who compares; if not given, a toy that understands generated questions alone.
        protocol: a name of `PAIR_PROTOCOLS`.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_pairwise"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        judge: Judge | None = None,
        protocol: str = "arena_hard",
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.protocol = find_pair_protocol(protocol)
        self._judge = judge or toy_judge()
        self._parse: Parse[str] = self.protocol.parser

    async def ask(self, answer: str) -> Verdict:
        """Return the judge's verdict on an answer."""
        question, baseline = _question(self.task), baseline_of(self.task)
        orders = await both_orders(
            self._judge,
            lambda a, b: self.protocol.prompt.messages(question, a, b),
            baseline,
            answer,
            self._parse,
        )
        return self._of_orders(orders, len(answer), len(baseline))

    def _of_orders(self, orders: Orders[str], length: int, baseline_length: int) -> Verdict:
        first, second = orders.first.value, orders.swapped.value
        if first is None or second is None:
            return Verdict.fault(f"judge: {orders.fault}")
        won, games = self.protocol.won(first, second)
        verdict = verdict_of_games(won, games, f"{first}, {second}")
        lengths = {"length": float(length), "baseline_length": float(baseline_length)}
        return replace(verdict, parts={**verdict.parts, **lengths})


def verdict_of_games(won: float, games: float, labels: str) -> Verdict:
    """Return the verdict on one question: the share of its games that the model won."""
    reward = won / games
    status = {0.0: VerdictStatus.WRONG, 1.0: VerdictStatus.CORRECT}.get(
        reward, VerdictStatus.PARTIAL
    )
    parts = {"won": won, "games": games}
    return Verdict(reward, status, labels, parts, f"won {won:g} of {games:g}")


def baseline_of(task: Task) -> str:
    """Return the baseline's answer.

    Raises:
        DataError: the task has none.
    """
    reference = task.reference
    answer = reference.get("baseline") if isinstance(reference, Mapping) else None
    if not isinstance(answer, str) or not answer.strip():
        raise DataError(f"task {task.id!r} has no field 'baseline' with an answer to compare with")
    return answer.strip()


def _question(task: Task) -> str:
    asked: list[Message] = [m for m in task.messages if m["role"] == "user"]
    if not asked:
        raise DataError(f"task {task.id!r} asks no question")
    content: Any = asked[-1]["content"]
    return str(content)
