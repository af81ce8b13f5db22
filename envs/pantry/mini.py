"""Mini tasks of the pantry. A task is a pure function of ``(difficulty, split, seed, index)``.

1: put or take a number. 2: bring a good to a number, which needs a look. 3: two changes.
4: bring two goods to a number each. 5: change one good to as many as another.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.envs.pantry.env import GOODS
from cascade.types import Message, Task
from cascade.verifiers.tools import Call

__all__ = ["mini_task"]

_MOST = 20


@dataclass(frozen=True, slots=True)
class _Draft:
    request: str
    counts: Mapping[str, int]
    calls: tuple[Call, ...]


def _change(rng: random.Random, item: str, have: int) -> tuple[str, Call]:
    if have > 1 and rng.random() < 0.5:
        n = rng.randint(1, have)
        return f"take {n} {item}", Call("take", {"item": item, "n": n})
    n = rng.randint(1, _MOST)
    return f"put {n} {item}", Call("put", {"item": item, "n": n})


def _moved(item: str, have: int, want: int) -> Call:
    name = "put" if want > have else "take"
    return Call(name, {"item": item, "n": abs(want - have)})


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    first, second = rng.sample(GOODS, 2)
    counts = {name: rng.randint(1, _MOST) for name in GOODS}
    if difficulty in (1, 3):
        changes = [_change(rng, item, counts[item]) for item in (first, second)]
        changes = changes[: 1 if difficulty == 1 else 2]
        request = " and ".join(text for text, _ in changes)
        return _Draft(request, counts, tuple(call for _, call in changes))
    looked = (first,) if difficulty == 2 else (first, second)
    looks = tuple(Call("look", {"item": item}) for item in looked)
    if difficulty == 5:
        while counts[first] == counts[second]:
            counts[first] = rng.randint(1, _MOST)
        request = f"change {first} to as many as {second}"
        return _Draft(request, counts, (*looks, _moved(first, counts[first], counts[second])))
    wanted = {
        item: rng.choice([n for n in range(1, _MOST) if n != counts[item]]) for item in looked
    }
    request = " and ".join(f"{n} {item}" for item, n in wanted.items())
    moves = (_moved(item, counts[item], n) for item, n in wanted.items())
    return _Draft(f"have {request}", counts, (*looks, *moves))


def _described(draft: _Draft) -> str:
    return f"{draft.request} {draft.counts}"


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"pantry/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), _described, split)
    content = f"Use [look(item)], [put(item, n)], [take(item, n)], then say Done: {draft.request}."
    message: Message = {"role": "user", "content": content}
    calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in draft.calls]
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "pantry", "split": split,
        "difficulty": difficulty, "problem": _described(draft),
    }  # fmt: skip
    task_id = f"pantry-{difficulty}-{split}-{seed}-{index}"
    reference = {"counts": dict(draft.counts), "calls": calls}
    return Task(task_id, (message,), reference, metadata=metadata)
