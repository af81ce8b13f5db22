"""Mini tasks: deterministic on any machine, disjoint splits, right answers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cascade.envs.mini import DIFFICULTIES, KINDS, Kind, mini_task, solution, split_of
from cascade.envs.tasksets import MiniSource
from cascade.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_answer_is_right(kind: Kind, difficulty: int) -> None:
    """The stated answer equals the value of the last step of the worked solution."""
    for index in range(20):
        task = mini_task(kind, 1, index, difficulty)
        reference = task.reference
        answer = reference if isinstance(reference, str) else reference["answer"]
        assert solution(task).endswith(f"</think>\n\\boxed{{{answer}}}")
        question = task.metadata["problem"].removeprefix("What is ").removesuffix("?")
        if kind == "arithmetic":
            assert eval(question) == int(answer)
        if kind == "choice":
            value = reference["options"]["ABCDEFGHIJ".index(answer)]
            assert eval(question) == int(value)
            assert len(set(reference["options"])) == 3 + difficulty


def test_the_splits_share_no_problem() -> None:
    for kind in KINDS:
        problems = {
            split: {mini_task(kind, seed, i, 1, split=split).metadata["problem"]
                    for seed in range(3) for i in range(100)}
            for split in ("train", "test")
        }  # fmt: skip
        assert not problems["train"] & problems["test"]


def test_a_problem_belongs_to_one_split_by_its_text() -> None:
    share = sum(split_of(f"What is {i} + 1?") == "test" for i in range(2000)) / 2000
    assert 0.15 < share < 0.25


def test_tasks_do_not_depend_on_the_hash_seed() -> None:
    code = "from cascade.envs.mini import *; print([mini_task(k, 5, 7, 2) for k in KINDS])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(outputs) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_generated_set_repeats_no_problem(kind: Kind) -> None:
    tasks = MiniSource(kind=kind, size=40).load()
    assert len({task.metadata["problem"] for task in tasks}) == 40


def test_more_problems_than_there_are_is_an_error() -> None:
    with pytest.raises(ConfigError, match="different test problems"):
        MiniSource(kind="number_theory", difficulty=2, size=200).load()


def test_settings_outside_their_range_are_named() -> None:
    with pytest.raises(ConfigError, match="difficulty must be 1 to 5, got 6"):
        mini_task("arithmetic", 0, 0, 6)
    with pytest.raises(UnknownNameError, match="did you mean 'modular'"):
        mini_task("modula", 0, 0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="split"):
        mini_task("modular", 0, 0, split="dev")  # type: ignore[arg-type]
