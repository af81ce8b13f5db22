"""The preference environment: points, schedules, length rules, group rewards, failing judges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from cascade.envs import make_env, rollout
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.groups import judged_together
from cascade.envs.judges import Judge
from cascade.envs.preference import (
    Comparison,
    ConcisenessBonus,
    CourtesyJudge,
    GenerativeRewardModel,
    Judged,
    LengthControl,
    PreferenceEnv,
    PreferenceReward,
    all_pairs,
    both_positions,
    circular,
)
from cascade.errors import ConfigError, ContractError, DataError, EngineError
from cascade.types import Conversation, Prompt, SamplingParams, Trajectory, Verdict, VerdictStatus


class LikesNumbers:
    """Scores an answer by the number in it; notes who was shown where."""

    def __init__(self, fails: Sequence[str] = ()) -> None:
        self.seen: list[tuple[str, str]] = []
        self.fails = fails

    async def compare(
        self, conversation: Conversation, first: str, second: str
    ) -> Comparison | str:
        self.seen.append((first, second))
        if first in self.fails:
            return "out of order"
        ranking = 2 if int(first) > int(second) else 5
        return Comparison(float(first), float(second), ranking)


def group(*texts: str) -> list[Trajectory]:
    """Roll the texts out on one task."""
    env = PreferenceEnv(against="group")
    task_id = env.tasks[0].id

    async def run() -> list[Trajectory]:
        return [
            await rollout(
                env, ScriptedEngine(text), SamplingParams(), task_id=task_id, sample=number
            )
            for number, text in enumerate(texts)
        ]

    return asyncio.run(run())


def rewards(reward: PreferenceReward, *texts: str) -> list[float]:
    env = PreferenceEnv(against="group", group_reward=reward)
    return [t.reward for t in asyncio.run(judged_together(env, group(*texts)))]


def test_a_tie_is_broken_by_the_ranking() -> None:
    assert Comparison(4, 2, 6).points == (4, 2)  # scores differ: the ranking is not used
    assert Comparison(3, 3, 1).points == (5.5, 0.5)
    assert Comparison(3, 3, 4).points == (2.5, 3.5)
    with pytest.raises(ContractError, match="1 to 6"):
        Comparison(3, 3, 7)


def test_schedules() -> None:
    assert len(all_pairs(16)) == 120  # the number of calls of Nemotron-Cascade 2
    assert circular(4) == [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert circular(2) == [(0, 1)]
    assert len(both_positions(circular)(16)) == 32
    assert both_positions(all_pairs)(2) == [(0, 1), (1, 0)]


def test_length_control_is_centred_and_separate() -> None:
    judged = [Judged(3, 10, 30), Judged(3, 20, 30), Judged(3, 30, 30)]
    assert LengthControl()(judged) == pytest.approx([0.25, 0.0, -0.25])
    assert LengthControl(reasoning=0)(judged) == [0, 0, 0]
    assert LengthControl()([Judged(3, 5, 5)]) == [0]


def test_brevity_pays_only_among_the_best() -> None:
    # The shortest is not good; the good ones are not the shortest.
    judged = [Judged(1, 1, 9), Judged(5, 9, 9), Judged(2, 9, 1), Judged(5, 9, 9)]
    assert ConcisenessBonus()(judged) == [0, 0, 0, 0]
    judged = [Judged(5, 1, 1), Judged(1, 9, 9), Judged(1, 9, 9)]
    assert ConcisenessBonus()(judged) == [1.0, 0, 0]
    with pytest.raises(ConfigError, match="percentile"):
        ConcisenessBonus(percentile=101)


def test_a_group_is_ranked_and_both_positions_are_asked() -> None:
    judge = LikesNumbers()
    assert rewards(PreferenceReward(judge, shaping=()), "5", "1", "3") == [5, 1, 3]
    assert sorted(judge.seen) == sorted(
        [("5", "1"), ("1", "5"), ("5", "3"), ("3", "5"), ("1", "3"), ("3", "1")]
    )


def test_reasoning_is_not_shown_and_counts_as_length() -> None:
    judge = LikesNumbers()
    texts = ("<think>\nshort\n</think>\n4", "<think>\nlonger by far\n</think>\n4")
    first, second = rewards(PreferenceReward(judge, shaping=(LengthControl(),)), *texts)
    assert judge.seen == [("4", "4"), ("4", "4")]
    assert first - second == pytest.approx(0.5)


def test_an_episode_without_an_answer_gets_the_least_and_is_not_judged() -> None:
    judge = LikesNumbers()
    assert rewards(PreferenceReward(judge, shaping=()), "5", "<think>never ends", "2") == [5, 1, 2]
    assert len(judge.seen) == 2
    assert rewards(PreferenceReward(judge, shaping=()), "5", "<think>never ends") == [3, 1]


def test_a_judge_that_fails_is_a_fault_and_drops_the_pair_in_both_orders() -> None:
    env = PreferenceEnv(
        against="group", group_reward=PreferenceReward(LikesNumbers(fails=["1"]), shaping=())
    )
    judged = asyncio.run(judged_together(env, group("5", "1", "3")))
    assert [t.verdict.is_fault for t in judged] == [False, True, False]
    assert "out of order" in judged[1].verdict.reason
    assert judged[0].metadata["preference"]["matches_not_judged"] == 2
    faulty = [*judged[:1], judged[1]]
    again = asyncio.run(judged_together(env, faulty))
    assert again[1] is faulty[1]  # a FAULT is compared with nothing


def test_a_group_reward_must_return_what_it_got() -> None:
    async def forgets(group: Sequence[Trajectory], /) -> list[Trajectory]:
        return list(group)[1:]

    env = PreferenceEnv(against="group", group_reward=forgets)
    with pytest.raises(ContractError, match="in their order"):
        asyncio.run(judged_together(env, group("1", "2")))
    assert asyncio.run(judged_together(make_env("cascade/Math-v0"), group("1"))) is not None


def test_alone_an_answer_meets_the_stored_one() -> None:
    env = PreferenceEnv()
    task = env.tasks[0]
    name = task.messages[0]["content"].split()[5]
    for text, status in (
        (task.metadata["solution"], VerdictStatus.CORRECT),
        (task.reference["baseline"], VerdictStatus.PARTIAL),
        (f"Dear {name}.", VerdictStatus.WRONG),
    ):
        env.reset(options={"task": task.id})
        assert env.step(text)[4]["verdict"].status is status


def test_a_task_without_a_stored_answer_says_what_to_do() -> None:
    env = PreferenceEnv()
    object.__setattr__(env.tasks[0], "reference", None)
    env.reset(options={"task": env.tasks[0].id})
    with pytest.raises(DataError, match='against="group"'):
        env.step("Hello")
    with pytest.raises(ConfigError, match="against"):
        PreferenceEnv(against="nobody")  # type: ignore[arg-type]


def test_the_rules_are_symmetric() -> None:
    """What is said of (a, b) is the mirror image of what is said of (b, a)."""
    task = PreferenceEnv().tasks[0]
    texts = [task.metadata["solution"], task.reference["baseline"], "No.", "Hello"]
    judge = CourtesyJudge()
    for a in texts:
        for b in texts:
            there = asyncio.run(judge.compare(task.messages, a, b))
            back = asyncio.run(judge.compare(task.messages, b, a))
            assert isinstance(there, Comparison)
            assert isinstance(back, Comparison)
            assert (there.first, there.second) == (back.second, back.first)
            if a != b:
                assert there.ranking == 7 - back.ranking


def reply(prompt: Prompt, params: SamplingParams) -> str:
    assert isinstance(prompt, Sequence)
    text = str(prompt[-1]["content"])  # type: ignore[index]
    better = text.index("BEST") < text.index("</response_1>")
    first, second, ranking = (5, 2, 1) if better else (2, 5, 6)
    verdict = {"score_1": first, "score_2": second, "ranking": ranking}
    return f"<think>…</think>Compared. {json.dumps(verdict)}"


def test_a_generative_reward_model_is_asked_and_parsed() -> None:
    model = GenerativeRewardModel(Judge(ScriptedEngine(reply)))
    assert rewards(PreferenceReward(model, shaping=()), "BEST {braces}", "worse") == [5, 2]


@pytest.mark.parametrize("said", ["I like the first.", '{"score_1": 9}', EngineError("down")])
def test_a_model_without_a_verdict_is_a_fault(said: str | Exception) -> None:
    engine = ScriptedEngine(said)
    model = GenerativeRewardModel(Judge(engine, attempts=2))
    env = PreferenceEnv(judge=model, against="group")
    judged = asyncio.run(judged_together(env, group("a", "b")))
    assert all(t.verdict.is_fault for t in judged)
    assert engine.num_samples == 4  # two orders, asked twice each
    alone = PreferenceEnv(judge=model)
    alone.reset(seed=0)
    verdict = alone.step("Hello")[4]["verdict"]
    assert isinstance(verdict, Verdict)
    assert verdict.is_fault
