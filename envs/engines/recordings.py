"""Files of completions, found again by prompt: recordings, and trajectory files read as such.

A recording is JSONL, append-only, a line a completion (or the error that came instead of it).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cascade.envs import trajectories
from cascade.envs.rollout import derive_seed
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Completion, Prompt, SamplingParams, StopReason, Trajectory

__all__ = ["FORMAT", "Key", "Recording", "params_digest", "prompt_digest"]

FORMAT = "cascade.recording/1"


def prompt_digest(prompt: Prompt) -> str:
    """SHA-256 of what a prompt says: its messages, token ids or text."""
    content = prompt if isinstance(prompt, str) else list(prompt)
    return _digest(content)


def params_digest(params: SamplingParams) -> str:
    """SHA-256 of how a completion is sampled, the seed left out."""
    return _digest(_params_data(params))


def _params_data(params: SamplingParams) -> dict[str, Any]:
    names = (field.name for field in fields(SamplingParams) if field.name != "seed")
    return {name: getattr(params, name) for name in names}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """What a completion is found by. Completions with equal keys are told apart by their order."""

    prompt: str
    """`prompt_digest`."""
    params: str | None
    """`params_digest`; None in trajectory files, which do not hold the parameters."""
    seed: int | None


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    length: int
    turn: int
    """Which of a trajectory's completions; 0 in a recording."""


