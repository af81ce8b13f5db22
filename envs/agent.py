"""The loop of an agent: calls are answered by their results until a message has none.

`AgentEnv` reads the calls of a message, has them carried out, and appends one message of the role
"tool" for each, in order. Chat templates write those as ``<tool_response>`` blocks, and keep the
reasoning since the last message of a user, as Nemotron-Cascade 2 does. Subclasses say what a call
does and what a message without calls means.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cascade.envs.base import TextEnv, Turn
from cascade.envs.toolworld import ToolResult
from cascade.types import Message, Verdict
from cascade.verifiers import tools
from cascade.verifiers.tools import Call

__all__ = ["MAX_CALLS", "MAX_RESULT_CHARACTERS", "AgentEnv", "tool_message"]

MAX_CALLS = 128
"""Calls that one message may make; those beyond are not carried out."""
MAX_RESULT_CHARACTERS = 50_000
"""A longer result is cut, so that no call can fill a context."""


class AgentEnv(TextEnv):
    """An environment whose model may call tools, several in one message if it likes.

    A call that fails, cannot be read, or is one too many is answered by an error that the model
    sees; it never ends the episode. Turns are limited by `max_turns`, tokens by the rollout.
    """

    format: tools.CallFormat = "auto"
    """How calls are written in a message."""

    @property
    def declared(self) -> Sequence[Mapping[str, Any]]:
        """The tools whose declarations say what type a value without quotes has."""
        return self.task.tools

    @abc.abstractmethod
    def carry_out(self, call: Call) -> ToolResult:
        """Do what a call asks and return what the model is told."""

    @abc.abstractmethod
    def spoken(self, text: str) -> Turn:
        """Answer a message without calls; `text` is what it says to the user."""

    def respond(self, text: str) -> Turn:
        """Carry out the calls of a message, or answer one that has none."""
        parsed = tools.parse_calls(text, self.format, self.declared)
        if not parsed.calls and not parsed.malformed:
            if not parsed.text:
                return Turn(verdict=Verdict.no_answer("neither a call nor a text"))
            return self.spoken(parsed.text)
        results = [self.carry_out(call).text for call in parsed.calls[:MAX_CALLS]]
        results += [
            _error(f"a message may make {MAX_CALLS} calls, this one was not carried out")
            for _ in parsed.calls[MAX_CALLS:]
        ]
        results += [_error(f"malformed call: {broken.reason}") for broken in parsed.malformed]
        return Turn(messages=tuple(tool_message(result) for result in results))

    def responds_quickly(self, text: str) -> bool:
        """Calls of worlds in memory take about a tenth of a millisecond."""
        return len(text) < 20_000


def tool_message(text: str) -> Message:
    """The message that tells a model the result of a call."""
    if len(text) > MAX_RESULT_CHARACTERS:
        text = text[:MAX_RESULT_CHARACTERS] + " … (the rest is cut)"
    return {"role": "tool", "content": text}


def _error(message: str) -> str:
    return json.dumps({"error": message}, ensure_ascii=False)
