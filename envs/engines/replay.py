"""Engines that answer from a file, and that write such a file.

`RecordingEngine` wraps any engine and keeps all that it samples; `ReplayEngine` then gives a run
the same completions again, without a model. Trajectory files can be replayed too.
`RememberingEngine` does both: it asks only what the file does not answer.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cascade.envs.engines import Engine
from cascade.envs.engines.recordings import Key, Recording, params_digest, prompt_digest
from cascade.errors import ConfigError, DataError, EngineError
from cascade.types import Completion, Prompt, SamplingParams

__all__ = ["RecordingEngine", "RememberingEngine", "ReplayEngine", "open_replay"]

OnMissing = Literal["error", "stop"]


def _keys(prompts: Sequence[Prompt], params: SamplingParams) -> list[Key]:
    digest = params_digest(params)
    return [Key(prompt_digest(prompt), digest, params.seed) for prompt in prompts]


class ReplayEngine:
    """Answers with the completions of a file.

    A completion is found by what its prompt says, its sampling parameters and its seed. Requests
    that are equal in all of these get the recorded samples in the recorded order, so requests that
    have seeds (those of `rollout` have) get the same answers in whatever order they come.
    Trajectory files do not hold the parameters: there the prompt and the seed of the turn decide,
    and where the trajectories have no seed, the order of the file.

    Args:
        path: what `RecordingEngine` or `TrajectoryWriter` wrote.
        model: the name to report.
        on_missing: what a request that the file cannot answer does: "error" costs the sample
            (`EngineError`), "stop" ends the run (`ConfigError`).
    """

    def __init__(self, path: Path, model: str = "replay", on_missing: OnMissing = "error") -> None:
        if on_missing not in ("error", "stop"):
            raise ConfigError(f"on_missing must be 'error' or 'stop', got {on_missing!r}")
        self._recording = Recording(path)
        if self._recording.is_empty:
            raise DataError(f"{path} holds no completions")
        self._model = model
        self._on_missing = on_missing
        self._used: Counter[Key] = Counter()

    @property
    def name(self) -> str:
        """The model's name, for reports."""
        return self._model

    @property
    def max_concurrency(self) -> int:
        """Answers are there at once; more in flight only cost memory."""
        return 64

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return the recorded completions.

        Raises:
            EngineError: the recorded sample was one, or the file has no answer.
            ConfigError: the file has no answer, and `on_missing` is "stop".
        """
        return [self._found(key) for key in _keys(prompts, params)]

    def describe(self) -> Mapping[str, Any]:
        """Name the file and how many completions it holds."""
        path = str(self._recording.path)
        return {"engine": "replay", "model": self._model, "path": path}

    async def aclose(self) -> None:
        """Close the file; calling it twice is harmless."""
        self._recording.close()

    def _found(self, key: Key) -> Completion:
        match = self._recording.match(key)
        found = None
        if match is not None:
            found = self._recording.read(match, self._used[match])
            self._used[match] += 1
        if isinstance(found, Completion):
            return found
        if isinstance(found, str):
            raise EngineError(found)
        missing = (
            f"{self._recording.path} has no answer to prompt {key.prompt[:12]}…: "
            f"{self._recording.why_missing(key)}"
        )
        raise ConfigError(missing) if self._on_missing == "stop" else EngineError(missing)


class _AroundEngine:
    """An engine, and the file that what it says is kept in."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._recording = Recording(path, appending=True)
        self._asked: Counter[Key] = Counter()

    @property
    def name(self) -> str:
        """The wrapped engine's."""
        return self._engine.name

    @property
    def max_concurrency(self) -> int:
        """The wrapped engine's."""
        return self._engine.max_concurrency

    async def aclose(self) -> None:
        """Close the wrapped engine and the file; calling it twice is harmless."""
        self._recording.close()
        await self._engine.aclose()


class RecordingEngine(_AroundEngine):
    """Samples from `engine` and appends every completion, and every failed one, to `path`.

    An existing file is continued. Calling `aclose` closes `engine` too.
    """

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Sample, and write before returning.

        Raises:
            EngineError: as the wrapped engine; recorded for each prompt of the call.
            ConfigError: as the wrapped engine; not recorded.
        """
        # Numbered before anything is awaited: the order of the calls decides, not of the answers.
        occurrences = [self._occurrence(key) for key in _keys(prompts, params)]
        try:
            completions = await self._engine.sample(prompts, params)
        except EngineError as error:
            for prompt, occurrence in zip(prompts, occurrences, strict=True):
                self._recording.append(prompt, params, occurrence, str(error))
            raise
        rows = zip(prompts, occurrences, completions, strict=True)
        for prompt, occurrence, completion in rows:
            self._recording.append(prompt, params, occurrence, completion)
        return completions

    def describe(self) -> Mapping[str, Any]:
        """Return the wrapped engine's description, with the path of the recording."""
        return {**self._engine.describe(), "recorded_to": str(self._recording.path)}

    def _occurrence(self, key: Key) -> int:
        if key not in self._asked:
            self._asked[key] = self._recording.count(key)
        self._asked[key] += 1
        return self._asked[key] - 1


class RememberingEngine(_AroundEngine):
    """Answers from `path` what was asked before, and asks `engine` for the rest, which it records.

    Equal requests (prompt, parameters and seed) get the recorded completions in their order; after
    the last of them, and where a failure is recorded, the engine is asked. Calling `aclose` closes
    `engine` too.
    """

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return recorded completions where there are any, and sample the rest.

        Raises:
            EngineError, ConfigError: as the wrapped engine.
        """
        keys = _keys(prompts, params)
        places = [(key, self._next(key)) for key in keys]
        found = [self._recording.read(key, occurrence) for key, occurrence in places]
        missing = [i for i, answer in enumerate(found) if not isinstance(answer, Completion)]
        if missing:
            fresh = await self._engine.sample([prompts[i] for i in missing], params)
            for i, completion in zip(missing, fresh, strict=True):
                self._recording.append(prompts[i], params, places[i][1], completion)
                found[i] = completion
        return [answer for answer in found if isinstance(answer, Completion)]

    def describe(self) -> Mapping[str, Any]:
        """Return the wrapped engine's description, with the path of the file."""
        return {**self._engine.describe(), "remembered_in": str(self._recording.path)}

    def _next(self, key: Key) -> int:
        self._asked[key] += 1
        return self._asked[key] - 1


def open_replay(
    model: str = "replay", *, path: str | os.PathLike[str], on_missing: OnMissing = "error"
) -> ReplayEngine:
    """Open a `ReplayEngine` that reports as `model`.

    Raises:
        DataNotFoundError: no file at `path`.
        DataError: the file holds no completions, or a broken line.
        ConfigError: `on_missing` is unknown.
    """
    return ReplayEngine(Path(path), model, on_missing)
