"""The environment contract and the one rollout, on a two-turn environment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cascade.envs import Turn, rollout
from cascade.envs.check import check_env, check_tasks
from cascade.envs.rollout import derive_seed
from cascade.errors import (
    ConfigError,
    ContractError,
    DataError,
    EngineError,
    ResetNeededError,
    UnknownNameError,
)
from cascade.types import (
    Completion,
    Message,
    Prompt,
    SamplingParams,
    StopReason,
    Task,
    Verdict,
    VerdictStatus,
)
from cascade.verifiers.tools import parse_calls
from echo_env import CallEngine, TwiceEnv

PARAMS = SamplingParams(max_tokens=16)


def run(env: Any, engine: Any, **options: Any) -> Any:
    return asyncio.run(rollout(env, engine, PARAMS, **options))


def always(text: str) -> CallEngine:
    return CallEngine(lambda prompt, params: text)


def test_the_conversation_grows_by_both_sides() -> None:
    env = TwiceEnv()
    start, _ = env.reset(seed=1)
    answer = env.oracle_response(env.task)
    conversation, reward, terminated, truncated, _ = env.step(answer)
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert [m["role"] for m in conversation] == [m["role"] for m in start] + ["assistant", "user"]
    conversation, reward, terminated, truncated, info = env.step(answer)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["verdict"].status is VerdictStatus.CORRECT
    assert "Are you sure?" in env.render()


def test_spent_turns_truncate_and_are_no_answer() -> None:
    env = TwiceEnv(max_turns=1)
    env.reset(seed=1)
    _, reward, terminated, truncated, info = env.step(env.oracle_response(env.task))
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["verdict"].status is VerdictStatus.NO_ANSWER
    assert info["stop_reason"] is StopReason.TURNS


def test_step_outside_an_episode_is_refused() -> None:
    env = TwiceEnv()
    with pytest.raises(ResetNeededError):
        env.step("4")
    env.reset(seed=0)
    env.step("no")
    with pytest.raises(ResetNeededError, match="reset"):
        env.step("4")


def test_a_seed_draws_the_same_task_and_an_option_names_one() -> None:
    env = TwiceEnv()
    env.reset(seed=5)
    first = env.task.id
    env.reset(seed=5)
    assert env.task.id == first
    env.reset(options={"task": first})
    assert env.task.id == first
    with pytest.raises(UnknownNameError, match="task of set 'mini_arithmetic'"):
        env.reset(options={"task": first + "x"})


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_turns"):
        TwiceEnv(max_turns=0)
    with pytest.raises(ConfigError, match="render_mode"):
        TwiceEnv(render_mode="human")


def test_a_rollout_records_every_turn() -> None:
    env = TwiceEnv()
    env.reset(seed=3)
    engine = always(env.oracle_response(env.task))
    trajectory = run(env, engine, seed=3, env_id="x/Twice-v0", sample=2, metadata={"run": "r"})
    assert trajectory.verdict.status is VerdictStatus.CORRECT
    assert (trajectory.reward, trajectory.terminated, trajectory.truncated) == (1.0, True, False)
    assert len(trajectory.completions) == 2
    assert trajectory.messages[-1]["role"] == "assistant"
    assert (trajectory.env_id, trajectory.sample) == ("x/Twice-v0", 2)
    assert trajectory.metadata == {"run": "r"}


def test_each_turn_gets_its_own_seed_from_the_episodes() -> None:
    env = TwiceEnv()
    env.reset(seed=3)
    engine = always(env.oracle_response(env.task))
    run(env, engine, seed=3)
    first = list(engine.seeds)
    engine.seeds.clear()
    run(env, engine, seed=3)
    assert engine.seeds == first
    assert len(set(first)) == 2


def test_a_failed_engine_is_a_fault_not_a_wrong_answer() -> None:
    def fail(prompt: Prompt, params: SamplingParams) -> str:
        raise EngineError("server gone")

    trajectory = run(TwiceEnv(), CallEngine(fail), seed=0)
    assert trajectory.verdict.is_fault
    assert "server gone" in trajectory.verdict.reason
    assert trajectory.stop_reason is StopReason.ERROR


class BrokenEnv(TwiceEnv):
    error: Exception = ZeroDivisionError("division by zero")

    def respond(self, text: str) -> Turn:
        raise self.error


def test_a_broken_judge_is_a_fault_that_names_the_error() -> None:
    trajectory = run(BrokenEnv(), always("4"), seed=0)
    assert trajectory.verdict.is_fault
    assert "ZeroDivisionError" in trajectory.verdict.reason
    assert len(trajectory.completions) == 1


@pytest.mark.parametrize("error", [ConfigError("no such model"), DataError("no gold")])
def test_what_no_episode_can_satisfy_stops_the_run(error: Exception) -> None:
    env = BrokenEnv()
    env.error = error
    with pytest.raises(type(error)):
        run(env, always("4"), seed=0)


def test_a_cut_off_message_is_the_reason_the_episode_ended() -> None:
    engine = CallEngine(lambda p, s: Completion("no", StopReason.LENGTH))
    assert run(TwiceEnv(), engine, seed=0).stop_reason is StopReason.LENGTH


class OfferingEnv(TwiceEnv):
    heard: str = ""

    def begin(self, task: Task) -> tuple[Message, ...]:
        self._task = replace(task, tools=({"type": "function", "function": {"name": "f"}},))
        return super().begin(task)

    def respond(self, text: str) -> Turn:
        self.heard = text
        return Turn(verdict=Verdict.wrong(text))


def test_the_tools_of_a_task_reach_the_engine_and_calls_come_back_as_text() -> None:
    """Also where the server's parser took the calls out of the text, malformed ones as they are."""
    offered: list[Any] = []

    def reply(prompt: Prompt, params: SamplingParams) -> Completion:
        offered.append(params.extra["tools"])
        call = {"function": {"name": "f", "arguments": '{"x": 1'}}
        return Completion("I call f.", StopReason.TOOL_CALLS, tool_calls=(call,))

    env = OfferingEnv()
    run(env, CallEngine(reply), seed=0)
    assert offered == [[{"type": "function", "function": {"name": "f"}}]]
    expected = '<tool_call>\n{"name": "f", "arguments": {"x": 1}\n</tool_call>'
    assert env.heard == f"I call f.\n{expected}"
    parsed = parse_calls(env.heard)
    assert (len(parsed.calls), len(parsed.malformed)) == (0, 1)


