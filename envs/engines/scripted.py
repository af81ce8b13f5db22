"""An engine that says what it is told, at once and in this process: for tests and benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cascade.errors import EngineError
from cascade.types import Completion, Prompt, SamplingParams, StopReason

__all__ = ["Reply", "ScriptedEngine"]

Reply = str | Completion | Exception
"""A text (the message ends there), a whole completion, or an error to raise."""


class ScriptedEngine:
    """Answers each prompt by a rule or from a list.

    Args:
        reply: a function of the prompt and the parameters; or a text that answers everything; or
            a list whose items answer one prompt each, in the order of the calls.
        name: the name to report.
        latency_seconds: how long each call of `sample` takes.
        max_concurrency: what the engine says of itself; it takes any number of calls.
    """

    def __init__(
        self,
        reply: Callable[[Prompt, SamplingParams], Reply] | Reply | Sequence[Reply],
        *,
        name: str = "scripted",
        latency_seconds: float = 0.0,
        max_concurrency: int = 1024,
    ) -> None:
        self._name = name
        self._latency_seconds = latency_seconds
        self._max_concurrency = max_concurrency
        self._rule = _rule_of(reply)
        self.num_samples = 0
        """Prompts answered so far, failed ones included."""
        self.num_in_flight = 0
        """Calls of `sample` under way."""

    @property
    def name(self) -> str:
        """The name to report."""
        return self._name

    @property
    def max_concurrency(self) -> int:
        """As given."""
        return self._max_concurrency

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return the scripted answers.

        Raises:
            EngineError: the list of answers is used up.
            Exception: whatever the script says.
        """
        replies = [self._rule(prompt, params) for prompt in prompts]
        self.num_samples += len(replies)
        if self._latency_seconds:
            self.num_in_flight += 1
            try:
                await asyncio.sleep(self._latency_seconds)
            finally:
                self.num_in_flight -= 1
        return [_completion(reply) for reply in replies]

    def describe(self) -> Mapping[str, Any]:
        """Say that nothing here was sampled from a model."""
        return {"engine": "scripted", "model": self._name}

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""


def _rule_of(
    reply: Callable[[Prompt, SamplingParams], Reply] | Reply | Sequence[Reply],
) -> Callable[[Prompt, SamplingParams], Reply]:
    if isinstance(reply, str | Completion | Exception):
        constant = reply
        return lambda _prompt, _params: constant
    if callable(reply):
        return reply
    rest = iter(reply)

    def following(_prompt: Prompt, _params: SamplingParams) -> Reply:
        for item in rest:
            return item
        return EngineError("the script has no more answers")

    return following


def _completion(reply: Reply) -> Completion:
    if isinstance(reply, str):
        return Completion(reply, StopReason.STOP)
    if isinstance(reply, Exception):
        raise reply
    return reply
