"""The office as an environment: several turns of tool calls, judged by the state they leave."""

from __future__ import annotations

import os
from typing import ClassVar

from cascade.envs.agent import AgentEnv
from cascade.envs.base import Observation, Tasks, Turn
from cascade.envs.toolworld import ToolResult, judge
from cascade.envs.toolworld.tables import Tables
from cascade.envs.workplace.population import office
from cascade.envs.workplace.tools import OFFICE
from cascade.types import Task, Verdict
from cascade.verifiers import tools
from cascade.verifiers.tools import Call

__all__ = ["WorkplaceEnv"]


class WorkplaceEnv(AgentEnv):
    """An assistant in an office with e-mail, calendar, tickets, customers and analytics.

    Calls are answered as in `AgentEnv`. The first message without a call ends the episode: the
    reward is 1 if the tables are what the gold calls would have left.

    Args:
        tasks: see `TextEnv`; generated tasks if not given.
        max_turns: assistant messages in an episode.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_workplace"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        max_turns: int = 12,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, max_turns=max_turns, render_mode=render_mode)
        self._tables = Tables()

    def begin(self, task: Task) -> Observation:
        """Put the office back into its first state."""
        self._tables = office(task.reference["world"]).copy()
        return super().begin(task)

    def carry_out(self, call: Call) -> ToolResult:
        """Call a tool of the office."""
        return OFFICE.call(self._tables, call.name, call.arguments)

    def spoken(self, text: str) -> Turn:
        """Judge the episode: the assistant says that it is done."""
        return Turn(verdict=self._judged())

    def _judged(self) -> Verdict:
        reference = self.task.reference
        start = office(reference["world"])
        return judge(OFFICE, start, self._tables, tools.gold_calls(reference))

    def oracle_response(self, task: Task) -> tuple[str, ...]:
        """Return the gold calls in one message, and a closing one."""
        return (tools.render_calls(tools.gold_calls(task.reference), "nemotron"), "Done.")

    def wrong_response(self, task: Task) -> str:
        """Return a message that claims success and did nothing."""
        return "I did what you asked."