def test_derived_seeds_depend_on_their_parts_alone() -> None:
    assert derive_seed("a", 1) == derive_seed("a", 1)
    assert len({derive_seed(a, b) for a in range(20) for b in range(20)}) == 400
    assert 0 <= derive_seed("x") < 2**31


def test_check_env_accepts_an_environment_that_keeps_the_contract() -> None:
    check_env(SayOnceEnv)
    assert check_tasks(SayOnceEnv()) == 50


class SayOnceEnv(TwiceEnv):
    def respond(self, text: str) -> Turn:
        if not text.strip():
            return Turn(verdict=Verdict.no_answer("empty"))
        right = text == self.task.reference
        return Turn(verdict=Verdict.correct(text) if right else Verdict.wrong(text))


class PaysJunk(SayOnceEnv):
    def respond(self, text: str) -> Turn:
        if "lorem" in text:
            return Turn(verdict=Verdict.correct(text))
        return super().respond(text)


class RejectsGold(SayOnceEnv):
    def oracle_response(self, task: Task) -> str:
        return "nonsense"


class EmptyIsWrong(SayOnceEnv):
    def respond(self, text: str) -> Turn:
        return Turn(verdict=Verdict.wrong()) if not text else super().respond(text)


class Unseeded(SayOnceEnv):
    count = 0

    def begin(self, task: Task) -> Any:
        Unseeded.count += 1
        return (*task.messages, {"role": "user", "content": str(Unseeded.count)})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (PaysJunk, "junk earns"),
        (RejectsGold, "reference answer"),
        (EmptyIsWrong, "empty answer"),
        (Unseeded, "check_env|function of its seed"),
    ],
)
def test_check_env_names_the_clause_that_is_broken(kind: type[TwiceEnv], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_env(kind)


def test_a_seed_given_with_a_named_task_governs_what_is_drawn_later() -> None:
    """The generator is made when first used, from the seed of the last reset that had one."""
    env = TwiceEnv("mini_arithmetic")
    task_id = env.tasks[0].id
    env.reset(seed=5)
    expected = env.np_random.random(3).tolist()
    first = env.reset(seed=5)[1]["task"]
    for again in (5, None):
        env.reset(seed=5, options={"task": task_id})
        assert env.np_random_seed == 5
        if again is None:
            assert env.reset()[1]["task"] == first
        else:
            env.np_random.integers(len(env.tasks))  # what a reset without a task draws first
            assert env.np_random.random(3).tolist() == expected
