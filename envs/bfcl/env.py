"""Several requests in one conversation, each judged by the state and the results it leaves."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from cascade.envs.agent import AgentEnv
from cascade.envs.base import Observation, Tasks, Turn
from cascade.envs.bfcl.worlds import Services
from cascade.envs.toolworld import ToolResult
from cascade.types import Message, Task, Verdict
from cascade.verifiers import tools
from cascade.verifiers.tools import Call

__all__ = ["MAX_STEPS", "BfclMultiTurnEnv"]

MAX_STEPS = 20
"""Messages with calls that the model may send for one request."""
_MORE = "I have updated some more functions you can choose from. What about now?"
"""The published request that hands over functions which were held back."""


class BfclMultiTurnEnv(AgentEnv):
    """Carries out one request after the other, with calls of simulated services.

    A message without calls ends a request. Then, as published, the services' state must equal the
    one after the expected calls, and every result of those must have been seen at some time; a
    request that expects no calls is passed over. The first request that fails ends the episode. A
    function that was not declared is carried out too: expected calls of the published rows make
    use of it.

    A task's reference is ``{"services", "config", "turns", "expected", "held_back"}``: names and
    start of the services, messages of each request, calls of each, functions that come later.

    Args:
        tasks: see `TextEnv`; a small ledger if not given.
        max_turns: the model's messages in an episode.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_ledger"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        max_turns: int = 120,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, max_turns=max_turns, render_mode=render_mode)
        self._model: Services
        self._gold: Services
        self._request = self._steps = 0
        self._seen: Counter[str] = Counter()
        self._called = False

    def begin(self, task: Task) -> Observation:
        """Start the services twice, for the model and for the expected calls."""
        reference = task.reference
        self._model, self._gold = (
            Services(
                reference["services"],
                reference["config"],
                long_context=reference.get("long_context", False),
            )
            for _ in range(2)
        )
        self._request = self._steps = 0
        self._seen, self._called = Counter(), False
        return (*task.messages, *self._asked(0))

    def _asked(self, request: int) -> tuple[Message, ...]:
        """The messages of a request; one that has none hands over functions."""
        reference = self.task.reference
        given = reference["turns"][request]
        more = reference.get("held_back", {}).get(str(request))
        if given:
            return tuple(given)
        return ({"role": "user", "content": f"{json.dumps(more or [])}\n{_MORE}"},)

    @property
    def declared(self) -> Sequence[Mapping[str, Any]]:
        """Every function, also those that come later."""
        late = self.task.reference.get("held_back", {}).values()
        return [*self.task.tools, *(tool for more in late for tool in more)]

    def carry_out(self, call: Call) -> ToolResult:
        """Call a function of a service."""
        result = self._model.call(call)
        self._seen[result.text] += 1
        self._called = True
        return result

    def respond(self, text: str) -> Turn:
        """Answer a message; a request that takes too many steps has failed."""
        turn = super().respond(text)
        self._steps += 1
        if turn.verdict is None and self._steps > MAX_STEPS:
            reason = f"request {self._request + 1} took more than {MAX_STEPS} messages"
            return Turn(turn.messages, verdict=Verdict.wrong(reason=reason))
        return turn

    def spoken(self, text: str) -> Turn:
        """Judge the request that this message ends; go on to the next."""
        problem = self._problem()
        if problem is not None:
            return Turn(verdict=Verdict.wrong(reason=f"request {self._request + 1}: {problem}"))
        self._request += 1
        self._steps, self._called = 0, False
        if self._request == len(self.task.reference["turns"]):
            return Turn(verdict=Verdict.correct(reason="every request ended as expected"))
        return Turn(messages=self._asked(self._request))

    def _problem(self) -> str | None:
        expected = expected_calls(self.task, self._request)
        if not expected:
            return None
        if not self._called:
            return "no call was made"
        wanted = Counter(self._gold.call(call).text for call in expected)
        difference = self._model.difference(self._gold)
        if difference is not None:
            return difference
        missing = wanted - self._seen
        return f"a result is missing: {min(missing)[:100]}" if missing else None

    def oracle_response(self, task: Task) -> tuple[str, ...]:
        """Return for each request its expected calls, if it has any, and a last word."""
        said: list[str] = []
        for request in range(len(task.reference["turns"])):
            calls = expected_calls(task, request)
            said += [tools.render_calls(calls, "nemotron"), "Done."] if calls else ["I cannot."]
        return tuple(said)

    def wrong_response(self, task: Task) -> str | None:
        """Return a message that does nothing; None if nothing is expected first."""
        return "Done." if expected_calls(task, 0) else None


def expected_calls(task: Task, request: int) -> Sequence[Call]:
    """The expected calls of a request."""
    stored: Any = task.reference["expected"][request]
    return [Call(call["name"], call["arguments"]) for call in stored]
