"""Answers compared with a baseline's: prompts, orders, worth of labels, faults."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cascade.envs import make_env, rollout
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.judges import Judge
from cascade.envs.pairwise import PAIR_PROTOCOLS, PairwiseEnv
from cascade.envs.pairwise.sources import (
    ALPACA_EVAL,
    ARENA_HARD_V01,
    ARENA_HARD_V2,
    answer_of,
    with_baseline,
)
from cascade.envs.rows import Row
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import DataError, EngineError, UnknownNameError
from cascade.types import Prompt, SamplingParams, Task, VerdictStatus

QUESTION = Task(
    "q", ({"role": "user", "content": "Why?"},), {"baseline": "Because.", "model": "base"}
)
TASKS = TaskSet("test", (QUESTION,), Provenance("test", "", 1))
PARAMS = SamplingParams()


def judge_that_says(first: str, second: str) -> Judge:
    """`first` if the baseline is A, else `second`."""

    def reply(prompt: Prompt, params: SamplingParams) -> str:
        text = str(prompt[-1]["content"])  # type: ignore[index]
        is_first = text.index("Because.") < text.index("Mine")
        return f"verdict [[{first if is_first else second}]]"

    return Judge(ScriptedEngine(reply), attempts=2)


@pytest.mark.parametrize(
    ("first", "second", "won", "games"),
    [
        ("B>>A", "A>>B", 6, 6), ("B>A", "A>B", 2, 2), ("A=B", "A=B", 1, 2),
        ("A>>B", "A>B", 1, 4), ("B>>A", "B>A", 3, 4), ("A>>B", "B>>A", 0, 6),
        ("A=B", "A>>B", 3.5, 4),
    ],
)  # fmt: skip
async def test_both_orders_count_by_their_weights(
    first: str, second: str, won: float, games: float
) -> None:
    env = PairwiseEnv(TASKS, judge=judge_that_says(first, second))
    done = await rollout(env, ScriptedEngine("<think>hm</think>Mine"), PARAMS, task_id="q")
    assert done.verdict.parts == {"won": won, "games": games, "length": 4, "baseline_length": 8}
    assert done.verdict.reward == won / games
    assert done.verdict.extracted == f"{first}, {second}"


@pytest.mark.parametrize(
    ("first", "second", "reward"), [("B", "A", 1), ("A", "A", 0.5), ("A", "B", 0), ("C", "A", 0.5)]
)
def test_mt_bench_needs_both_orders_to_agree(first: str, second: str, reward: float) -> None:
    env = PairwiseEnv(TASKS, judge=judge_that_says(first, second), protocol="mt_bench")
    env.reset(options={"task": "q"})
    assert env.step("Mine")[1] == reward


def judge_of_alpaca(reply: Callable[[bool], str]) -> Judge:
    """`reply` is told whether the baseline stands first."""

    def said(prompt: Prompt, params: SamplingParams) -> str:
        text = str(prompt[-1]["content"])  # type: ignore[index]
        return reply(text.index("Because.") < text.index("Mine"))

    return Judge(ScriptedEngine(said), attempts=1)


@pytest.mark.parametrize(
    ("reply", "reward"),
    [
        (lambda baseline_first: "M" if baseline_first else "m", 1.0),
        (lambda baseline_first: "m" if baseline_first else " M\n", 0.0),
        (lambda baseline_first: "m", 0.5),
    ],
)
def test_alpaca_eval_tells_labels_by_case_and_keeps_lengths(
    reply: Callable[[bool], str], reward: float
) -> None:
    env = PairwiseEnv(TASKS, judge=judge_of_alpaca(reply), protocol="alpaca_eval")
    env.reset(options={"task": "q"})
    verdict = env.step("Mine")[-1]["verdict"]
    assert verdict.reward == reward
    assert verdict.parts == {"won": 2 * reward, "games": 2, "length": 4, "baseline_length": 8}


def test_alpaca_eval_guesses_no_label() -> None:
    judge = judge_of_alpaca(lambda baseline_first: "The best is m")
    env = PairwiseEnv(TASKS, judge=judge, protocol="alpaca_eval")
    env.reset(options={"task": "q"})
    assert env.step("Mine")[-1]["verdict"].is_fault


def test_rows_of_alpaca_eval() -> None:
    row = {"dataset": "koala", "instruction": "Why?", "output": "So.", "generator": "gpt4"}
    task = ALPACA_EVAL.row(row, 3)
    assert (task.id, task.reference) == ("3", {"baseline": "So.", "model": "gpt4"})
    assert task.metadata["category"] == "koala"


@pytest.mark.parametrize("reply", ["I prefer the second.", EngineError("down"), "[[A>C]]"])
async def test_a_judge_without_a_verdict_is_a_fault(reply: str | Exception) -> None:
    judge = Judge(ScriptedEngine(reply), attempts=2)
    env = PairwiseEnv(TASKS, judge=judge)
    done = await rollout(env, ScriptedEngine("Mine"), PARAMS, task_id="q")
    assert done.verdict.is_fault
    assert done.verdict.reason.startswith("judge: ")
    assert done.reward == 0


async def test_an_answer_that_never_came_is_not_put_before_the_judge() -> None:
    engine = ScriptedEngine("[[A=B]]")
    env = PairwiseEnv(TASKS, judge=Judge(engine))
    done = await rollout(env, ScriptedEngine("<think>never closed"), PARAMS, task_id="q")
    assert done.verdict.status is VerdictStatus.NO_ANSWER
    assert engine.num_samples == 0


def test_a_real_question_without_a_judge_is_a_fault() -> None:
    env = PairwiseEnv(TASKS)
    env.reset(options={"task": "q"})
    verdict = env.step("Mine")[-1]["verdict"]
    assert verdict.is_fault
    assert "give a real judge" in verdict.reason


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'arena_hard'"):
        PairwiseEnv(TASKS, protocol="arena_hart")


@pytest.mark.parametrize("reference", [None, {}, {"baseline": " "}, "text"])
def test_a_question_without_a_baseline_is_an_error(reference: object) -> None:
    tasks = TaskSet("test", (Task("q", QUESTION.messages, reference),), Provenance("test", "", 1))
    env = PairwiseEnv(tasks)
    env.reset(options={"task": "q"})
    with pytest.raises(DataError, match="no field 'baseline'"):
        env.step("Mine")


def test_every_protocol_is_fair_to_places() -> None:
    """Swapping the answers swaps the labels, and changes nothing."""
    for protocol in PAIR_PROTOCOLS.values():
        for label, game in protocol.games.items():
            mirrored = protocol.game(label, model_is_b=False)
            assert (mirrored.share, mirrored.weight) == (1 - game.share, game.weight)


def test_arena_hard_v01_is_500_questions_with_a_baseline(data_dir: Path) -> None:
    tasks = ARENA_HARD_V01.load(data_dir)
    assert {task.reference["model"] for task in tasks} == {"gpt-4-0314"}
    env = make_env("cascade/Pairwise-v0", tasks=tasks, judge=Judge(ScriptedEngine("[[A=B]]")))
    env.reset(options={"task": tasks[0].id})
    assert env.step("Mine")[1] == 0.5


def test_arena_hard_v2_has_500_hard_and_250_creative_questions(data_dir: Path) -> None:
    tasks = ARENA_HARD_V2.load(data_dir)
    counts = [sum(t.metadata["category"] == c for t in tasks) for c in
              ("hard_prompt", "creative_writing")]  # fmt: skip
    assert counts == [500, 250]


def test_answers_of_two_models_are_no_baseline() -> None:
    rows: list[Row] = [{"uid": "1", "prompt": "?"}]
    for i, model in enumerate("ab"):
        answer = [{"content": {"answer": "x"}}]
        rows.append({"uid": str(i), "model": model, "messages": answer})
    with pytest.raises(DataError, match="one baseline"):
        with_baseline(rows)
    with pytest.raises(DataError, match="two answers"):
        with_baseline([rows[1], rows[1]])
    with pytest.raises(DataError, match="answers none of the 1 questions"):
        with_baseline([{"uid": "7", "prompt": "?"}, rows[1]])


def test_answers_of_both_versions_are_read(data_dir: Path) -> None:
    folder = data_dir / "ko_arena_hard" / "model_answer"
    with gzip.open(folder / "gpt-4o-mini.jsonl.gz", "rt") as file:
        assert answer_of(json.loads(file.readline()))
    with pytest.raises(DataError, match="not a row of answers"):
        answer_of({"messages": []})
