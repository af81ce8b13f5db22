"""One question, one answer, and a judge who is asked about it before the environment answers."""

from __future__ import annotations

import abc

from cascade.envs.base import TextEnv, Turn
from cascade.envs.judges.judge import wait_for
from cascade.types import Task, Verdict
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["JudgedEnv"]


class JudgedEnv(TextEnv):
    """An environment whose verdict on one answer comes from a judge.

    A rollout awaits `prepare`, so that many judges are asked at once; whoever calls `step` alone
    waits there.
    """

    _ready: tuple[str, Verdict] | None = None
    """What was asked about last, and the verdict, until it is handed out."""

    @abc.abstractmethod
    async def ask(self, answer: str) -> Verdict:
        """Return the judge's verdict on an answer, which is stripped of reasoning and not empty."""

    async def prepare(self, text: str) -> None:
        """Ask the judge about `text`."""
        self._ready = (text, await self._verdict(text))

    def respond(self, text: str) -> Turn:
        """Return the judge's verdict, asking for it if nobody has."""
        ready, self._ready = self._ready, None
        if ready is None or ready[0] is not text:
            return Turn(verdict=wait_for(self._verdict(text)))
        return Turn(verdict=ready[1])

    def responds_quickly(self, text: str) -> bool:
        """Whether the judge has been asked about it."""
        return self._ready is not None and self._ready[0] is text

    async def _verdict(self, text: str) -> Verdict:
        answer = (strip_reasoning(text) or "").strip()
        if not answer:
            return Verdict.no_answer("no answer after the reasoning")
        return await self.ask(answer)

    def oracle_response(self, task: Task) -> str | None:
        """Return what a generated task accepts; elsewhere none is known to the judge."""
        return task.metadata.get("solution")

    def wrong_response(self, task: Task) -> str | None:
        """Return what a generated task refuses."""
        return "It is 7." if "solution" in task.metadata else None
