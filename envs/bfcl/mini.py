"""Mini conversations about a ledger, in BFCL's published form.

Difficulty d has d requests, from 3 on with one whose function comes later. A task is a pure
function of ``(difficulty, split, seed, index)``; splits share no conversation.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from cascade.envs.bfcl.ledger import LEDGER_TOOLS
from cascade.envs.bfcl.tasks import multi_turn_task
from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.types import Task

__all__ = ["mini_task"]

_ACCOUNTS = ("rent", "food", "fun", "car", "gifts", "books")


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _draft(rng: random.Random, difficulty: int) -> dict[str, Any]:
    """Draw a row: question and answer in one."""
    names = rng.sample(_ACCOUNTS, 3)
    held = {name: rng.randint(50, 500) for name in names}
    turns: list[list[dict[str, str]]] = []
    gold: list[list[str]] = []
    for number in range(difficulty):
        source, target = rng.sample(names, 2)
        if number == 2:  # the function is missing at first, then handed over
            new = rng.choice([name for name in _ACCOUNTS if name not in held])
            turns += [_said(f"Open an account {new}."), []]
            gold += [[], [f"open('{new}')"]]
        elif rng.random() < 0.3 and number:
            turns.append(_said(f"How much is in {source}?"))
            gold.append([f"balance(account='{source}')"])
        else:
            amount = rng.randint(1, 9)
            turns.append(_said(f"Move {amount} from {source} to {target}."))
            gold.append([f"transfer('{source}', '{target}', {amount})"])
    late = {"3": ["open"]} if difficulty >= 3 else {}
    return {
        "question": turns, "ground_truth": gold, "involved_classes": ["Ledger"],
        "initial_config": {"Ledger": {"accounts": held}}, "missed_function": late,
    }  # fmt: skip


def _described(row: dict[str, Any]) -> str:
    asked = " ".join(message["content"] for turn in row["question"] for message in turn)
    return f"{asked} {row['initial_config']['Ledger']['accounts']}"


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"ledger/{difficulty}/{split}/{seed}/{index}")
    row = draw_in_split(lambda: _draft(rng, difficulty), _described, split)
    task_id = f"ledger-{difficulty}-{split}-{seed}-{index}"
    task = multi_turn_task({"id": task_id, **row}, row, {"Ledger": LEDGER_TOOLS})
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "ledger", "split": split,
        "difficulty": difficulty, "problem": _described(row),
    }  # fmt: skip
    return replace(task, metadata=metadata)
