"""τ²-bench's domains: their tools against the recorded results, and episodes with a customer."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cascade.envs import make_env, rollout
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.judges import Judge
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.envs.tau2 import Documents, Tau2Env, find_domain, open_database
from cascade.envs.tau2.arithmetic import calculate
from cascade.envs.tau2.judging import check_reference
from cascade.envs.tau2.recorded import recorded_tables
from cascade.envs.tau2.tasks import Tau2Source, tau2_task
from cascade.envs.toolworld import ToolError, ToolResult
from cascade.errors import (
    ConfigError,
    DataError,
    DataNotFoundError,
    EngineError,
    UnknownNameError,
)
from cascade.types import SamplingParams, Task, VerdictStatus
from cascade.verifiers.tools import Call, render_calls

RESULTS = "tau2_toolorchestra/{}_1trial.json.gz"


def results(data_dir: Path, domain: str) -> Any:
    path = data_dir / RESULTS.format(domain)
    if not path.is_file():
        pytest.skip(f"no {path.name} at {path.parent}")
    return json.loads(gzip.decompress(path.read_bytes()))


def calls_of(episode: Any) -> Iterator[tuple[Any, str]]:
    """The agent's calls, each with its recorded result."""
    shown = {m["id"]: m["content"] for m in episode["messages"] if m["role"] == "tool"}
    for message in episode["messages"]:
        if message["role"] == "assistant":
            for call in message["tool_calls"] or ():
                yield call, shown[call["id"]]


def same(found: ToolResult, recorded: str) -> bool:
    """Whether a result is the recorded document, text or error."""
    value = json.loads(found.text)
    if found.failed:
        return recorded == f"Error: {value['error']}"
    return recorded == value or bool(json.loads(recorded) == value)


def test_every_recorded_result_of_the_shop_comes_out(data_dir: Path) -> None:
    """873 calls of 114 episodes: the same document, text or error."""
    domain = find_domain("retail")
    start, calls = open_database(domain, data_dir), 0
    for episode in results(data_dir, "retail")["simulations"]:
        documents = start.copy()
        for call, recorded in calls_of(episode):
            assert same(domain.toolbox.call(documents, call["name"], call["arguments"]), recorded)
            calls += 1
    assert calls == 873
    assert start.difference(open_database(domain, data_dir)) is None


def test_what_the_airline_changed_comes_out_from_what_it_showed(data_dir: Path) -> None:
    """Reservations after each change, as far as the records show what it started from."""
    domain, checked = find_domain("airline"), 0
    episodes = results(data_dir, "airline")["simulations"]
    start = Documents(recorded_tables(episodes, domain.tables))
    for episode in episodes:
        documents = start.copy()
        for call, recorded in calls_of(episode):
            if not call["name"].startswith(("update_", "book_", "cancel_", "send_")):
                continue
            found = domain.toolbox.call(documents, call["name"], call["arguments"])
            if "not found" in found.text:
                break  # from here on the episode has what the records do not show
            assert same(found, recorded)
            checked += 1
    assert checked >= 50


def tau2(**reference: Any) -> TaskSet:
    """The first mini customer, with parts of the reference replaced."""
    task = make_env("cascade/Tau2-v0").tasks[0]
    changed = Task(task.id, task.messages, {**task.reference, **reference}, task.tools)
    return TaskSet("one", (changed,), Provenance("test", "", 1))


def gold(env: Tau2Env) -> str:
    actions = env.tasks[0].reference["actions"]
    return render_calls([Call(a["name"], a["arguments"]) for a in actions], "nemotron")


def play(env: Tau2Env, replies: list[Any]) -> Any:
    engine = ScriptedEngine(replies)
    return asyncio.run(rollout(env, engine, SamplingParams(), task_id=env.tasks[0].id, seed=1))


def customer(*lines: Any) -> Judge:
    return Judge(ScriptedEngine(list(lines)), attempts=1)


SCENARIO = {"guidelines": "Play a customer.", "scenario": "You want a refund."}


def test_a_model_plays_the_customer() -> None:
    """It sees guidelines, scenario and what was said, and the agent's texts as the user's."""
    asked: list[Any] = []
    lines = iter(["I want to cancel.", "Yes, thank you.", "Bye. ###STOP###"])

    def reply(prompt: Any, params: SamplingParams) -> str:
        asked.append(prompt)
        return next(lines)

    env = Tau2Env(tau2(user=SCENARIO), judge=Judge(ScriptedEngine(reply)))
    assert not env.begins_quickly
    episode = play(env, ["Sure?", gold(env), "It is cancelled."])
    assert episode.verdict.status is VerdictStatus.CORRECT
    assert [m["role"] for m in asked[-1]] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert "You want a refund." in asked[0][0]["content"]
    assert asked[-1][-1]["content"] == "It is cancelled."
    assert not any("tool_call" in m["content"] for m in asked[-1])


def test_a_customer_that_fails_is_a_fault_and_never_a_wrong_answer() -> None:
    at_once = Tau2Env(tau2(user=SCENARIO), judge=customer(EngineError("no server")))
    later = Tau2Env(tau2(user=SCENARIO), judge=customer("Hello.", EngineError("no server")))
    for env in (at_once, later):
        verdict = play(env, ["Done."]).verdict
        assert verdict.is_fault
        assert "no server" in verdict.reason


def test_customers_without_a_script_need_a_model() -> None:
    env = Tau2Env(tau2(user=SCENARIO))
    with pytest.raises(ConfigError, match="--judge-model"):
        env.reset(seed=0)


