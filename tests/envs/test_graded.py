"""Answers graded by a judge: prompts, several gradings, faults, needles, published data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cascade.envs import rollout
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.graded import RUBRICS, GradedEnv, strict_mean
from cascade.envs.graded.rubrics import FIELDS, filled
from cascade.envs.graded.sources import HLE, IMO_ANSWERBENCH, IMO_PROOFBENCH
from cascade.envs.judges import Judge
from cascade.envs.long_context.ruler import (
    CATEGORIES,
    NeedlesFound,
    RulerEnv,
    RulerSource,
    ruler_text,
)
from cascade.envs.multiple_choice.sources import LONGBENCH_V2, MMLU_REDUX
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import ConfigError, DataError
from cascade.types import SamplingParams, Task, VerdictStatus

PROOF = Task(
    "p", ({"role": "user", "content": "Prove it."},),
    {"reference": "Obvious {answer}.", "guidelines": "1 point for trying"},
)  # fmt: skip
TASKS = TaskSet("test", (PROOF,), Provenance("test", "", 1))


def graders(*replies: str) -> Judge:
    return Judge(ScriptedEngine(list(replies)), attempts=1)


def points(*values: int) -> list[str]:
    return [f"<points>{value} out of 7</points>" for value in values]


@pytest.mark.parametrize(
    ("grades", "reward"),
    [((7, 7, 7), 1.0), ((7, 6, 7), 20 / 21), ((7, 7, 0), 0.0), ((1, 1, 1), 1 / 7), ((0, 0, 0), 0)],
)
async def test_any_zero_makes_zero_else_the_mean(grades: tuple[int, ...], reward: float) -> None:
    env = GradedEnv(
        TASKS, judge=graders(*points(*grades)), rubric="proof", gradings=3, aggregate=strict_mean
    )
    done = await rollout(env, ScriptedEngine("My proof."), SamplingParams(), task_id="p")
    assert done.verdict.reward == pytest.approx(reward)
    assert done.verdict.parts["mean"] == pytest.approx(sum(grades) / 21)


async def test_one_failed_grading_of_three_is_a_fault() -> None:
    judge = graders(*points(7, 7), "<points>12 out of 7</points>")
    env = GradedEnv(TASKS, judge=judge, rubric="proof", gradings=3)
    done = await rollout(env, ScriptedEngine("My proof."), SamplingParams(), task_id="p")
    assert done.verdict.is_fault
    assert "1 of 3 gradings failed" in done.verdict.reason


async def test_gradings_of_one_proof_have_seeds_of_their_own() -> None:
    seeds: set[Any] = set()

    def reply(prompt: Any, params: SamplingParams) -> str:
        seeds.add(params.seed)
        return "\\boxed{0.5}"

    env = GradedEnv(TASKS, judge=Judge(ScriptedEngine(reply)), rubric="verify", gradings=8)
    done = await rollout(env, ScriptedEngine("My proof."), SamplingParams(), task_id="p")
    assert (done.verdict.reward, len(seeds)) == (0.5, 8)


def test_texts_go_into_the_prompt_as_they_are() -> None:
    texts = {name: f"{{problem}} {name} {{}}" for name in FIELDS}
    out = filled("a {answer} b {problem} {x} {reference}{guidelines}", texts)
    assert out == (
        "a {problem} answer {} b {problem} problem {} {x} {problem} reference {}"
        "{problem} guidelines {}"
    )


@pytest.mark.parametrize("name", RUBRICS)
def test_every_prompt_names_the_verdicts_that_it_reads(name: str) -> None:
    """The prompt's own examples of verdicts must not count as one if a judge repeats them."""
    rubric = RUBRICS[name]
    assert "{answer}" in rubric.prompt
    assert rubric.parse("I like it.") is None
    assert rubric.parse("\\boxed{maybe} <points>5.5 out of 7</points>") is None


def test_a_prompt_that_hides_the_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match="answer"):
        GradedEnv(TASKS, prompt="Grade {problem}")
    with pytest.raises(ConfigError, match="gradings"):
        GradedEnv(TASKS, gradings=0)


def test_the_published_olympiad_sets_load(data_dir: Path) -> None:
    answers, proofs = IMO_ANSWERBENCH.load(data_dir), IMO_PROOFBENCH.load(data_dir)
    assert (len(answers), len(proofs)) == (399, 60)
    assert answers.get("imo-bench-algebra-036") is None
    parts = [task.metadata["part"] for task in proofs]
    assert (parts.count("Basic"), parts.count("Advanced")) == (30, 30)
    assert proofs[0].reference["guidelines"]
    assert answers[0].reference == "3"


