"""Rows of published sets become tasks in the published prompt; broken rows are refused."""

from __future__ import annotations

import pytest

from cascade.envs.sources import SOURCES
from cascade.errors import DataError

GPQA = {
    "Question": " Which is heaviest? ",
    "Correct Answer": "lead",
    "Incorrect Answer 1": "air",
    "Incorrect Answer 2": "oak",
    "Incorrect Answer 3": "ice",
    "Record ID": "rec-1",
}


def test_gpqa_options_stand_in_an_order_drawn_by_the_record() -> None:
    first, again = (SOURCES["gpqa_diamond"].row(GPQA, index) for index in (0, 7))
    assert first == again
    letter = first.reference["answer"]
    assert first.reference["options"]["ABCD".index(letter)] == "lead"
    assert f"{letter}) lead" in first.messages[0]["content"]
    orders = {
        tuple(SOURCES["gpqa_diamond"].row({**GPQA, "Record ID": i}, 0).reference["options"])
        for i in range(40)
    }
    assert len(orders) > 10


def test_a_question_of_mmlu_pro_keeps_its_options_and_id() -> None:
    row = {"question": "Q?", "options": ["x", "y", "z"], "answer": "C", "question_id": 5,
           "category": "law"}  # fmt: skip
    task = SOURCES["mmlu_pro"].row(row, 0)
    assert (task.id, task.reference) == ("5", {"answer": "C", "options": ["x", "y", "z"]})
    assert task.metadata["category"] == "law"
    with pytest.raises(DataError, match="'D', but there are 3 options"):
        SOURCES["mmlu_pro"].row({**row, "answer": "D"}, 0)


def test_gsm8k_takes_what_follows_the_last_mark() -> None:
    row = {"question": "Q?", "answer": "1,000 * 2 = 2,000\n#### 2,000"}
    assert SOURCES["gsm8k"].row(row, 3).reference == "2000"


@pytest.mark.parametrize(("given", "number"), [("2024-II-4", "19"), ("2024-I-4", "4")])
def test_aime_problems_are_numbered_through_both_parts(given: str, number: str) -> None:
    row = {"ID": given, "Problem": "P", "Answer": 7}
    assert SOURCES["aime24"].row(row, 0).id == number
