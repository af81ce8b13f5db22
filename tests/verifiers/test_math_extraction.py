r"""Where the final answer is found in a response."""

from __future__ import annotations

import pytest

from cascade.types import VerdictStatus
from cascade.verifiers import math
from cascade.verifiers.reasoning import strip_reasoning

FOUND = [
    (r"so \boxed{5}", "5"),
    (r"first \boxed{3}" "\n\n" r"No: \boxed{4}", "4"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\text{a {nested} one}}", r"\text{a {nested} one}"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}"),
    (r"\boxed 5 apples", "5"),
    (r"\boxed -7", "-7"),
    (r"\fbox{12}", "12"),
    (r"\boxed{\boxed{6}}", r"\boxed{6}"),
    (r"\boxed{7} and a cut one \boxed{8", "7"),
    ("The final answer is 42.", "42"),
    ("The final answer is $42$. I hope it is correct.", "42"),
    ("**Final Answer:** 42", "42"),
    ("Answer: 3.5 meters", "3.5 meters"),
    ("The answer is: $x = 5$", "x = 5"),
    ("An answer is 3.\nThe final answer is 4.", "4"),
    ("## Final Answer\n\n42", "42"),
    ("She has 3 + 4 = 7 left.\n#### 7", "7"),
    ("The answer is\n\\[ 12 \\]\n", r"\[ 12 \]"),
    ("We get 3, then 4, and in total 1,234.50 dollars.", "1,234.50"),
    ("Thus it is $x = 12$.", "12"),
    ("42", "42"),
    (r"\frac{1}{2}", r"\frac{1}{2}"),
    ("Monday", "Monday"),
    ("It costs $18.", "$18"),
]


@pytest.mark.parametrize(("response", "answer"), FOUND)
def test_the_final_answer_is_found(response: str, answer: str) -> None:
    """Boxes first, then "the answer is", then the last formula or number."""
    found = math.extract_answer(response)
    assert found is not None
    assert found.strip("$") == answer.strip("$")


@pytest.mark.parametrize(
    "response",
    ["", "   \n", r"\boxed{}", r"\boxed{ }", "I cannot solve this problem at all, sorry."],
)
def test_a_response_without_an_answer_is_no_answer(response: str) -> None:
    """NO_ANSWER is not WRONG: it is counted beside the score."""
    verdict = math.verify(response, "5")
    assert verdict.status is VerdictStatus.NO_ANSWER
    assert verdict.reason


class TestReasoning:
    def test_only_what_follows_the_block_counts(self) -> None:
        """The reasoning may hold any number of wrong boxes."""
        response = r"<think>\boxed{6}, no, \boxed{7}</think>It is \boxed{5}."
        assert math.verify(response, "5").status is VerdictStatus.CORRECT

    def test_nothing_after_the_block_is_no_answer(self) -> None:
        """A box in the reasoning is not an answer."""
        verdict = math.verify(r"<think>\boxed{6}</think>", "6")
        assert verdict.status is VerdictStatus.NO_ANSWER

    def test_a_block_that_never_closed_is_no_answer(self) -> None:
        """The response was cut off while thinking."""
        verdict = math.verify(r"<think>so \boxed{6}", "6")
        assert verdict.status is VerdictStatus.NO_ANSWER
        assert "never closed" in verdict.reason

    def test_a_block_that_the_template_opened_is_taken_away(self) -> None:
        """Chat templates put the opening mark into the prompt."""
        assert strip_reasoning("hm, 6?</think>\nIt is 5") == "\nIt is 5"

    def test_a_block_that_was_opened_again_is_not_closed(self) -> None:
        """The last mark decides."""
        assert strip_reasoning("<think>a</think>b<think>c") is None

    def test_text_without_marks_stays(self) -> None:
        """Models that do not think are read as they are."""
        assert strip_reasoning("It is 5") == "It is 5"

    @pytest.mark.parametrize("tag", ["thinking", "reasoning", "thought"])
    def test_other_marks_in_use_are_known(self, tag: str) -> None:
        """Not every model says `think`."""
        assert strip_reasoning(f"<{tag}>6</{tag}>5") == "5"
        assert strip_reasoning(f"<{tag}>6") is None

    def test_the_policy_can_keep_the_reasoning(self) -> None:
        """Some projects reward a box in the reasoning: an option, not the default."""
        policy = math.Policy(reasoning="keep")
        assert math.verify(r"<think>\boxed{6}</think>", "6", policy=policy).reward == 1.0


class TestSeveralBoxes:
    def test_boxes_side_by_side_are_several_answers(self) -> None:
        r"""`\boxed{5} or \boxed{7}` hedges."""
        for response in (r"\boxed{5} or \boxed{7}", r"$x=\boxed{5}$, $x=\boxed{7}$"):
            assert math.verify(response, "5").status is VerdictStatus.WRONG
            assert math.verify(response, "5, 7").status is VerdictStatus.CORRECT

    @pytest.mark.parametrize(
        "between", [" wait, no. So it is ", ". Then the answer is ", ", but that counts twice: "]
    )
    def test_a_corrected_box_is_replaced_by_the_one_after_it(self, between: str) -> None:
        """Also on the same line."""
        response = f"It is \\boxed{{7}}{between}\\boxed{{5}}"
        assert math.verify(response, "5").status is VerdictStatus.CORRECT
        assert math.verify(response, "7").status is VerdictStatus.WRONG

    def test_a_worked_sentence_ends_in_its_answer(self) -> None:
        """Without a box, the last number of a sentence counts."""
        assert math.verify("so 7 + 7 = 14 dollars", "14").status is VerdictStatus.CORRECT

    def test_one_answer_boxed_twice_is_one_answer(self) -> None:
        """Repetition is no hedge."""
        assert math.verify(r"\boxed{5}, that is $\boxed{5}$", "5").reward == 1.0

    def test_a_box_of_an_earlier_step_is_not_an_answer(self) -> None:
        """By default the last box counts."""
        assert math.verify("Step 1: \\boxed{3}\nso we have\nStep 2: \\boxed{5}", "5").reward == 1.0

    def test_the_policy_can_ask_for_the_first_or_for_agreement(self) -> None:
        """Named options for other protocols."""
        response = "\\boxed{3}\n\nWait.\n\n\\boxed{5}"
        assert math.verify(response, "3", policy=math.Policy(boxes="first")).reward == 1.0
        agree = math.verify(response, "5", policy=math.Policy(boxes="agree"))
        assert agree.status is VerdictStatus.WRONG


class TestExtractionPolicy:
    def test_boxed_ignores_everything_else(self) -> None:
        """For prompts that ask for a box."""
        policy = math.Policy(extraction="boxed")
        assert math.verify("The answer is 5.", "5", policy=policy).status is VerdictStatus.NO_ANSWER

    def test_marked_ignores_numbers_in_passing(self) -> None:
        """No box, no "the answer is": no answer."""
        policy = math.Policy(extraction="marked")
        assert math.verify("so 2 + 3 gives 5", "5", policy=policy).status is VerdictStatus.NO_ANSWER
        assert math.verify("The answer is 5.", "5", policy=policy).reward == 1.0

    def test_whole_takes_the_text_for_the_answer(self) -> None:
        """For answers that another program has extracted."""
        policy = math.Policy(extraction="whole")
        assert math.verify("5 or 7", "7", policy=policy).status is VerdictStatus.WRONG
        assert math.verify(r"\frac12", "0.5", policy=policy).reward == 1.0
