"""The environment Code-v0: one answer, execution feedback, the Python tool, a shared sandbox."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade.envs import load_tasks, make_env
from cascade.envs.check import check_tasks
from cascade.envs.code import shared
from cascade.envs.code.env import CodeEnv
from cascade.envs.code.mini import mini_task, solution
from cascade.envs.code.python_tool import NAME, TOOL
from cascade.envs.tasksets import MiniSource
from cascade.errors import ConfigError, SandboxError
from cascade.sandboxes import Sandbox
from cascade.types import StopReason, VerdictStatus
from cascade.verifiers.code import AllTests, Fraction
from code_data import opened


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with opened("local", workers=2) as sandbox:
        yield sandbox


def call(code: str, name: str = NAME) -> str:
    """A tool call in Nemotron's form."""
    head = f"<think>\nlet me see\n</think>\n<tool_call>\n<function={name}>\n<parameter=code>\n"
    return f"{head}{code}\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize("difficulty", range(1, 6))
def test_every_mini_task_proves_itself_and_is_short(box: Sandbox, difficulty: int) -> None:
    tasks = MiniSource(kind="code", difficulty=difficulty, size=6).load()
    assert check_tasks(CodeEnv(tasks, sandbox=box)) == 6
    env = CodeEnv(tasks, sandbox=box)
    for task in tasks:
        response = solution(task)
        assert len(response.split("</think>\n")[1]) <= 60
        assert len(task.messages[0]["content"]) <= 130
        env.reset(options={"task": task.id})
        assert env.step(response)[1] == 1.0


def test_mini_tasks_are_a_function_of_their_arguments_and_the_splits_are_apart() -> None:
    for difficulty in range(1, 6):
        train, test = (
            {mini_task(0, i, difficulty, split=split).metadata["problem"] for i in range(200)}
            for split in ("train", "test")
        )
        assert not train & test
        assert mini_task(3, 5, difficulty) == mini_task(3, 5, difficulty)
    assert len(load_tasks("mini_code_4")) == 50
    with pytest.raises(ConfigError, match="difficulty must be 1 to 5"):
        mini_task(0, 0, 6)


def test_a_table_of_the_shown_examples_does_not_pass(box: Sandbox) -> None:
    """The hidden tests use other arguments than the prompt shows."""
    task = mini_task(0, 0, 2)
    pairs = task.reference["input_output"]
    shown = {i[0]: o for i, o in zip(pairs["inputs"], pairs["outputs"], strict=True)}
    table = dict(list(shown.items())[:5])
    env = CodeEnv(MiniSource(kind="code", difficulty=2).load(), sandbox=box)
    env.reset(options={"task": task.id})
    step = env.step(f"```python\ndef f(x): return {table!r}.get(x, 0)\n```")
    assert (step[1], step[2]) == (0.0, True)


def test_feedback_shows_public_failures_and_then_the_last_attempt_counts(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, feedback_turns=2)
    task = env.tasks[0]
    env.reset(options={"task": task.id})
    conversation, reward, terminated, truncated, _ = env.step(
        "```python\ndef f(x): return 'no'\n```"
    )
    assert (reward, terminated, truncated) == (0.0, False, False)
    shown = conversation[-1]["content"]
    assert "fails public tests" in shown
    assert "Call: f(0)" in shown
    assert "Returned: 'no'" in shown
    outputs = task.reference["input_output"]["outputs"]
    assert f"Expected: {outputs[0]}" in shown
    assert "f(19)" not in shown, "hidden tests are never shown"
    conversation, *_ = env.step("```python\ndef f(x) return\n```")
    assert "SyntaxError" in conversation[-1]["content"]
    _, reward, terminated, _, info = env.step(solution(task))
    assert (reward, terminated) == (1.0, True)
    assert info["verdict"].status is VerdictStatus.CORRECT


def test_a_right_attempt_ends_the_episode_at_once(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, feedback_turns=5)
    env.reset(options={"task": env.tasks[0].id})
    assert env.step(solution(env.tasks[0]))[1:3] == (1.0, True)


def test_the_last_wrong_attempt_is_judged_on_all_tests(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, feedback_turns=1, scoring=Fraction())
    env.reset(options={"task": env.tasks[0].id})
    for _ in range(2):
        _, reward, terminated, _, info = env.step("```python\ndef f(x): return None\n```")
    assert terminated
    assert (reward, info["verdict"].status) == (0.0, VerdictStatus.WRONG)


def test_the_python_tool_remembers_and_the_answer_is_still_judged(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, max_tool_calls=4, tool_seconds=3)
    task = env.tasks[0]
    assert task.tools == (TOOL,)
    env.reset(options={"task": task.id})
    conversation, _, terminated, truncated, _ = env.step(call("x = 20\nprint('set')"))
    assert (terminated, truncated) == (False, False)
    assert conversation[-1] == {"role": "tool", "name": NAME, "content": "set\n"}
    assert env.step(call("x + 1"))[0][-1]["content"].strip() == "21"
    assert "ZeroDivisionError" in env.step(call("1 / 0"))[0][-1]["content"]
    _, reward, terminated, _, _ = env.step(solution(task))
    assert (reward, terminated) == (1.0, True)


