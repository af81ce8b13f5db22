r"""Multiple choice: one letter counts, and nothing else does."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import VerdictStatus
from cascade.verifiers import choice

OPTIONS = ["red", "green", "blue", "grey"]


@pytest.mark.parametrize(
    "box", ["C", r"\text{C}", "(C)", "C.", "c", r"\mathbf{C}", r"\textbf{(C)}", " C ", "$C$"]
)
def test_the_letter_may_be_dressed(box: str) -> None:
    """Fonts, brackets and case are no part of an answer."""
    assert choice.verify(rf"So \boxed{{{box}}}", "C").status is VerdictStatus.CORRECT
    assert choice.verify(rf"So \boxed{{{box}}}", "B").status is VerdictStatus.WRONG


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{A or C}",
        r"\boxed{A, C}",
        r"\boxed{A} or \boxed{C}",
        r"\boxed{\text{not A. C}}",
        r"\boxed{AC}",
        r"\boxed{C: blue}",
        r"\boxed{blue}",
        r"\boxed{3}",
    ],
)
def test_anything_but_one_letter_is_wrong(response: str) -> None:
    """An answer was given, and it settles on nothing."""
    for letter in "ABCD":
        assert choice.verify(response, letter, options=OPTIONS).status is VerdictStatus.WRONG


def test_the_last_box_counts() -> None:
    """A model may correct itself."""
    assert choice.verify("\\boxed{A}\n\nNo.\n\n\\boxed{C}", "C").reward == 1.0


@pytest.mark.parametrize("response", ["", "The answer is C.", r"<think>\boxed{C}", r"\boxed{}"])
def test_no_box_is_no_answer(response: str) -> None:
    """Never replaced by a guess."""
    assert choice.verify(response, "C").status is VerdictStatus.NO_ANSWER


def test_a_letter_beyond_the_options_is_wrong() -> None:
    """Ten options have J, four do not."""
    assert choice.verify(r"\boxed{J}", "J", options=10).status is VerdictStatus.CORRECT
    verdict = choice.verify(r"\boxed{J}", "A", options=OPTIONS)
    assert verdict.status is VerdictStatus.WRONG
    assert "no option J" in verdict.reason


@pytest.mark.parametrize("gold", ["E", "", "AB", None, 3, "é"])
def test_a_gold_that_is_no_option_raises(gold: Any) -> None:
    """The message lists the letters."""
    with pytest.raises(DataError, match="ABCD"):
        choice.verify(r"\boxed{A}", gold)


@pytest.mark.parametrize("options", [0, 1, 11, ["a"]])
def test_a_number_of_options_that_has_no_letters_raises(options: Any) -> None:
    """MMLU-Pro goes up to ten."""
    with pytest.raises(ConfigError, match="options"):
        choice.verify(r"\boxed{A}", "A", options=options)


@pytest.mark.parametrize(
    ("style", "response", "letter"),
    [
        ("answer_line", "Let me think.\nAnswer: B", "B"),
        ("answer_line", "**Answer: $B$**", "B"),
        ("answer_line", "Answer: A\nWait.\nAnswer: D", "D"),
        ("answer_line", "The answer might be B", None),
        ("answer_line", "Answer: Because", None),
        ("answer_is", "so the answer is (B).", "B"),
        ("answer_is", "the answer is B. Question: … The answer is (C).", "B"),
        ("answer_is", "Answer: B", None),
        ("answer_is", "<think>the answer is (A)</think>the answer is (B)", "B"),
        ("answer_is_or_last", "Answer: B", "B"),
        ("answer_is_or_last", "It is option D", "D"),
        ("answer_is_or_last", "no letter at all", None),
        ("boxed", r"\boxed{B}", "B"),
        ("boxed", r"\boxed{B or C}", None),
    ],
)
def test_the_letter_is_read_where_the_prompt_asked_for_it(
    style: choice.Style, response: str, letter: str | None
) -> None:
    """Each published prompt has its own place for the answer."""
    assert choice.extract_letter(response, style) == letter
    if letter is not None:
        assert choice.verify(response, letter, style=style).reward == 1.0


def test_a_missing_letter_is_no_answer_in_every_style() -> None:
    """Published MMLU-Pro numbers hold random letters here; ours do not."""
    for style in ("answer_line", "answer_is", "answer_is_or_last"):
        verdict = choice.verify("nothing to see", "C", style=style)
        assert verdict.status is VerdictStatus.NO_ANSWER


def test_an_unknown_style_is_refused() -> None:
    """The message lists the styles."""
    with pytest.raises(ConfigError, match="answer_line"):
        choice.verify("B", "B", style="guess")  # type: ignore[arg-type]


class TestPrompts:
    def test_the_simple_evals_prompt_is_the_published_one(self) -> None:
        """Four options, letters without separators."""
        prompt = choice.format_prompt("gpqa_simple_evals", "Which?", OPTIONS)
        assert prompt.startswith("Answer the following multiple choice question. The last line")
        assert "'Answer: $LETTER' (without quotes) where LETTER is one of ABCD." in prompt
        assert prompt.endswith("Which?\n\nA) red\nB) green\nC) blue\nD) grey")

    def test_the_boxed_prompt_names_all_letters(self) -> None:
        """Four for GPQA, up to ten for MMLU-Pro."""
        prompt = choice.format_prompt("boxed", "Which?", OPTIONS)
        assert r"'Answer: \boxed{A/B/C/D}' (e.g. 'Answer: \boxed{A}')." in prompt
        ten = choice.format_prompt("boxed", "Which?", [str(n) for n in range(10)])
        assert r"\boxed{A/B/C/D/E/F/G/H/I/J}" in ten

    def test_the_mmlu_pro_prompt_has_its_examples_before_the_question(self) -> None:
        """As its evaluation script concatenates them."""
        example = choice.format_example(
            "1+1?", ["1", "2"], "A: Let's think step by step. It is 2. The answer is (B)."
        )
        assert example == (
            "Question:\n1+1?\nOptions:\nA. 1\nB. 2\n"
            "Answer: Let's think step by step. It is 2. The answer is (B).\n\n"
        )
        prompt = choice.format_prompt(
            "mmlu_pro", "Which?", OPTIONS, subject="colour", examples=example
        )
        assert "about colour. Think step by step" in prompt
        assert prompt.endswith(
            "Question:\nWhich?\nOptions:\nA. red\nB. green\nC. blue\nD. grey\n"
            "Answer: Let's think step by step."
        )
        assert prompt.index("1+1?") < prompt.index("Which?")

    def test_an_unknown_prompt_names_the_near_ones(self) -> None:
        """A typo costs no search."""
        with pytest.raises(UnknownNameError, match="mmlu_pro"):
            choice.format_prompt("mmlu_prö", "Which?", OPTIONS)


class TestChoiceVerifier:
    def test_the_reference_may_bring_the_options(self) -> None:
        """A number, the texts, or nothing."""
        verify = choice.ChoiceVerifier()
        assert verify(r"\boxed{C}", "C").reward == 1.0
        assert verify(r"\boxed{J}", {"answer": "J", "options": 10}).reward == 1.0
        assert verify(r"\boxed{B}", {"answer": "B", "options": OPTIONS}).reward == 1.0
        with pytest.raises(DataError):
            verify(r"\boxed{B}", {"letter": "B"})

    def test_it_survives_pickling(self) -> None:
        """Trainers send verifiers to other processes."""
        verify = choice.ChoiceVerifier(style="answer_line", options=5)
        assert pickle.loads(pickle.dumps(verify)) == verify
        assert verify("Answer: E", "E").reward == 1.0
