"""Tasks of the office: requests of one to eight calls, with tools that are not needed.

A task is a pure function of ``(split, difficulty, seed, index)``. The splits share no request: it
belongs to "test" or "train" by the digest of its text. The reference holds the number of the
office and the gold calls; the reward is decided by the tables, not by the calls.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from cascade.envs.toolworld import judge
from cascade.envs.workplace.office import ME, NOW
from cascade.envs.workplace.population import office
from cascade.envs.workplace.templates import TEMPLATES, Draft
from cascade.envs.workplace.tools import OFFICE
from cascade.errors import ConfigError
from cascade.types import Task, Verdict
from cascade.verifiers.tools import Call

__all__ = [
    "DIFFICULTIES",
    "SYSTEM",
    "judge_calls",
    "mini_task",
    "workplace_task",
    "workplace_tasks",
]

Split = Literal["train", "test"]

DIFFICULTIES: Mapping[int, tuple[int, int]] = {
    1: (1, 2),
    2: (2, 3),
    3: (3, 4),
    4: (4, 6),
    5: (6, 8),
}
"""Difficulty -> the fewest and the most calls of the gold path."""

SYSTEM = (
    f"You are the office assistant of {ME}. It is Thursday, {NOW:%Y-%m-%d}, {NOW:%H:%M}. Look up "
    "what you need with the tools and do what is asked, nothing more. Then say in one sentence "
    "what you did."
)
_OFFICES = 8
_TEST_SHARE = 5  # one request in five is held out
_MAX_DRAWS = 10_000


def workplace_task(
    index: int, *, difficulty: int = 3, split: Split = "train", seed: int = 0
) -> Task:
    """Return one task.

    Raises:
        ConfigError: the difficulty or the split does not exist.
    """
    if difficulty not in DIFFICULTIES or split not in ("train", "test"):
        raise ConfigError(f"there is no difficulty {difficulty!r} or split {split!r}")
    rng = random.Random(f"workplace {split} {difficulty} {seed} {index}")
    for _ in range(_MAX_DRAWS):
        world = rng.randrange(_OFFICES)
        made = _request(rng, world, *DIFFICULTIES[difficulty])
        if made is not None and _split_of(made[0], world) == split:
            task_id = f"workplace-{split}-d{difficulty}-s{seed}-{index}"
            return _task(task_id, world, difficulty, *made, rng)
    raise ConfigError(f"no request of difficulty {difficulty} was found")  # pragma: no cover


def workplace_tasks(
    count: int, *, difficulty: int | None = None, split: Split = "train", seed: int = 0
) -> tuple[Task, ...]:
    """Return `count` tasks with distinct requests, of one difficulty or of all in turn."""
    tasks: list[Task] = []
    seen: set[str] = set()
    index = 0
    while len(tasks) < count:
        level = 1 + index % len(DIFFICULTIES) if difficulty is None else difficulty
        task = workplace_task(index, difficulty=level, split=split, seed=seed)
        key = task.messages[-1]["content"]
        if key not in seen:
            seen.add(key)
            tasks.append(task)
        index += 1
    return tuple(tasks)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task, in the form of the other generated sets (its request is its problem)."""
    task = workplace_task(index, difficulty=difficulty, split=split, seed=seed)
    request = f"{task.reference['world']} {task.messages[-1]['content']}"
    return replace(task, metadata={**task.metadata, "problem": request, "split": split})


def _split_of(text: str, world: int) -> Split:
    digest = hashlib.sha256(f"{world} {text}".encode()).digest()
    return "test" if digest[0] % _TEST_SHARE == 0 else "train"


def _request(
    rng: random.Random, world: int, fewest: int, most: int
) -> tuple[str, list[Call]] | None:
    """Join templates until the gold path is long enough; None if it became too long."""
    draft = Draft(office(world), rng)
    texts: list[str] = []
    for template in rng.sample(TEMPLATES, 3):
        text = template(draft)
        if text is None or len(draft.calls) > most:
            return None
        texts.append(text)
        if len(draft.calls) >= fewest:
            break
    if not fewest <= len(draft.calls) <= most or office(world).difference(draft.tables) is None:
        return None
    return " ".join(texts[:1] + [f"Then: {text}" for text in texts[1:]]), draft.calls


def _task(
    task_id: str, world: int, difficulty: int, text: str, calls: Sequence[Call], rng: random.Random
) -> Task:
    needed = {call.name for call in calls}
    others = [name for name in OFFICE.names if name not in needed]
    offered = needed | set(rng.sample(others, min(len(others), 4 + 2 * difficulty)))
    gold = [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]
    return Task(
        task_id,
        ({"role": "system", "content": SYSTEM}, {"role": "user", "content": text}),
        {"world": world, "calls": gold},
        OFFICE.declarations(name for name in OFFICE.names if name in offered),
        {"source": "generated", "licence": "CC0-1.0", "difficulty": difficulty,
         "num_calls": len(calls)},
    )  # fmt: skip


def judge_calls(reference: Mapping[str, Any], calls: Sequence[Call]) -> Verdict:
    """Replay `calls` in the office of `reference` and judge the tables they leave.

    Calls that fail change nothing and cost nothing, as in an episode.
    """
    start = office(reference["world"])
    end = start.copy()
    for call in calls:
        OFFICE.call(end, call.name, call.arguments)
    gold = [Call(call["name"], call["arguments"]) for call in reference["calls"]]
    return judge(OFFICE, start, end, gold)
