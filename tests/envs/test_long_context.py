"""Long context: exact answers, and a judge that must agree in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cascade.envs import make_env
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.judges import Judge
from cascade.envs.long_context import ExactAnswer, JudgedAnswer
from cascade.errors import DataError, EngineError
from cascade.types import Prompt, SamplingParams, VerdictStatus

REFERENCE: dict[str, Any] = {"question": "Who?", "answer": ["The Ants, Inc.", "ants"]}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("<think>…</think>\nIt says:\nthe ants inc", VerdictStatus.CORRECT),
        ("ANTS", VerdictStatus.CORRECT),
        ("ants and bees", VerdictStatus.WRONG),
        ("<think>ants", VerdictStatus.NO_ANSWER),
    ],
)
def test_exact_answers(said: str, status: VerdictStatus) -> None:
    assert ExactAnswer()(said, REFERENCE).status is status


def test_a_task_without_an_answer_is_refused() -> None:
    with pytest.raises(DataError, match="answer"):
        ExactAnswer()("x", {"answer": []})


def judged(said: str, *verdicts: str | Exception) -> tuple[VerdictStatus, ScriptedEngine]:
    """Answer by the order in which gold and answer are shown."""

    def reply(prompt: Prompt, params: SamplingParams) -> str | Exception:
        assert isinstance(prompt, Sequence)
        text = str(prompt[-1]["content"])  # type: ignore[index]
        return verdicts[text.index("The Ants") > text.index("</answer_1>")]

    engine = ScriptedEngine(reply)
    verdict = JudgedAnswer(Judge(engine, attempts=1))(said, REFERENCE)
    return verdict.status, engine


def test_a_judge_must_agree_in_both_orders() -> None:
    assert judged("some ants", "[[SAME]]", "[[SAME]]")[0] is VerdictStatus.CORRECT
    assert judged("some ants", "[[SAME]]", "[[DIFFERENT]]")[0] is VerdictStatus.WRONG
    assert judged("some ants", "[[DIFFERENT]]", "[[SAME]]")[0] is VerdictStatus.WRONG


def test_a_judge_that_fails_is_a_fault() -> None:
    assert judged("some ants", "[[SAME]]", "hm")[0] is VerdictStatus.FAULT
    assert judged("some ants", EngineError("down"), "[[SAME]]")[0] is VerdictStatus.FAULT


def test_an_exact_answer_costs_no_judge() -> None:
    status, engine = judged("Ants", "[[DIFFERENT]]", "[[DIFFERENT]]")
    assert status is VerdictStatus.CORRECT
    assert engine.num_samples == 0


def test_two_notes_have_to_be_joined_from_difficulty_3_on() -> None:
    env = make_env("cascade/LongContext-v0", tasks="mini_long_context_5")
    for task in env.tasks:
        asker = task.reference["question"].rstrip("?").split()[-2]
        asked = [n for n in task.metadata["problem"].split("\n") if n.startswith(f"{asker} asked")]
        assert len(asked) == 1
        assert len(task.metadata["problem"].split("\n")) >= 97
