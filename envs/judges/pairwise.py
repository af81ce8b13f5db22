"""Two responses before a judge, once in each order.

Judges favour the first (or the second) place: only both orders together say which response is
better.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cascade.envs.judges.judge import Judge, Judgment
from cascade.envs.judges.replies import Parse
from cascade.types import Conversation, Message

__all__ = ["Orders", "PairPrompt", "both_orders"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PairPrompt:
    """How a question and two answers are put before a judge."""

    system: str
    user: str
    """With the fields `{question}`, `{answer_a}` and `{answer_b}`."""
    source: str
    """Where the prompt is published."""

    def messages(self, question: str, answer_a: str, answer_b: str) -> tuple[Message, ...]:
        """Fill the prompt; texts are put in as they are, braces and all."""
        parts = {"question": question, "answer_a": answer_a, "answer_b": answer_b}
        text = self.user
        pieces: list[str] = []
        while text:
            places = {text.find("{" + name + "}"): name for name in parts}
            start = min((place for place in places if place >= 0), default=-1)
            if start < 0:
                break
            name = places[start]
            pieces += [text[:start], parts[name]]
            text = text[start + len(name) + 2 :]
        user: Message = {"role": "user", "content": "".join([*pieces, text])}
        return ({"role": "system", "content": self.system}, user) if self.system else (user,)


@dataclass(frozen=True, slots=True)
class Orders(Generic[T]):
    """The two judgments of one pair."""

    first: Judgment[T]
    """With the one as A and the other as B."""
    swapped: Judgment[T]
    """With the other as A and the one as B."""

    @property
    def fault(self) -> str | None:
        """Why the pair is not judged; None if both orders are."""
        return self.first.reason or self.swapped.reason or None


async def both_orders(
    judge: Judge,
    prompt: Callable[[str, str], Conversation],
    one: str,
    other: str,
    parse: Parse[T],
    *,
    sample: int = 0,
) -> Orders[T]:
    """Ask about ``prompt(one, other)`` and ``prompt(other, one)`` at the same time.

    Raises:
        ConfigError: as `Judge.ask`.
    """
    first, swapped = await asyncio.gather(
        judge.ask(prompt(one, other), parse, sample=sample),
        judge.ask(prompt(other, one), parse, sample=sample),
    )
    return Orders(first, swapped)
