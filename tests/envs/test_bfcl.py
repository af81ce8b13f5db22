"""BFCL: rows of the published forms, and its multi-turn conversations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.bfcl import BfclMultiTurnEnv, BfclMultiTurnSource, Services, find_service
from cascade.envs.bfcl.env import MAX_STEPS
from cascade.envs.bfcl.ledger import LEDGER_TOOLS
from cascade.envs.bfcl.tasks import multi_turn_task
from cascade.envs.check import check_tasks
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.envs.tool_calling.bfcl import BfclSource, openai_tools
from cascade.errors import ConfigError, DataError, DataNotFoundError
from cascade.types import VerdictStatus
from cascade.verifiers.tools import Call, render_calls

ROW = {
    "id": "multi_turn_base_0",
    "question": [
        [{"role": "user", "content": "Move 5 from a to b."}],
        [{"role": "user", "content": "Open c."}],
        [],
        [{"role": "user", "content": "What is in b?"}],
    ],
    "initial_config": {"Ledger": {"accounts": {"a": 11, "b": 0}}},
    "involved_classes": ["Ledger"],
    "missed_function": {"2": ["open"]},
}
ANSWER = {
    "id": "multi_turn_base_0",
    "ground_truth": [["transfer('a', 'b', 5)"], [], ["open('c')"], ["balance(account='b')"]],
}
DECLARED = {"Ledger": LEDGER_TOOLS}


@pytest.fixture
def env() -> BfclMultiTurnEnv:
    task = multi_turn_task(ROW, ANSWER, DECLARED)
    env = BfclMultiTurnEnv(TaskSet("one", (task,), Provenance("test", "", 1)))
    env.reset(options={"task": task.id})
    return env


def said(name: str, **arguments: Any) -> str:
    return render_calls([Call(name, arguments)], "nemotron")


MOVE = said("transfer", source="a", target="b", amount=5)


def play(env: BfclMultiTurnEnv, *messages: str) -> Any:
    for message in messages:
        conversation, _, terminated, _, info = env.step(message)
        if terminated:
            return info["verdict"]
    return conversation


def test_a_function_that_was_held_back_is_handed_over(env: BfclMultiTurnEnv) -> None:
    offered = [tool["function"]["name"] for tool in env.task.tools]
    assert offered == ["balance", "transfer"]
    conversation = play(env, MOVE, "Done.", "I cannot open one.")
    assert '"name": "open"' in conversation[-1]["content"]
    verdict = play(env, said("open", account="c"), "Done.", said("balance", account="b"), "5.")
    assert verdict.status is VerdictStatus.CORRECT


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (["Done."], "request 1: no call was made"),
        ([said("balance", account="a"), "Done."], "request 1: Ledger.accounts is not as expected"),
        ([MOVE, MOVE, "Done."], "request 1: Ledger.accounts is not as expected"),
        ([MOVE, "Done.", "No.", said("open", account="c"), "Done.", said("balance", account="a"),
          "5."], "request 4: a result is missing"),
        ([said("balance", account="a")] * 30, f"request 1 took more than {MAX_STEPS} messages"),
    ],
)  # fmt: skip
def test_a_request_that_fails_ends_the_episode(
    env: BfclMultiTurnEnv, messages: list[str], reason: str
) -> None:
    verdict = play(env, *messages)
    assert verdict.status is VerdictStatus.WRONG
    assert verdict.reason.startswith(reason)


def test_a_result_seen_earlier_counts(env: BfclMultiTurnEnv) -> None:
    """The last request asks for a balance; it was looked up after the first."""
    first = (MOVE, said("balance", account="b"), "Done.")
    opened = ("No.", said("open", account="c"), "Done.")
    verdict = play(env, *first, *opened, said("balance", account="a"), "It is 6.")
    assert verdict.status is VerdictStatus.CORRECT


def test_calls_that_fail_are_results_and_texts_are_never_evaluated() -> None:
    services = Services(["Ledger"], {"Ledger": {"accounts": {"a": 1}}})
    for call in (
        Call("balance", {"account": "none"}),
        Call("balance", {"wrong": 1}),
        Call("_load_scenario", {"scenario": {}}),
        Call("__import__", {"name": "os"}),
    ):
        result = services.call(call)
        assert result.failed
        assert result.text.startswith("Error during execution: ")


def test_the_start_is_never_shared_between_episodes(env: BfclMultiTurnEnv) -> None:
    play(env, MOVE)
    env.reset(options={"task": env.task.id})
    conversation = play(env, said("balance", account="a"))
    assert conversation[-1]["content"] == '{"balance": 11}'


def test_unknown_and_missing_services_are_errors() -> None:
    with pytest.raises(DataError, match="no service 'Nothing'"):
        find_service("Nothing")
    if "bfcl_eval" not in sys.modules:
        with pytest.raises(ConfigError, match="pip install"):
            find_service("MathAPI")


@pytest.mark.parametrize(
    ("row", "answer", "problem"),
    [
        ({k: v for k, v in ROW.items() if k != "question"}, ANSWER, "'question' is missing"),
        (ROW, {"ground_truth": [[]]}, "4 requests, but 1 lists"),
        (ROW, {"ground_truth": [["transfer("], [], [], []]}, "cannot be read"),
    ],
)
def test_rows_that_cannot_be_read_are_errors(row: Any, answer: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        multi_turn_task(row, answer, DECLARED)


def write(path: Path, *rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_category_is_loaded_from_the_published_folder(tmp_path: Path) -> None:
    row = {**ROW, "involved_classes": ["MathAPI"], "missed_function": {}}
    row["question"] = [row["question"][0]]  # type: ignore[index]
    folder = tmp_path / "bfcl"
    write(folder / "BFCL_v4_multi_turn_base.json", row)
    write(folder / "possible_answer/BFCL_v4_multi_turn_base.json",
          {"id": row["id"], "ground_truth": [["add(a=1, b=2)"]]})  # fmt: skip
    number = {"type": "float"}
    schema = {"type": "dict", "properties": {"a": number, "b": number}, "required": ["a", "b"]}
    write(folder / "multi_turn_func_doc/math_api.json",
          {"name": "add", "description": "Add.", "parameters": schema})  # fmt: skip
    source = BfclMultiTurnSource(name="m", category="multi_turn_base", licence="Apache-2.0")
    (task,) = source.load(tmp_path)
    assert task.reference["expected"] == [[{"name": "add", "arguments": {"a": 1, "b": 2}}]]
    assert task.tools[0]["function"]["parameters"]["properties"]["a"] == {"type": "number"}
    with pytest.raises(DataNotFoundError, match="bfcl_eval/data"):
        source.load(tmp_path / "bfcl")


def test_the_mini_conversations_prove_themselves_at_every_difficulty() -> None:
    for difficulty in range(1, 6):
        env = BfclMultiTurnEnv(f"mini_ledger_{difficulty}")
        assert check_tasks(env, list(env.tasks)[:20]) == 20


def test_single_turn_questions_in_both_published_layouts(tmp_path: Path, data_dir: Path) -> None:
    if not (data_dir / "bfcl_v1_2024-08-11").is_dir():
        pytest.skip(f"no BFCL at {data_dir}")
    old = BfclSource(name="b", categories=("simple", "irrelevance"), size=639).load(data_dir)
    assert {task.metadata["category"] for task in old} == {"simple", "irrelevance"}
    function = {"name": "a.b", "parameters": {"type": "dict", "properties": {}}}
    asked = [[{"role": "user", "content": "Do it."}]]
    folder = tmp_path / "bfcl"
    write(folder / "BFCL_v4_simple_java.json", {"id": "j", "question": asked, "function": function})
    write(folder / "possible_answer/BFCL_v4_simple_java.json",
          {"id": "j", "ground_truth": [{"a.b": {}}]})  # fmt: skip
    (task,) = BfclSource(name="b", categories=("java",)).load(tmp_path)
    assert task.messages == ({"role": "user", "content": "Do it."},)
    assert task.reference["language"] == "java"
    assert task.tools[0]["function"]["name"] == "a_b"
    with pytest.raises(DataNotFoundError, match="javascript"):
        BfclSource(name="b", categories=("javascript",)).load(tmp_path)


def test_types_of_bfcl_become_those_of_json_schema() -> None:
    given = {"type": "dict", "properties": {
        "x": {"type": "float"}, "y": {"type": "tuple", "items": {"type": "any"}},
        "type": {"type": "dict", "properties": {"z": {"type": "HashMap"}}}}}  # fmt: skip
    (tool,) = openai_tools({"name": "f", "parameters": given})
    assert tool["function"]["parameters"] == {"type": "object", "properties": {
        "x": {"type": "number"}, "y": {"type": "array", "items": {}},
        "type": {"type": "object", "properties": {"z": {"type": "object"}}}}}  # fmt: skip
