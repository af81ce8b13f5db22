"""The office as an environment: several turns of tool calls, judged by the state they leave."""

from __future__ import annotations

import os
from typing import ClassVar

from cascade.envs.base import Observation, Tasks, TextEnv, Turn
from cascade.envs.toolworld import judge
from cascade.envs.toolworld.tables import Tables
from cascade.envs.workplace.population import office
from cascade.envs.workplace.tools import OFFICE
from cascade.types import Message, Task, Verdict
from cascade.verifiers import tools

__all__ = ["WorkplaceEnv"]


class WorkplaceEnv(TextEnv):
    """An assistant in an office with e-mail, calendar, tickets, customers and analytics.

    A message with calls is answered by their results, in one user message of ``<tool_response>``
    blocks as Nemotron-Cascade 2's chat template has them; a call that fails or cannot be read gives
    an error that the model sees. The first message without a call ends the episode: the reward is 1
    if the tables are what the gold calls would have left.

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

    def respond(self, text: str) -> Turn:
        """Carry out the calls of a message, or judge the episode if it has none."""
        parsed = tools.parse_calls(text, "auto", self.task.tools)
        if not parsed.calls and not parsed.malformed:
            if not parsed.text:
                return Turn(verdict=Verdict.no_answer("neither a call nor a text"))
            return Turn(verdict=self._judged())
        results = [
            OFFICE.call(self._tables, call.name, call.arguments).text for call in parsed.calls
        ]
        results += [
            f'{{"error": "malformed call: {broken.reason}"}}' for broken in parsed.malformed
        ]
        content = "\n".join(f"<tool_response>\n{result}\n</tool_response>" for result in results)
        answer: Message = {"role": "user", "content": content}
        return Turn(messages=(answer,))

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

    def responds_quickly(self, text: str) -> bool:
        """A step takes about a tenth of a millisecond."""
        return len(text) < 20_000