def test_rows_of_hle_tell_questions_with_pictures() -> None:
    row = {"id": "x", "question": "Why?", "answer": "So", "image": "", "category": "Math"}
    without, with_picture = HLE.row(row, 0), HLE.row({**row, "image": "data:…"}, 0)
    assert (without.metadata["image"], with_picture.metadata["image"]) == ("no", "yes")
    assert without.messages[0]["content"].endswith("\\boxed{}")


@pytest.mark.parametrize(
    ("row", "letter"),
    [
        ({"answer": 2, "error_type": "ok"}, "C"),
        ({"answer": 2, "error_type": "wrong_groundtruth", "correct_answer": "1"}, "B"),
        ({"answer": 2, "error_type": "wrong_groundtruth", "correct_answer": "D"}, "D"),
        ({"answer": 2, "error_type": "wrong_groundtruth", "correct_answer": "two"}, "B"),
        ({"answer": 2, "error_type": "bad_question_clarity", "correct_answer": None}, "C"),
        ({"answer": 2, "error_type": "wrong_groundtruth", "correct_answer": "none of them"}, "C"),
    ],
)
def test_corrected_labels_of_mmlu_redux(row: dict[str, Any], letter: str) -> None:
    full = {"question": "1+1?", "choices": ["one", "two", "three", "four"], "subject": "x", **row}
    task = MMLU_REDUX.row(full, 7)
    assert task.reference["answer"] == letter
    assert task.id == "7"


def test_a_label_of_mmlu_redux_that_is_a_number_is_a_place_not_the_text_of_an_option() -> None:
    row = {"question": "1+1?", "choices": ["2", "3", "0", "1"], "error_type": "ok", "answer": 3}
    assert MMLU_REDUX.row(row, 0).reference["answer"] == "D"
    row |= {"error_type": "wrong_groundtruth", "correct_answer": "2"}
    assert MMLU_REDUX.row(row, 0).reference["answer"] == "A"


def test_rows_of_longbench() -> None:
    row = {"_id": "a", "question": "Who?", "context": "text " * 9, "answer": "B", "length": "long"}
    row |= {f"choice_{c}": c * 3 for c in "ABCD"}
    task = LONGBENCH_V2.row(row, 0)
    assert task.reference == {"answer": "B", "options": ["AAA", "BBB", "CCC", "DDD"]}
    assert "<text>\ntext text" in task.messages[0]["content"]
    with pytest.raises(DataError, match="one of A to D"):
        LONGBENCH_V2.row({**row, "answer": "E"}, 0)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("tokens", [512, 20_000])
def test_needles_are_hidden_once_at_the_length_that_was_asked_for(
    category: str, tokens: int
) -> None:
    tasks = RulerSource(tokens=tokens, categories=(category,), per_category=4).load()
    again = RulerSource(tokens=tokens, categories=(category,), per_category=4).load()
    places = []
    env = RulerEnv(tasks)
    for task, same in zip(tasks, again, strict=True):
        conversation, _ = env.reset(options={"task": task.id})
        text = conversation[0]["content"]
        assert text.endswith(task.messages[0]["content"])
        assert ruler_text(same) in text
        assert 0.8 * tokens < len(text) / 4.2 < 1.2 * tokens
        gold = task.reference["answer"]
        assert len({*gold}) == CATEGORIES[category].asked * CATEGORIES[category].values
        assert all(text.count(value) == 1 for value in gold)
        places.append(text.index(gold[0]))
    assert len({*places}) > 1


@pytest.mark.parametrize(
    ("answer", "reward"),
    [("1234567, 7654321", 1), ("It is 1234567.", 0.5), ("8888888", 0), ("12345678", 0),
     ("1234567 7654321 1111111", 1), (" ".join(map(str, range(1234567, 1234580))), 0)],
)  # fmt: skip
def test_numbers_found_are_counted(answer: str, reward: float) -> None:
    assert NeedlesFound()(answer, {"answer": ["1234567", "7654321"]}).reward == reward
    assert NeedlesFound()("", {"answer": ["1"]}).status is VerdictStatus.NO_ANSWER