class Recording:
    """A file of completions, indexed by one pass over it; texts stay on disk.

    Args:
        path: a recording or a trajectory file; lines of both kinds may be mixed.
        appending: create the file if it is missing, and cut off a torn last line.

    Raises:
        DataNotFoundError: no such file.
        DataError: a whole line that is neither a recorded completion nor a trajectory.
    """

    def __init__(self, path: Path, *, appending: bool = False) -> None:
        self.path = path
        if appending:
            path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if appending else os.O_RDONLY
        try:
            self._descriptor = os.open(path, flags, 0o644)
        except FileNotFoundError as error:
            raise DataNotFoundError(f"no recording or trajectory file at {path}") from error
        self._places: defaultdict[Key, list[_Place | None]] = defaultdict(list)
        self._seeds: Counter[str] = Counter()
        self._prompts: set[str] = set()
        end = 0
        for number, place, data in self._lines():
            try:
                self._index(place, data)
            except DataError as error:
                raise DataError(f"{path}, line {number}: {error}") from error
            end = place.offset + place.length
        if appending:
            os.ftruncate(self._descriptor, end)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be found in it."""
        return not self._places

    def count(self, key: Key) -> int:
        """Return how many completions have this very key."""
        return len(self._places.get(key, ()))

    def match(self, key: Key) -> Key | None:
        """Return the key under which the file answers `key`, or None.

        A trajectory fits any parameters; one without a seed also fits any seed.
        """
        wanted = [key, Key(key.prompt, None, key.seed)]
        if not self._seeds[key.prompt]:
            wanted.append(Key(key.prompt, None, None))
        return next((candidate for candidate in wanted if candidate in self._places), None)

    def read(self, key: Key, occurrence: int) -> Completion | str | None:
        """Return the completion with this very key that comes after `occurrence` others.

        Returns:
            The completion, the text of the error that was recorded in its place, or None.
        """
        places = self._places.get(key, ())
        place = places[occurrence] if occurrence < len(places) else None
        return None if place is None else self._read(place)

    def why_missing(self, key: Key) -> str:
        """Say what about this key is not in the file."""
        if key.prompt not in self._prompts:
            return "the prompt is not in it"
        if any(k.prompt == key.prompt and k.seed == key.seed for k in self._places):
            return "it has the prompt, but other sampling parameters or fewer samples"
        return f"it has the prompt, but not with the seed {key.seed}"

    def append(
        self, prompt: Prompt, params: SamplingParams, occurrence: int, outcome: Completion | str
    ) -> None:
        """Write one completion, or the text of the error that came in its place."""
        data: dict[str, Any] = {
            "format": FORMAT,
            "prompt_digest": prompt_digest(prompt),
            "params_digest": params_digest(params),
            "seed": params.seed,
            "occurrence": occurrence,
            "prompt": prompt if isinstance(prompt, str) else list(prompt),
            "params": _params_data(params),
        }
        if isinstance(outcome, str):
            data["error"] = outcome
        else:
            data["completion"] = _json_of_completion(outcome)
        line = memoryview(json.dumps(data, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lines(self) -> Iterator[tuple[int, _Place, dict[str, Any]]]:
        offset = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    data = json.loads(line)
                except ValueError as error:
                    raise DataError(f"{self.path}, line {number}: not JSON: {error}") from error
                if not isinstance(data, dict):
                    raise DataError(f"{self.path}, line {number}: not a JSON object")
                yield number, _Place(offset, len(line), 0), data
                offset += len(line)

    def _index(self, place: _Place, data: Mapping[str, Any]) -> None:
        if data.get("format") != FORMAT:
            self._index_trajectory(place, trajectories.trajectory_of_json(data))
            return
        _outcome(data)
        try:
            key = Key(data["prompt_digest"], data["params_digest"], data["seed"])
            occurrence = int(data["occurrence"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a recorded completion: {error!r}") from error
        places = self._places[key]
        # Lines come in the order in which samples ended, occurrences in which they were asked for.
        places.extend([None] * (occurrence + 1 - len(places)))
        places[occurrence] = place
        self._note(key)

    def _index_trajectory(self, place: _Place, trajectory: Trajectory) -> None:
        for turn, prompt in enumerate(_prompts_of(trajectory)):
            seed = None
            if trajectory.seed is not None:
                seed = derive_seed(trajectory.seed, "turn", turn)
            here = _Place(place.offset, place.length, turn)
            for key in {Key(prompt, None, seed), Key(prompt, None, None)}:
                self._places[key].append(here)
                self._note(key)

    def _note(self, key: Key) -> None:
        self._prompts.add(key.prompt)
        if key.seed is not None:
            self._seeds[key.prompt] += 1

    def _read(self, place: _Place) -> Completion | str:
        data = json.loads(os.pread(self._descriptor, place.length, place.offset))
        if data.get("format") == FORMAT:
            return _outcome(data)
        return trajectories.trajectory_of_json(data).completions[place.turn]


def _prompts_of(trajectory: Trajectory) -> list[str]:
    """Return the digest of what each completion of the trajectory answered.

    The model's messages are the last ones of the assistant; few-shot examples come before them. If
    the environment failed upon the last completion, that is not among the messages.
    """
    messages, completions = list(trajectory.messages), trajectory.completions
    if not completions:
        return []
    said = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    is_kept = bool(said) and messages[said[-1]].get("content") == completions[-1].text
    if trajectory.verdict.is_fault and not is_kept:
        said.append(len(messages))
    if len(said) < len(completions):
        raise DataError(
            f"trajectory of task {trajectory.task_id!r}: {len(completions)} completions, but only "
            f"{len(said)} messages of the assistant"
        )
    return [_digest(messages[:i]) for i in said[-len(completions) :]]


_FIELDS = tuple(field.name for field in fields(Completion))
_TUPLES = ("tool_calls", "prompt_token_ids", "token_ids", "logprobs")


def _json_of_completion(completion: Completion) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in _FIELDS:
        value = getattr(completion, name)
        if hasattr(value, "tolist"):
            value = value.tolist()
        if value is not None and value != ():
            out[name] = value
    return out


def _outcome(data: Mapping[str, Any]) -> Completion | str:
    if "error" in data:
        return str(data["error"])
    try:
        known = {name: value for name, value in data["completion"].items() if name in _FIELDS}
        for name in _TUPLES:
            if name in known:
                known[name] = tuple(known[name])
        known["stop_reason"] = StopReason(known["stop_reason"])
        return Completion(**known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"not a recorded completion: {error!r}") from error
