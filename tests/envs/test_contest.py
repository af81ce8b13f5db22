"""Contests: rules of IOI and ICPC on real packages, history of verdicts, budgets; ratings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade.envs.code.responses import accepted_response
from cascade.envs.code.sources import HUMANEVAL_PLUS, MBPP_PLUS
from cascade.envs.contest.env import ContestEnv
from cascade.envs.contest.rules import Attempt, Icpc, Ioi
from cascade.envs.contest.sources import PackageFolder
from cascade.envs.math.python_env import MathPythonEnv
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import ConfigError, DataError, DataNotFoundError, UnknownNameError
from cascade.sandboxes import Sandbox
from cascade.types import Task, VerdictStatus
from cascade.verifiers.code import problem_of
from code_data import kattis_files, opened

WRONG = "```python\nprint('nothing of the kind')\n```"
BROKEN = "```cpp\nint main( {\n```"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with opened("local", memory_bytes=2100 << 20) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def contest(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskSet:
    """Two problems of the Kattis repository, unpacked as packages lie on disk."""
    folder = tmp_path_factory.mktemp("data") / "contest"
    for name in ("kattis_hello", "kattis_oddecho"):
        for file, content in kattis_files(data_dir / "icpc_kattis_packages" / name).items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return PackageFolder(name="c", folder="contest", form="kattis", size=2).load(folder.parent)


def test_icpc_counts_rejections_before_the_accepted_submission(
    box: Sandbox, contest: TaskSet
) -> None:
    env = ContestEnv(contest, sandbox=box, rules="icpc", submissions=5, time_factor=4)
    env.reset(options={"task": "kattis_hello"})
    conversation, reward, terminated, *_ = env.step(WRONG)
    assert (reward, terminated) == (0, False)
    assert "1: wrong answer" in conversation[-1]["content"]
    assert "Submissions left: 4" in conversation[-1]["content"]
    conversation, *_ = env.step(BROKEN)
    assert "2: " in conversation[-1]["content"]
    conversation, *_ = env.step(WRONG)
    assert "3: wrong answer" in conversation[-1]["content"]
    solution = accepted_response(problem_of(env.task.reference))
    assert solution is not None
    *_, terminated, _, info = env.step(solution)
    verdict = info["verdict"]
    assert terminated
    assert verdict.reward == 1.0
    assert verdict.parts == {"solved": 1.0, "rejected": 2.0, "penalty_minutes": 40.0}
    env.reset(options={"task": "kattis_hello"})
    env.step(WRONG)
    *_, terminated, _, info = env.step("I leave.")
    assert (terminated, info["verdict"].parts["rejected"]) == (True, 1.0)


def test_a_spent_budget_ends_the_episode(box: Sandbox, contest: TaskSet) -> None:
    env = ContestEnv(contest, sandbox=box, submissions=1)
    env.reset(options={"task": "kattis_hello"})
    *_, terminated, truncated, info = env.step(WRONG)
    assert (terminated, truncated) == (True, False)
    assert info["verdict"].status is VerdictStatus.WRONG
    env.reset(options={"task": "kattis_hello"})
    assert env.step("no program")[-1]["verdict"].status is VerdictStatus.NO_ANSWER


def test_subtasks_keep_their_best_submission(box: Sandbox, contest: TaskSet) -> None:
    env = ContestEnv(contest, sandbox=box, rules="ioi", submissions=3, time_factor=4)
    env.reset(options={"task": "kattis_oddecho"})
    one = "```python\nn = int(input())\nprint(input())\n```"  # right for n = 1 and 2 only
    conversation, *_ = env.step(one)
    said = conversation[-1]["content"]
    assert "Best points so far" in said
    assert "subtask" in said
    *_, terminated, _, info = env.step(WRONG)
    assert not terminated
    solution = accepted_response(problem_of(env.task.reference))
    assert solution is not None
    *_, terminated, _, info = env.step(solution)
    assert terminated
    assert info["verdict"].reward == 1.0


def test_points_of_different_submissions_add_up() -> None:
    """Two halves make a whole: the subtasks' best points count, not the best submission."""
    problem = problem_of({"input_output": {"inputs": ["1\n", "2\n"], "outputs": ["1", "2"]}})
    verdict = Ioi().verdict(problem, [Attempt("wrong answer", {"all": 40.0}), Attempt("x", {})])
    assert (verdict.reward, verdict.parts["points"]) == (0.4, 40.0)
    solved = Icpc().verdict(
        problem, [Attempt("compile error"), Attempt("wrong answer"), Attempt("a", accepted=True)]
    )
    assert solved.parts["penalty_minutes"] == 20.0
    assert Icpc().verdict(problem, [Attempt("wrong answer")]).parts["penalty_minutes"] == 0.0


