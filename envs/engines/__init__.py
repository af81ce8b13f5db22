"""What turns prompts into samples. An engine knows nothing of tasks, rewards or environments.

`Engine` is the only seam between environments and models. The engines here need no torch (an
OpenAI-compatible client, replay, scripted); local ones live in `cascade.trainer.engines`. All are
found by name through the entry-point group ``cascade.engines``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from cascade.errors import UnknownNameError
from cascade.types import Completion, Prompt, SamplingParams

__all__ = ["Engine", "EngineFactory", "engine_names", "open_engine"]


@runtime_checkable
class Engine(Protocol):
    """Anything that samples completions."""

    @property
    def name(self) -> str:
        """The model's name, for reports."""
        ...

    @property
    def max_concurrency(self) -> int:
        """How many samples in flight keep this engine full."""
        ...

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return one completion per prompt, in order. Callers may call concurrently.

        Raises:
            EngineError: a sample could not be had, after the engine's own retries.
            ConfigError: the request can never succeed (wrong model name, bad parameter).
        """
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return what a report must name: engine, version, model, template hash, dtype, …."""
        ...

    async def aclose(self) -> None:
        """Release connections, processes and memory. Calling it twice is harmless."""
        ...


EngineFactory = Callable[..., Engine]
"""Called as ``factory(model, **options)``; `model` is a name, a path or a hub id."""


def engine_names() -> tuple[str, ...]:
    """Names of the installed engines."""
    return tuple(sorted({point.name for point in entry_points(group="cascade.engines")}))


def open_engine(kind: str, model: str, **options: Any) -> Engine:
    """Open the engine registered as `kind` ("http", "torch", "vllm", "tiny", …) on `model`.

    Raises:
        UnknownNameError: no installed distribution registers `kind`.
        ConfigError: the engine's own complaint about `model` or an option.
    """
    for point in entry_points(group="cascade.engines"):
        if point.name == kind:
            factory: EngineFactory = point.load()
            return factory(model, **options)
    raise UnknownNameError.near("engine", kind, engine_names())
