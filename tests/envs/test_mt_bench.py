"""MT-Bench: two turns, a grade for each, references where they are needed; rows written here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.envs import rollout
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.graded.mt_bench import MT_BENCH, MtBenchEnv, rating, with_references
from cascade.envs.judges import Judge
from cascade.envs.tasksets import TaskSet
from cascade.errors import DataError, EngineError
from cascade.evals.task import find_task
from cascade.types import Prompt, SamplingParams, VerdictStatus

PARAMS = SamplingParams()
QUESTIONS: list[dict[str, Any]] = [
    {"question_id": 81, "category": "writing", "turns": ["Write {answer}.", "Shorter."]},
    {"question_id": 111, "category": "math", "turns": ["1+1?", "And 2+2?"], "reference": ["2"]},
]  # fmt: skip
REFERENCE = {
    "question_id": 111,
    "model_id": "gpt-4",
    "choices": [{"index": 0, "turns": ["2", "4"]}],
}


@pytest.fixture
def tasks(tmp_path: Path) -> TaskSet:
    folder = tmp_path / "mt_bench" / "reference_answer"
    folder.mkdir(parents=True)
    (folder.parent / "question.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    (folder / "gpt-4.jsonl").write_text(json.dumps(REFERENCE))
    return replace(MT_BENCH, size=2).load(tmp_path)


def judge_that(
    says: Callable[[str], str], seen: list[Prompt] | None = None, attempts: int = 1
) -> Judge:
    def reply(prompt: Prompt, params: SamplingParams) -> str:
        if seen is not None:
            seen.append(prompt)
        return says(str(prompt[-1]["content"]))  # type: ignore[index]

    return Judge(ScriptedEngine(reply), attempts=attempts)


def by_turn(asked: str) -> str:
    return "Fine. Rating: [[9]]" if "Conversation with User" in asked else "Rating: [[4]]"


def single_and_multi(seen: list[Prompt]) -> list[str]:
    texts = [str(prompt[-1]["content"]) for prompt in seen]  # type: ignore[index]
    return sorted(texts, key=lambda text: "Conversation with User" in text)


async def test_both_answers_are_graded_and_the_second_with_the_first(tasks: TaskSet) -> None:
    seen: list[Prompt] = []
    env = MtBenchEnv(tasks, judge=judge_that(by_turn, seen))
    engine = ScriptedEngine(["<think>hm</think>Mine", "<think>hm</think>Its {question_1}"])
    done = await rollout(env, engine, PARAMS, task_id="81")
    assert done.verdict.parts == {"turn_1": 4, "turn_2": 9}
    assert done.verdict.reward == pytest.approx((6.5 - 1) / 9)
    assert [m["content"] for m in done.messages if m["role"] == "user"] == [
        "Write {answer}.", "Shorter.",
    ]  # fmt: skip
    one, both = single_and_multi(seen)
    assert "[Question]\nWrite {answer}.\n\n[The Start of Assistant's Answer]\nMine\n" in one
    assert "### Assistant A:\nMine\n" in both
    assert "### Assistant A:\nIts {question_1}\n" in both
    assert "hm" not in one + both


async def test_mathematics_is_graded_by_reference_answers(tasks: TaskSet) -> None:
    seen: list[Prompt] = []
    env = MtBenchEnv(tasks, judge=judge_that(by_turn, seen))
    await rollout(env, ScriptedEngine("two"), PARAMS, task_id="111")
    one, both = single_and_multi(seen)
    assert "[The Start of Reference Answer]\n2\n" in one
    assert "### Reference answer:\n2\n\n### User:\nAnd 2+2?\n\n### Reference answer:\n4\n" in both


async def test_an_answer_that_never_came_has_the_lowest_grade(tasks: TaskSet) -> None:
    seen: list[Prompt] = []
    env = MtBenchEnv(tasks, judge=judge_that(by_turn, seen))
    engine = ScriptedEngine(["<think>never closed", "Shorter"])
    done = await rollout(env, engine, PARAMS, task_id="81")
    assert done.verdict.parts == {"turn_1": 1, "turn_2": 9}
    assert len(seen) == 1
    done = await rollout(env, ScriptedEngine("<think>never"), PARAMS, task_id="81")
    assert (done.verdict.status, done.verdict.reward) == (VerdictStatus.NO_ANSWER, 0.0)


@pytest.mark.parametrize("reply", ["I like it.", "Rating: [[11]]", EngineError("down")])
async def test_a_judge_without_a_grade_is_a_fault(tasks: TaskSet, reply: str | Exception) -> None:
    env = MtBenchEnv(tasks, judge=Judge(ScriptedEngine(reply), attempts=2))
    done = await rollout(env, ScriptedEngine("Mine"), PARAMS, task_id="81")
    assert done.verdict.is_fault
    assert done.verdict.reason.startswith("judge: ")


def test_steps_alone_ask_the_judge_too(tasks: TaskSet) -> None:
    env = MtBenchEnv(tasks, judge=judge_that(by_turn))
    env.reset(options={"task": "81"})
    assert env.step("Mine")[2] is False
    assert env.step("Shorter")[-1]["verdict"].parts == {"turn_1": 4, "turn_2": 9}


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Rating: [[5]]", 5.0), ("[[7.5]] then [[2]]", 7.5), ("Rating: [8]", 8.0),
        ("[1] says so: [[3]]", 3.0), ("[[0]]", None), ("10 of 10", None), ("", None),
    ],
)  # fmt: skip
def test_the_first_rating_counts(reply: str, grade: float | None) -> None:
    assert rating(reply) == grade


def test_references_are_joined_and_needed() -> None:
    assert [row["reference_turns"] for row in with_references([*QUESTIONS, REFERENCE])] == [
        None, ["2", "4"],
    ]  # fmt: skip
    with pytest.raises(DataError, match="two reference answers to question 111"):
        with_references([REFERENCE, REFERENCE])
    with pytest.raises(DataError, match="'math' needs GPT-4's reference answers"):
        MT_BENCH.row(QUESTIONS[1], 0)
    with pytest.raises(DataError, match="must hold two questions"):
        MT_BENCH.row({**QUESTIONS[0], "turns": ["one"]}, 0)


def test_the_score_is_the_mean_of_all_grades() -> None:
    metric = find_task("mt_bench").protocol.set_metric("score")
    assert metric is not None

    class Fake:
        def __init__(self, **parts: float) -> None:
            self.parts = parts

    problems = [[Fake(turn_1=8, turn_2=6)], [Fake()]]
    assert metric.compute(problems) == 4.0  # type: ignore[arg-type]
