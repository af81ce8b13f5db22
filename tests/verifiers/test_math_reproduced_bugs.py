r"""Wrong verdicts that were reproduced in published verifiers, each with the right one.

The projects and versions are those of docs/verifiers.md: Math-Verify 0.9.0, verifiers 0.4.0,
TRL 1.16, GEM, reasoning-gym 0.1.25.
"""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from cascade.types import Verdict, VerdictStatus
from cascade.verifiers import choice, math


def in_a_thread(response: str, gold: str) -> Verdict:
    verdicts: list[Verdict] = []
    thread = threading.Thread(target=lambda: verdicts.append(math.verify(response, gold)))
    thread.start()
    thread.join(timeout=30)
    assert verdicts, "the thread hangs"
    return verdicts[0]


def test_a_right_answer_is_right_in_any_thread() -> None:
    """The verifiers package 0.4.0 gives 0.0 outside the main thread."""
    assert in_a_thread(r"\boxed{5}", "5").reward == 1.0
    assert in_a_thread(r"\boxed{\sqrt{8}}", r"2\sqrt{2}").reward == 1.0


@pytest.mark.parametrize(
    "hostile", [r"\boxed{10^{10^{8}}}", r"\boxed{9^{9^{9^{9}}}}", r"\boxed{(10000000)!}"]
)
@pytest.mark.parametrize("gold", ["5", r"\sqrt{2}", r"2^{1009}", "x+1"])
def test_a_tower_of_powers_leaves_the_process_alive(hostile: str, gold: str) -> None:
    """Math-Verify without its timeout holds the interpreter: the whole process stands still."""
    beats: list[float] = []
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.02):
            beats.append(time.monotonic())

    heart = threading.Thread(target=beat)
    heart.start()
    verdict = in_a_thread(hostile, gold)
    stop.set()
    heart.join()
    assert verdict.status in (VerdictStatus.WRONG, VerdictStatus.FAULT)
    pauses = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert max(pauses, default=0.0) < 5.0


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("391", r"17\times 23"),
        ("10 m", "10 cm"),
        ("0.0000001", "0.0000002"),
        ("1e-7", "2e-7"),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("9", r"9\%"),
        ("AB", "BA"),
        ("(1,2)", r"\{1,2\}"),
        ("12:00", "12:30"),
        (r"1-\frac{1}{\mathrm{e}}", r"1+\frac{1}{\mathrm{e}}"),
        ("2", r"\sqrt[3]{8}"),
        ("6", "6√2"),
        ("2024", "2025"),
    ],
)
def test_what_others_accept_is_wrong(gold: str, answer: str) -> None:
    """Each of these was rewarded in full."""
    assert math.verify(rf"\boxed{{{answer}}}", gold).status is VerdictStatus.WRONG


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\sqrt{2}", "2^{0.5}"),
        (r"\frac{\pi}{4}", r"45^\circ"),
        ("73", "**73**"),
        ("A", "(A)"),
        ("Monday", "Monday"),
        (r"\sqrt{\frac{1}{n}}", r"\frac{1}{\sqrt{n}}"),
        (r"\pi", "3.14159"),
    ],
)
def test_what_others_refuse_is_right(gold: str, answer: str) -> None:
    """Each of these was refused or dropped."""
    assert math.verify(rf"\boxed{{{answer}}}", gold).status is VerdictStatus.CORRECT


def test_a_box_inside_the_reasoning_is_no_answer() -> None:
    """TRL's accuracy_reward pays for it."""
    verdict = math.verify(r"<think>\boxed{6}</think>", "6")
    assert verdict.status is VerdictStatus.NO_ANSWER


@pytest.mark.parametrize("gold", ["B", "Monday"])
def test_golds_that_are_no_formula_are_judged(gold: str) -> None:
    """TRL's accuracy_reward drops the sample."""
    assert math.verify(rf"\boxed{{{gold}}}", gold).status is VerdictStatus.CORRECT
    assert math.verify(r"\boxed{Z}", gold).status is VerdictStatus.WRONG


def test_two_boxes_are_not_merged_into_a_set() -> None:
    r"""Math-Verify joins `\boxed{5} … \boxed{7}` to {5, 7}."""
    response = "First \\boxed{5}.\n\nCorrected: \\boxed{7}"
    assert math.verify(response, "7").reward == 1.0
    assert math.verify(response, r"\{5,7\}").reward == 0.0


@pytest.mark.parametrize("response", [r"\boxed{C \text{ or } A}", r"\boxed{\text{not A. B}}"])
def test_a_choice_between_choices_is_wrong(response: str) -> None:
    """The verifiers package 0.4.0 lets the last letter win."""
    for letter in "ABC":
        assert choice.verify(response, letter).status is VerdictStatus.WRONG