def test_the_interpreter_is_fresh_in_every_episode(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, max_tool_calls=2)
    env.reset(seed=1)
    env.step(call("x = 20"))
    env.reset(seed=1)
    assert "NameError" in env.step(call("x"))[0][-1]["content"]
    env.close()


def test_a_call_out_of_time_is_interrupted(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, max_tool_calls=3, tool_seconds=1)
    env.reset(seed=1)
    env.step(call("x = 7"))
    shown = env.step(call("while True: pass"))[0][-1]["content"]
    assert "interrupted after 1 s" in shown
    assert env.step(call("x"))[0][-1]["content"].strip() == "7"
    env.close()


def test_broken_and_unknown_calls_are_told_and_counted(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box, max_tool_calls=2)
    env.reset(seed=1)
    assert "Error" in env.step("<tool_call>\nnonsense")[0][-1]["content"]
    assert "only tool" in env.step(call("1", name="shell"))[0][-1]["content"]
    conversation, reward, terminated, truncated, info = env.step(call("1"))
    assert "all 2 calls are used" in conversation[-1]["content"]
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["stop_reason"] is StopReason.TURNS
    assert info["verdict"].status is VerdictStatus.NO_ANSWER


def test_without_the_tool_a_call_is_no_answer(box: Sandbox) -> None:
    env = CodeEnv("mini_code", sandbox=box)
    env.reset(seed=1)
    assert env.step(call("print(1)"))[4]["verdict"].status is VerdictStatus.NO_ANSWER


def test_environments_share_one_sandbox_that_their_last_closes() -> None:
    with opened("local", workers=1):
        pass
    settings = {"workers": 1, "spare": False}
    first = CodeEnv("mini_code", sandbox="local", sandbox_settings=settings)
    second = CodeEnv("mini_code", sandbox="local", sandbox_settings=settings, max_tool_calls=1)
    assert not shared._open, "nothing is opened before the first program"
    sandbox = first.verifier.sandbox
    assert second.verifier.sandbox is sandbox
    second.reset(seed=1)
    assert second.step(call("1 + 1"))[0][-1]["content"].strip() == "2"
    first.close()
    second.reset(options={"task": second.tasks[0].id})
    assert second.step(solution(second.tasks[0]))[1] == 1.0
    second.close()
    second.close()
    assert not shared._open
    with pytest.raises(SandboxError):
        sandbox.languages()
    with pytest.raises(SandboxError, match="closed"):
        _ = second.verifier
    gc.collect()


def test_a_file_of_rows_in_a_published_form_is_a_task_set(box: Sandbox, tmp_path: Path) -> None:
    row = {
        "problem_id": 7,
        "question": "Print the sum.",
        "input_output": json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]}),
        "solutions": json.dumps(["print(sum(map(int, input().split())))"]),
    }
    path = tmp_path / "apps.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    env = make_env("cascade/Code-v0", tasks=str(path), sandbox=box)
    assert "Print the sum." in env.tasks[0].messages[0]["content"]
    assert check_tasks(env) == 1


def test_prompts_are_those_of_the_published_evaluation(data_dir: Path) -> None:
    """All 279 LiveCodeBench prompts of the QwQ-32B evaluation, letter for letter."""
    from cascade.envs.code.prompts import messages_of
    from cascade.verifiers.code import Problem
    from cascade.verifiers.code.problem import ProblemTest
    from code_data import read_gz

    published = {
        row["question_id"]: row["prompt"]
        for row in read_gz(data_dir / "qwq_eval_prompts/livecodebench_v5.jsonl.gz")
    }
    rows = read_gz(data_dir / "livecodebench_o1/O1-Mini-2024-09-12.eval_all.json.gz")
    same = 0
    for row in rows:
        if row["question_id"] in published:
            problem = Problem(
                row["question_id"], (ProblemTest("", ""),),
                statement=row["question_content"], starter=row["starter_code"],
            )  # fmt: skip
            same += messages_of(problem)[0]["content"] == published[row["question_id"]]
    assert same == len(published) == 279


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_published_tasks_prove_themselves(box: Sandbox, data_dir: Path, name: str) -> None:
    """Every 60th task; the benchmark runs all."""
    tasks = load_tasks(name, data_dir)
    chosen = [task for index, task in enumerate(tasks) if index % 60 == 3]
    env = make_env("cascade/Code-v0", tasks=tasks, sandbox=box, scoring=AllTests(), time_factor=4)
    assert check_tasks(env, chosen) == len(chosen)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="feedback_turns"):
        CodeEnv("mini_code", feedback_turns=-1)
    with pytest.raises(ConfigError, match="tool_seconds"):
        CodeEnv("mini_code", tool_seconds=0)
