"""A request for one sample, and what the local engines ask of a running batch of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from cascade.types import SamplingParams, StopReason

__all__ = ["Batch", "Request"]

_DRAWS = 64


@dataclass(slots=True, eq=False)
class Request:
    """One sample to draw, and what has been drawn of it."""

    prompt_ids: tuple[int, ...]
    params: SamplingParams
    seed: int | None = None
    """None draws from the operating system's entropy."""
    end_ids: frozenset[int] = frozenset()
    """Ids that end the sample; the one that did is part of it."""
    hits_stop: Callable[[Sequence[int]], bool] | None = None
    """Whether the ids drawn so far complete one of `params.stop`."""
    cancelled: bool = False
    """Set from any thread: the request is dropped before the next token."""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stop_reason: StopReason | None = None
    routes: list[Any] = field(default_factory=list)
    """Experts [tokens, layers, top_k] of prompt and sample, int16, if they are recorded."""
    _chance: Any = None
    _draws: list[float] = field(default_factory=list)

    @property
    def cached(self) -> int:
        """Tokens whose keys and values are in the cache: all but the newest one."""
        return len(self.prompt_ids) + len(self.token_ids) - 1

    def routed_experts(self) -> Any:
        """Return the experts of every token that went through the model (all but the last)."""
        return np.concatenate(self.routes) if self.routes else None

    def uniform(self) -> float:
        """Next number in (0, 1) of this request's own stream."""
        if not self._draws:
            if self._chance is None:
                self._chance = np.random.Generator(np.random.Philox(self.seed))
            whole = self._chance.integers(0, 2**32, size=_DRAWS, dtype=np.uint32)
            self._draws = ((whole[::-1] + 0.5) / 2**32).tolist()
        return self._draws.pop()


class Batch(Protocol):
    """Requests that a model works on together. Only one thread uses it."""

    max_batch: int
    extra_fields: frozenset[str]
    """Fields of `SamplingParams.extra` that it understands, beyond those of the chat template."""

    @property
    def busy(self) -> bool:
        """Whether any request waits or runs."""
        ...

    def add(self, request: Request) -> None:
        """Queue a request, whose prompt is known to fit."""
        ...

    def step(self) -> list[Request]:
        """Work on, and return the requests that ended; cancelled ones are dropped."""
        ...

    def clear(self) -> None:
        """Drop every request."""
        ...

    def change_weights(self, change: Callable[[Any], None]) -> None:
        """Run `change(model)` while nothing is sampled, and forget what the old weights gave."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return engine, versions and the model's properties."""
        ...

    def close(self) -> None:
        """Release memory and processes."""
        ...
