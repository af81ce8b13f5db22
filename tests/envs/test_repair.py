"""SEARCH/REPLACE blocks: what applies, what must fail, and that nothing falls through to tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cascade.envs import make_env
from cascade.envs.repair import EditError, RepairEnv, apply_edits, find_edits
from cascade.errors import DataError
from cascade.types import Verdict, VerdictStatus

FILES = {"a.py": "x = 1\ny = 2\nx = 1", "b/c.py": "z = 3\n"}


def block(search: str, put: str, path: str = "a.py") -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}\n=======\n{put}\n>>>>>>> REPLACE\n"


def test_blocks_apply_in_order_to_the_files_they_name() -> None:
    text = f"<think>…</think>Fix:\n### {block('y = 2', 'y = 5')}\n```\n"
    text += block("z = 3", "z = 4", "`b/c.py`") + "```\n" + block("y = 5", "y = 6\nw = 7")
    changed = apply_edits(FILES, find_edits(text))
    assert changed == {"a.py": "x = 1\ny = 6\nw = 7\nx = 1", "b/c.py": "z = 4\n"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (block("y = 3", "y = 4"), "do not occur"),
        (block("x = 1", "x = 2"), "occur 2 times"),
        (block(" y = 2", " y = 3"), "do not occur"),
        (block("= 2", "= 3"), "do not occur"),
        (block("", "w = 1"), "searches for nothing"),
        (block("y = 2", "y = 2"), "as they were"),
        (block("y = 2", "y = 3", "d.py"), "'d.py'"),
        ("<<<<<<< SEARCH\ny = 2\n=======\ny = 3\n>>>>>>> REPLACE", "edits None"),
        ("a.py\n<<<<<<< SEARCH\ny = 2\n=======\ny = 3\n", ">>>>>>> REPLACE"),
        ("a.py\n<<<<<<< SEARCH\ny = 2\n", "======="),
        ("y = 3", "no SEARCH/REPLACE block"),
    ],
)
def test_what_does_not_apply_says_why(text: str, why: str) -> None:
    with pytest.raises(EditError, match=why):
        apply_edits(FILES, find_edits(text))


def test_reasoning_holds_no_edits() -> None:
    assert find_edits(f"<think>{block('y = 2', 'y = 3')}</think>done") == []
    assert find_edits(f"<think>{block('y = 2', 'y = 3')}") == []


class Judge:
    """Notes what reaches it, and accepts it."""

    def __init__(self) -> None:
        self.files: list[Mapping[str, str]] = []

    def __call__(self, reference: Mapping[str, Any], files: Mapping[str, str], /) -> Verdict:
        self.files.append(files)
        return Verdict.correct()


def test_an_edit_that_does_not_apply_never_reaches_the_tests() -> None:
    judge = Judge()
    env = RepairEnv(judge=judge)
    right = str(env.tasks[0].metadata["solution"])
    for text, status in (
        (right.replace("return x", "return  x", 1), VerdictStatus.WRONG),
        (right.replace(">>>>>>> REPLACE", ""), VerdictStatus.WRONG),
        ("Looks fine to me.", VerdictStatus.NO_ANSWER),
    ):
        env.reset(options={"task": env.tasks[0].id})
        assert env.step(text)[4]["verdict"].status is status
    assert judge.files == []
    env.reset(options={"task": env.tasks[0].id})
    assert env.step(right)[1] == 1.0
    assert len(judge.files) == 1


def test_a_prompt_without_the_files_is_refused() -> None:
    env = RepairEnv(judge=Judge())
    task = env.tasks[0]
    for hopeless, why in (
        (replace(task, messages=({"role": "user", "content": "Repair f.py."},)), "does not show"),
        (replace(task, reference={"files": {}}), "missing or empty"),
    ):
        env.tasks = replace(env.tasks, tasks=(hopeless,))
        with pytest.raises(DataError, match=why):
            env.reset(seed=0)


def test_the_tests_decide_in_the_sandbox() -> None:
    with make_env("cascade/Repair-v0", tasks="mini_repair_2") as env:
        task = env.tasks[0]
        for text, status in (
            (env.oracle_response(task), VerdictStatus.CORRECT),
            (env.wrong_response(task), VerdictStatus.WRONG),
        ):
            env.reset(options={"task": task.id})
            assert env.step(text)[4]["verdict"].status is status  # type: ignore[arg-type]


def test_a_task_without_tests_is_refused() -> None:
    env = RepairEnv()
    task = env.tasks[0]
    env.tasks = replace(
        env.tasks, tasks=(replace(task, reference={"files": task.reference["files"]}),)
    )
    env.reset(seed=0)
    with pytest.raises(DataError, match="entry"):
        env.step(str(env.oracle_response(task)))
