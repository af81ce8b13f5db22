"""The agent loop: calls and results, limits, and what later turns keep of earlier ones."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from cascade.envs import rollout
from cascade.envs.agent import MAX_CALLS, MAX_RESULT_CHARACTERS, tool_message
from cascade.envs.engines.openai_api import chat_body
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.engines.templates import load_template, render
from cascade.envs.workplace import WorkplaceEnv
from cascade.types import Completion, Message, SamplingParams, StopReason, VerdictStatus
from cascade.verifiers.tools import Call, render_calls

FIND = Call("find_employee", {"name": "a"})


@pytest.fixture
def env() -> WorkplaceEnv:
    env = WorkplaceEnv()
    env.reset(seed=0)
    return env


def results(conversation: Any) -> list[str]:
    return [m["content"] for m in conversation if m["role"] == "tool"]


def test_parallel_calls_get_one_result_each_in_order(env: WorkplaceEnv) -> None:
    calls = [FIND, Call("no_such_tool", {}), Call("find_employee", {"name": 5})]
    conversation, reward, terminated, truncated, _ = env.step(render_calls(calls, "hermes"))
    found, unknown, ill_typed = results(conversation)
    assert json.loads(found)
    assert "no tool called 'no_such_tool'" in json.loads(unknown)["error"]
    assert "is not of type 'string'" in json.loads(ill_typed)["error"]
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_a_malformed_call_is_a_result_beside_those_of_the_others(env: WorkplaceEnv) -> None:
    text = render_calls([FIND], "nemotron") + "\n<tool_call>\n<function=find_employee>"
    conversation, _, terminated, _, _ = env.step(text)
    _, broken = results(conversation)
    assert json.loads(broken)["error"].startswith("malformed call")
    assert not terminated


def test_calls_beyond_the_limit_are_refused_one_by_one(env: WorkplaceEnv) -> None:
    conversation, *_ = env.step(render_calls([FIND] * (MAX_CALLS + 2), "hermes"))
    answers = results(conversation)
    assert len(answers) == MAX_CALLS + 2
    assert all("not carried out" in answer for answer in answers[MAX_CALLS:])
    assert not any("not carried out" in answer for answer in answers[:MAX_CALLS])


def test_a_long_result_is_cut() -> None:
    content = tool_message("x" * (MAX_RESULT_CHARACTERS + 1))["content"]
    assert content.startswith("x" * MAX_RESULT_CHARACTERS)
    assert len(content) < MAX_RESULT_CHARACTERS + 40


def run(env: WorkplaceEnv, replies: Any, **options: Any) -> tuple[Any, list[Any]]:
    asked: list[Any] = []
    rest = iter(replies)

    def reply(prompt: Any, params: SamplingParams) -> Any:
        asked.append((prompt, params))
        return next(rest)

    trajectory = asyncio.run(
        rollout(env, ScriptedEngine(reply), SamplingParams(max_tokens=100), seed=1, **options)
    )
    return trajectory, asked


def test_an_episode_that_has_spent_its_tokens_is_truncated_without_reward(
    env: WorkplaceEnv,
) -> None:
    call = Completion(render_calls([FIND], "nemotron"), StopReason.STOP, num_tokens=60)
    trajectory, asked = run(env, [call] * 9, token_budget=150)
    assert [params.max_tokens for _, params in asked] == [100, 90, 30]
    assert trajectory.verdict.status is VerdictStatus.NO_ANSWER
    assert trajectory.verdict.reason == "the episode's 150 tokens are spent"
    assert trajectory.stop_reason is StopReason.LENGTH
    assert trajectory.truncated
    assert not trajectory.terminated


def written(conversation: Any) -> str:
    return render(load_template("nemotron_cascade_2"), conversation)


def test_reasoning_in_the_text_stays_since_the_users_message(env: WorkplaceEnv) -> None:
    """Results of tools are no message of the user: the template would drop what came before."""
    text = "<think>\nfirst Ann\n</think>\n" + render_calls([FIND], "nemotron")
    conversation, *_ = env.step(text)
    prompt = written(conversation)
    assert "first Ann" in prompt
    assert "<tool_response>\n" in prompt
    later = written((*conversation, {"role": "user", "content": "And then?"}))
    assert "first Ann" not in later


def test_reasoning_and_calls_that_a_server_took_out_go_back_as_fields(env: WorkplaceEnv) -> None:
    taken = Completion(
        "",
        StopReason.TOOL_CALLS,
        reasoning="first Ann",
        tool_calls=(
            {"id": "c1", "type": "function",
             "function": {"name": "find_employee", "arguments": '{"name": "a"}'}},
        ),
    )  # fmt: skip
    trajectory, asked = run(env, [taken, "Done."])
    said, result = asked[1][0][-2:]
    assert said["reasoning_content"] == "first Ann"
    assert said["tool_calls"][0]["function"]["name"] == "find_employee"
    assert said["content"] == ""
    assert (result["role"], result["tool_call_id"]) == ("tool", "c1")
    assert trajectory.messages[-3]["reasoning_content"] == "first Ann"


def test_a_server_is_sent_earlier_reasoning_under_both_names() -> None:
    """As vLLM 0.32 reads `reasoning` alone, it would be lost between calls under the other."""
    said: Message = {"role": "assistant", "content": "x", "reasoning_content": "first Ann"}
    asked: Message = {"role": "user", "content": "y"}
    body = chat_body("m", [asked, said], SamplingParams())
    assert body["messages"] == [asked, {**said, "reasoning": "first Ann"}]
    assert chat_body("m", [asked], SamplingParams())["messages"] == [asked]


def test_calls_that_no_template_can_write_stay_text(env: WorkplaceEnv) -> None:
    function = {"name": "find_employee", "arguments": '{"name": '}
    broken = Completion("", StopReason.TOOL_CALLS, tool_calls=({"id": "c", "function": function},))
    _, asked = run(env, [broken, "Done."])
    said, result = asked[1][0][-2:]
    assert "tool_calls" not in said
    assert '{"name": }' in said["content"] or '{"name": ' in said["content"]
    assert "malformed call" in result["content"]