def test_an_ioi_package_needs_its_statement_beside(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ioi"
    folder.mkdir()
    shutil.copy(data_dir / "ioi2024_packages/aplusb-CMS.zip", folder / "aplusb-CMS.zip")
    source = PackageFolder(name="ioi", folder="ioi", form="cms", size=1)
    with pytest.raises(DataError, match=r"no statement; write it into .*aplusb-CMS\.md"):
        source.load(tmp_path)
    (folder / "aplusb-CMS.md").write_text("Add two numbers.")
    (task,) = source.load(tmp_path)
    assert "Add two numbers." in task.messages[0]["content"]
    assert "aplusb.h" in task.messages[0]["content"]


def test_contests_that_are_not_there_are_named(tmp_path: Path) -> None:
    source = PackageFolder(name="c", folder="nowhere", form="kattis", size=2)
    with pytest.raises(DataNotFoundError, match="put the contest's packages into"):
        source.load(tmp_path)
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(DataError, match="has 2 packages"):
        source.load(tmp_path)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'ioi'"):
        ContestEnv(rules="io")
    with pytest.raises(ConfigError, match="submissions"):
        ContestEnv(submissions=0)
    with pytest.raises(ConfigError, match="positive"):
        MathPythonEnv(max_tool_calls=0)


def test_python_is_remembered_between_calls_and_the_answer_is_judged(box: Sandbox) -> None:
    call = (
        "<tool_call>\n<function=stateful_python_code_exec>\n<parameter=code>\n{}\n</parameter>\n"
        "</function>\n</tool_call>"
    )
    tasks = TaskSet(
        "t", (Task("t", ({"role": "user", "content": "6 · 7?"},), "42"),), Provenance("t", "", 1)
    )
    env = MathPythonEnv(tasks, sandbox=box, max_tool_calls=2, tool_seconds=20)
    env.reset(options={"task": "t"})
    assert env.task.tools[0]["function"]["name"] == "stateful_python_code_exec"
    env.step(call.format("x = 6"))
    conversation, *_ = env.step(call.format("x * 7"))
    assert conversation[-1] == {
        "role": "tool", "name": "stateful_python_code_exec", "content": "42\n",
    } or "42" in conversation[-1]["content"]  # fmt: skip
    *_, terminated, _, info = env.step("\\boxed{42}")
    assert terminated
    assert info["verdict"].reward == 1.0
    env.close()


def test_rows_of_evalplus_hide_their_tests() -> None:
    plus = MBPP_PLUS.row(
        {"task_id": 2, "prompt": "Write f.", "code": "def f(x): return x",
         "test_list": ["assert f(1) == 1"], "test_imports": ["import math"],
         "test": "assert f(10 ** 9) == 10 ** 9\nassert f(math.pi) == math.pi"}, 0,
    )  # fmt: skip
    assert "assert f(1) == 1" in plus.messages[0]["content"]
    assert "10 ** 9" not in plus.messages[0]["content"]
    assert len(problem_of(plus.reference).tests) == 1
    row = {"task_id": "HumanEval/0", "prompt": "def f(x):\n", "entry_point": "f",
           "canonical_solution": "    return x\n",
           "test": "def check(f):\n    assert f(1) == 1"}  # fmt: skip
    assert HUMANEVAL_PLUS.row(row, 0).id == "HumanEval/0"


def test_tests_of_50_megabytes_and_traps_of_unicode(box: Sandbox) -> None:
    """A huge input passes whole; invisible characters in a program are its own fault."""
    from cascade.verifiers import code

    line = "7 " * (25 << 20)
    problem = {"input_output": {"inputs": [line + "\n"], "outputs": [str(25 << 20)]}}
    program = "```python\nprint(input().count('7'))\n```"
    verifier = code.CodeVerifier(box, time_factor=10)
    verdict = verifier(program, problem)
    assert verdict.reward == 1.0, verdict.reason
    small = {"input_output": {"inputs": ["1\n"], "outputs": ["1"]}}
    assert verifier("```python\nprint(input())  # \u202e\u2066 ﬁ\n```", small).reward == 1.0
    hidden = verifier("```python\npri\u200bnt(input())\n```", small)
    assert (hidden.reward, hidden.is_fault) == (0.0, False)
    assert verifier("```python\nprint('１')\n```", small).reward == 0.0
