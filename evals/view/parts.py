"""Transcripts in parts: scripts of about half a megabyte, each loaded when a sample needs it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cascade.evals.view.index import IndexedRun, Place

__all__ = ["script_call", "write_parts"]

_PART_CHARACTERS = 500_000


def script_call(function: str, *values: Any) -> str:
    r"""Return a script, in ASCII, that calls `function` with the values.

    Each value travels as JSON inside a string: nothing in it is ever parsed as a program, a key
    `__proto__` stays a key, and lone surrogates stay what they are. `<` is escaped, so that no
    `</script>` can end the script, wherever it is put.
    """
    texts = [json.dumps(_json(value)) for value in values]
    arguments = ",".join(f"JSON.parse({text})" for text in texts)
    return f"{function}({arguments});\n".replace("<", "\\u003c")


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def write_parts(run: IndexedRun, side: str, folder: Path) -> list[list[int]]:
    """Write the transcripts of a run below `folder`.

    Returns:
        For each task the position of the first sample of each part.
    """
    firsts: list[list[int]] = []
    with run.trajectories.open("rb") as file:
        for task, indexed in enumerate(run.tasks):
            starts: list[int] = []
            for part, (first, value) in enumerate(_parts(indexed.places, file)):
                script = script_call("cascadePart", side, task, part, value)
                (folder / f"{side}-{task}-{part}.js").write_text(script, encoding="ascii")
                starts.append(first)
            firsts.append(starts)
    return firsts


def _parts(places: Sequence[Place], file: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    prompts: dict[str, int] = {}
    samples: list[dict[str, Any]] = []
    first = size = 0
    for position, place in enumerate(places):
        file.seek(place.offset)
        line = file.readline()
        prompt, sample = _transcript(json.loads(line))
        key = json.dumps(prompt)
        samples.append({**sample, "prompt": prompts.setdefault(key, len(prompts))})
        size += len(line)
        if size >= _PART_CHARACTERS or position == len(places) - 1:
            yield first, {"prompts": [json.loads(key) for key in prompts], "samples": samples}
            prompts, samples, first, size = {}, [], position + 1, 0


def _transcript(row: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Split an episode into its prompt, which samples share, and what the model did with it.

    Reasoning that the server separated is put back into the message it belongs to: the model's
    messages are the last assistant messages of the conversation, one a completion.
    """
    messages = [dict(message) for message in row.get("messages", ())]
    completions = row.get("completions", ())
    spoken = [i for i, message in enumerate(messages) if message.get("role") == "assistant"]
    own = spoken[len(spoken) - len(completions) :] if completions else []
    for index, completion in zip(own, completions, strict=False):
        if completion.get("reasoning") and not messages[index].get("reasoning_content"):
            messages[index]["reasoning_content"] = completion["reasoning"]
        messages[index]["tokens"] = completion.get("num_tokens")
    begin = own[0] if own else len(messages)
    verdict = row["verdict"]
    about = {name: verdict[name] for name in ("extracted", "reason", "parts") if name in verdict}
    return messages[:begin], {
        "messages": messages[begin:],
        "verdict": about,
        "seed": row.get("seed"),
        "reward": row.get("reward", 0.0),
        "metadata": row.get("task_metadata", {}),
    }
