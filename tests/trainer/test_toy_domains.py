"""The toy's domains: what it is taught is right where it should be, and never held out."""

from __future__ import annotations

import random
from contextlib import closing
from statistics import mean
from typing import Any

import pytest
import torch

from cascade.envs.mini import split_of
from cascade.envs.registry import make_env
from cascade.envs.tasksets import MiniSource
from cascade.trainer.toy_domains import DOMAINS, DomainSolutions, DomainToy, flawed, solved

FREE = ("instructions", "choice", "tool_calling", "structured_output", "long_context")
"""Domains whose judge needs neither sandbox nor group."""


def rewards(kind: str, write: Any, *, difficulty: int = 1, size: int = 40) -> list[float]:
    tasks = MiniSource(kind=kind, split="train", difficulty=difficulty, size=size).load()
    rng = random.Random(0)
    with closing(make_env(DOMAINS[kind], tasks=tasks)) as env:
        found = []
        for task in tasks:
            env.reset(seed=0, options={"task": task.id})
            found.append(float(env.step(write(kind, task, rng))[1]))
    return found


@pytest.mark.parametrize("kind", DOMAINS)
def test_solved_tasks_are_solved(kind: str) -> None:
    assert rewards(kind, solved, size=3) == [1.0] * 3


@pytest.mark.parametrize("kind", FREE)
def test_flawed_ones_are_mostly_not(kind: str) -> None:
    assert mean(rewards(kind, flawed)) < 0.6


def test_two_calls_hold_several_decisions() -> None:
    assert rewards("tool_calling", solved, difficulty=4, size=20) == [1.0] * 20
    assert 0 < mean(rewards("tool_calling", flawed, difficulty=4, size=100)) < 0.3


def test_no_sum_of_the_drills_is_held_out() -> None:
    tokenizer = DomainToy().tokenizer()
    data = DomainSolutions(counts={}, num_sums=500, num_recitals=0)
    problems = [
        tokenizer.decode(example.token_ids[: example.prompt_length]).strip()
        for example in data.load(tokenizer)
    ]
    assert len(problems) == 500
    assert {split_of(problem) for problem in problems} == {"train"}


def test_one_head_starts_out_looking_at_the_token_before() -> None:
    model: Any = DomainToy().open(seed=3)
    model.set_attn_implementation("eager")
    ids = torch.randint(0, 600, (1, 200), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        attention = model(input_ids=ids, output_attentions=True).attentions[0][0]
    back_H = attention.diagonal(offset=-1, dim1=1, dim2=2).mean(dim=1)
    assert back_H[0] > 0.5
    assert back_H[1:].max() < 0.2


def test_a_task_is_not_changed_by_solving_it() -> None:
    [task] = MiniSource(kind="tool_calling", split="train", size=1).load()
    before = repr(task)
    flawed("tool_calling", task, random.Random(0))
    assert repr(task) == before