def test_what_the_customer_was_to_be_told_counts() -> None:
    env = Tau2Env(tau2(communicate_info=["1250", "Visa"]))
    for told, reward in (("You get $1,250 on your VISA.", 1.0), ("You get $1,250.", 0.0)):
        verdict = play(env, [gold(env), told]).verdict
        assert verdict.reward == reward
        assert verdict.parts == {"DB": 1.0, "COMMUNICATE": reward}
    assert verdict.reason == "the user was not told 'Visa'"


def test_a_change_that_was_not_asked_for_costs_the_reward() -> None:
    env = Tau2Env(tau2())
    user = next(iter(env.tasks[0].reference["database"]["users"]))
    address = {"address1": "1 A", "address2": "", "city": "B", "state": "C", "country": "D"}
    surplus = Call("modify_user_address", {"user_id": user, **address, "zip": "1"})
    verdict = play(env, [gold(env) + "\n" + render_calls([surplus], "nemotron"), "Done."]).verdict
    assert verdict.status is VerdictStatus.WRONG
    assert verdict.reason.startswith(f"users {user}: address is")


def test_failed_calls_are_seen_and_ten_of_them_end_the_episode() -> None:
    env = Tau2Env(tau2())
    env.reset(seed=0)
    lost = render_calls([Call("get_order_details", {"order_id": "#W0"})], "nemotron")
    conversation, *_ = env.step(lost)
    assert conversation[-1] == {"role": "tool", "content": "Error: Order not found"}
    episode = play(env, [lost] * 20)
    assert len(episode.completions) == 10
    assert episode.verdict.reason == "10 calls failed"


def test_a_conversation_that_the_customer_did_not_end_earns_nothing() -> None:
    env = Tau2Env(tau2(user={"script": ["Hello.", "And?", "And?"]}), max_turns=2)
    episode = play(env, [gold(env), "Done."])
    assert (episode.truncated, episode.verdict.status) == (True, VerdictStatus.NO_ANSWER)
    assert env.judge_stored(env.tasks[0].id, episode.messages).status is VerdictStatus.NO_ANSWER


def test_a_stored_episode_gets_its_verdict_again() -> None:
    """Also where texts of digits stand in calls without quotes, or words beside a call."""
    user = next(iter(tau2()[0].reference["database"]["users"]))
    place = dict.fromkeys(("address1", "address2", "city", "state", "country", "zip"), "12345")
    action = {"name": "modify_user_address", "arguments": {"user_id": user, **place}}
    env = Tau2Env(tau2(actions=[action], communicate_info=["moved"]))
    for replies in (
        [gold(env), "Moved."], [f"It will be moved.\n{gold(env)}", "Done."], [gold(env), "Done."],
        ["Moved."],
    ):  # fmt: skip
        episode = play(env, replies)
        assert env.judge_stored(env.tasks[0].id, episode.messages) == episode.verdict
    with pytest.raises(UnknownNameError):
        env.judge_stored("none", ())


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2 + 2", "4.0"), ("(1.5 - 3) * -2", "3.0"), ("10 / 4", "2.5"), ("7 // 2", "3.0")],
)
def test_the_calculator(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["1 / 0", "__import__('os')", "9**9**9", "(" * 150, "1" * 300, "", "1 1", "2 * (3"],
)
def test_the_calculator_refuses_the_rest_at_once(expression: str) -> None:
    with pytest.raises(ToolError):
        calculate(expression)


def test_rewards_that_need_a_judge_or_the_customers_own_tools_are_refused() -> None:
    with pytest.raises(DataError, match="NL_ASSERTION"):
        check_reference({"reward_basis": ["DB", "NL_ASSERTION"]})
    with pytest.raises(DataError, match="action of the user"):
        check_reference({"actions": [{"requestor": "user", "name": "reboot", "arguments": {}}]})
    with pytest.raises(UnknownNameError):
        find_domain("telecom")


def test_tasks_of_a_checkout_and_of_a_file_of_results(tmp_path: Path, data_dir: Path) -> None:
    row = {
        "id": "7",
        "user_scenario": {
            "persona": "Hasty.",
            "instructions": {"domain": "retail", "reason_for_call": "A refund.",
                             "known_info": "You are Ann.", "task_instructions": "Be brief."},
        },
        "evaluation_criteria": {"actions": [], "communicate_info": None, "reward_basis": ["DB"]},
    }  # fmt: skip
    folder = tmp_path / "tau2/domains/retail"
    folder.mkdir(parents=True)
    (folder / "tasks.json").write_text(json.dumps([row]))
    (folder / "policy.md").write_text("Be fair.")
    (tmp_path / "tau2/user_simulator").mkdir()
    (tmp_path / "tau2/user_simulator/simulation_guidelines.md").write_text("Be human.")
    (task,) = Tau2Source(name="t", domain="retail").load(tmp_path)
    assert "<policy>\nBe fair.\n</policy>" in task.messages[0]["content"]
    assert task.reference["user"] == {
        "guidelines": "Be human.",
        "scenario": "Persona:\n\tHasty.\nInstructions:\n\tDomain: retail\n\tReason for call:\n\t\t"
        "A refund.\n\tKnown info:\n\t\tYou are Ann.\n\tTask instructions:\n\t\tBe brief.",
    }
    assert len(task.tools) == 16
    source = Tau2Source(name="t", domain="airline", files=(RESULTS.format("airline"),), size=50)
    assert len(source.load(data_dir)) == 50
    with pytest.raises(DataNotFoundError, match="data/tau2"):
        source.load(tmp_path)
    with pytest.raises(DataNotFoundError, match=r"db\.json"):
        open_database(find_domain("airline"), tmp_path)
    with pytest.raises(DataError, match="evaluation_criteria"):
        tau2_task({"id": "1"}, "retail", "", "")
