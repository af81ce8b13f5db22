"""Foreign forms of outputs, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from cascade.errors import ConfigError, DataError
from cascade.evals.formats import FORMATS, Output, find_format


def _read(name: str, row: dict[str, Any], index: int = 0) -> list[Output]:
    form, argument = find_format(name)
    return list(form.read(row, index, argument))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"reasoning": "r", "answer": "18"}', "18"),
        ('```json\n{"reasoning": "a\nb", "answer": 18}\n```', "18"),
        ('{"reasoning": "{x}", "answer": "1/2"} and {"answer": "3"}', "1/2"),
        ('{"reasoning": "unfinished", "answer": "7"', "7"),
        ('{"answer": 42, "reasoning": "broken', "42"),
        ("answer: 9", "9"),
        ("nothing of the kind", None),
        ("", None),
    ],
)
def test_zeroeval_answers_are_read_as_its_scorer_reads_them(text: str, answer: str | None) -> None:
    (output,) = _read("zeroeval", {"id": "x", "output": [text]})
    assert output.response == answer


def test_zeroeval_names_of_gsm8k_problems_become_ours() -> None:
    (output,) = _read("zeroeval", {"id": "gsm8k-main-test-#17", "output": "{}"})
    assert output.id == "17"


def test_gsm8k_solutions_need_the_name_of_a_system() -> None:
    row = {
        "question": "q", "ground_truth": "3+4\nA: 7",
        "small": {"solution": "A: 9\nA: 7", "is_correct": True},
        "large": {"solution": "no mark", "is_correct": False},
    }  # fmt: skip
    (output,) = _read("gsm8k_openai:small", row, 5)
    assert (output.id, output.response, output.gold, output.published) == ("5", "7", "7", 1.0)
    assert _read("gsm8k_openai:large", row)[0].response is None
    with pytest.raises(ConfigError, match="needs one of large, small"):
        _read("gsm8k_openai", row)


def test_tora_predictions_are_samples() -> None:
    outputs = _read("gsm8k_tora", {"idx": 3, "pred": ["18", "", None], "gt": "18"})
    assert [output.response for output in outputs] == ["18", None, None]
    assert [output.empty for output in outputs] == [False, True, True]


def test_mmlu_pro_takes_the_first_letter_and_never_guesses() -> None:
    """Local models go on and write further questions: the first match is the answer."""
    row = {"question_id": 70, "answer": "I", "output": "The answer is (I).\n\nThe answer is (A)."}
    assert _read("mmlu_pro", row)[0].response == "I"
    assert _read("mmlu_pro", {**row, "output": "no idea"})[0].response is None
    assert _read("mmlu_pro", {**row, "output": None})[0].empty


def test_nemo_gym_keeps_reasoning_out_of_the_response() -> None:
    row = {
        "response": {
            "output": [
                {"type": "reasoning", "summary": [{"text": "\\boxed{A}"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "\\boxed{B}"}]},
            ]
        },
        "responses_create_params": {"input": [{"content": "Q?\nA: x\nB: y\nC: z"}]},
        "expected_answer": "B",
        "reward": 1.0,
    }
    (output,) = _read("nemo_gym", row)
    assert output.response == "\\boxed{B}"
    assert output.gold == {"answer": "B", "options": 3}
    with pytest.raises(DataError, match="in the OpenAI form"):
        _read("nemo_gym", {"response": "text"})


def test_qwq_samples_are_named_by_their_prompt() -> None:
    outputs = _read("qwq", {"prompt": "P", "answer": "5", "gen": ["a", "b"]})
    assert [(o.id, o.response, o.gold) for o in outputs] == [("P", "a", "5"), ("P", "b", "5")]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"gsm8k_openai"}))
def test_a_row_without_its_fields_is_refused_by_name(name: str) -> None:
    """A missing field is an error that names it, in every form."""
    with pytest.raises(DataError, match="field"):
        _read(name, {"unrelated": 1})
