"""Rows of the published instruction sets, and requests with several instructions."""

from __future__ import annotations

from typing import Any

import pytest

from cascade.envs import make_env
from cascade.envs.instruction_following.multi import multi_task
from cascade.envs.instruction_following.tasks import instruction_task
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import DataError

IDS: dict[str, Any] = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
ROWS = {
    "ifeval": {"key": 7, "prompt": "Write. No commas.", **IDS},
    "if-rlvr": {
        "key": "7",
        "messages": [{"role": "user", "content": "Write. No commas."}],
        "ground_truth": "[{'instruction_id': ['punctuation:no_comma'], 'kwargs': [None]}]",
    },
    "nemo-gym": {
        "id": 7,
        "responses_create_params": {"input": [{"role": "user", "content": "Write. No commas."}]},
        **IDS,
    },
    "nemo-gym, nested": {
        "id": 7,
        "responses_create_params": {"input": "Write. No commas."},
        "verifier_metadata": IDS,
    },
}


@pytest.mark.parametrize("form", ROWS)
def test_a_row_of_every_published_form_is_judged(form: str) -> None:
    task = instruction_task(ROWS[form], 0)
    assert (task.id, task.messages[-1]["content"]) == ("7", "Write. No commas.")
    tasks = TaskSet("one", (task,), Provenance("test", "", 1))
    env = make_env("cascade/InstructionFollowing-v0", tasks=tasks)
    for text, reward in (("No comma here.", 1.0), ("One, two.", 0.0)):
        env.reset(seed=0)
        assert env.step(text)[1] == reward


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": "x", "instruction_id_list": ["no:such_id"], "kwargs": [{}]}, "instruction id"),
        ({"prompt": "x", "instruction_id_list": ["keywords:existence"], "kwargs": [{}]}, "missing"),
        ({"key": 1, **IDS}, "prompt"),
        ({"key": 1, "prompt": 5, **IDS}, "must be text"),
    ],
)
def test_a_row_that_cannot_be_judged_is_refused_when_it_is_loaded(row: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        instruction_task(row, 0)


def test_requests_with_several_instructions_can_be_followed_and_the_splits_share_none() -> None:
    made = {
        (difficulty, split): [multi_task(0, i, difficulty, split=split) for i in range(10)]
        for difficulty in range(1, 6)
        for split in ("train", "test")
    }
    for (difficulty, _), tasks in made.items():
        for task in tasks:
            assert len(task.reference) == difficulty + 1
            assert len({rule["id"] for rule in task.reference}) == difficulty + 1
    asked = [task.messages[0]["content"] for tasks in made.values() for task in tasks]
    assert len(set(asked)) == len(asked)
