"""A judge behind a server, named by plain settings: what recipes put into their environments.

The connection is made at the first question, in the event loop that asks; a recipe that names a
judge can be read, compared and planned without one.
"""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, replace
from typing import TypeVar

from cascade.envs.engines import open_engine
from cascade.envs.judges.judge import JUDGE_PARAMS, Judge, Judgment
from cascade.envs.judges.replies import Parse
from cascade.types import Conversation

__all__ = ["ServedJudge"]

T = TypeVar("T")

_open: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ServedJudge, Judge]]
_open = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class ServedJudge:
    """A model on an OpenAI-compatible server; asks as `Judge` does."""

    model: str
    """Its name on the server."""
    base_url: str = ""
    """As in ``http://HOST:PORT/v1``; empty: the environment variable OPENAI_BASE_URL."""
    max_tokens: int = JUDGE_PARAMS.max_tokens
    """Of one reply; a judge that thinks needs thousands."""
    attempts: int = 3
    """How often one verdict is asked for."""
    concurrency: int = 64
    """Requests in flight."""

    async def ask(self, messages: Conversation, parse: Parse[T], *, sample: int = 0) -> Judgment[T]:
        """See `Judge.ask`.

        Raises:
            ConfigError: no address, or the server will never accept such a request.
        """
        return await self._judge().ask(messages, parse, sample=sample)

    def _judge(self) -> Judge:
        """Return the judge of this event loop."""
        judges = _open.setdefault(asyncio.get_running_loop(), {})
        if self not in judges:
            engine = open_engine(
                "http", self.model, base_url=self.base_url, concurrency=self.concurrency
            )
            params = replace(JUDGE_PARAMS, max_tokens=self.max_tokens)
            judges[self] = Judge(engine, params, attempts=self.attempts)
        return judges[self]
