r"""No text makes the verifier raise, hang, or pay."""

from __future__ import annotations

import math as mathematics
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade.types import Verdict, VerdictStatus
from cascade.verifiers import choice, math

HOSTILE = {
    "unclosed boxes": "\\boxed{" * 100_000,
    "open braces": "{" * 1_000_000,
    "a million nines": "9" * 1_000_000,
    "a million nines in a box": "\\boxed{" + "9" * 1_000_000 + "}",
    "many numbers": "1 " * 50_000,
    "many numbers in a box": "\\boxed{" + "1 " * 50_000 + "}",
    "nested brackets": "\\boxed{" + "(" * 300 + "1" + ")" * 300 + "}",
    "nested brackets below the limit": "\\boxed{" + "(" * 39 + "x" + ")" * 39 + "}",
    "nested fractions": "\\boxed{" + "\\frac{1}{" * 300 + "2" + "}" * 300 + "}",
    "nested roots": "\\boxed{" + "\\sqrt{" * 39 + "3" + "}" * 39 + "}",
    "a NUL": "\\boxed{\x00}",
    "a lone surrogate": "\\boxed{\ud800}",
    "right to left": "\\boxed{\u202e7\u202c}",
    "thinking without end": "<think>" * 100_000,
    "dollar signs": "$" * 1_000_000,
    "opened math": "\\(" * 100_000,
    "opened text": "\\text{" * 100_000,
    "answers without end": "answer is " * 100_000,
    "white space": " " * 1_000_000,
    "emphasis": "**" * 100_000,
    "minus signs": "\\boxed{" + "-" * 1900 + "7}",
    "factorials": "\\boxed{7" + "!" * 1900 + "}",
    "a long sum": "\\boxed{" + "x+" * 900 + "x}",
    "a long chain": "\\boxed{" + "=".join("x" * 900) + "}",
    "bars": "\\boxed{" + "|" * 1900 + "}",
    "carets": "\\boxed{" + "^2" * 900 + "}",
    "signs": "\\boxed{" + "\\pm 1" * 300 + "}",
    "conjunctions": "\\boxed{" + "and or " * 250 + "}",
    "a huge exponent": "\\boxed{1e999999}",
    "a huge power": "\\boxed{2^{1000000000000}}",
    "factorials of factorials": "\\boxed{((((7!)!)!)!)!}",
    "a huge binomial": "\\boxed{\\binom{10^{30}}{10^{29}}}",
    "division by zero": "\\boxed{1/0}",
    "no value": "\\boxed{0^0}",
    "a pole": "\\boxed{\\tan(\\pi/2)}",
    "a tower of names": "\\boxed{x^{x^{x^{x^{x}}}}}",
    "code": "\\boxed{__import__('os').system('false')}",
}
GOLDS = ["5", r"2^{1009}", r"\sqrt{2}", "x^2+1", "Monday", "(1,2)", "x=5", r"\{1,2\}"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_response_is_judged_within_its_deadline(name: str) -> None:
    """Whatever the gold: a verdict, no reward, and nobody waits."""
    math.verify(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")
    for gold in GOLDS:
        started = time.monotonic()
        verdict = math.verify(HOSTILE[name], gold, timeout_seconds=2.0)
        assert verdict.reward == 0.0, (gold, verdict)
        assert time.monotonic() - started < 20
        assert len(verdict.reason) < 1000


_FRAGMENTS = r"""
\boxed{ } { ( ) [ ] \{ \} \frac \sqrt \pm ^ _ ! % \% $ \$ , ; = \le < + - * / \cdot \times 1 2 10
0.5 3.14159 x n e i \pi \infty \sin \ln \log_ \int \sum \cup \text{ and or cm ° √ ½ ² − | & \\
\begin{pmatrix} \end{pmatrix} \lfloor \rfloor <think> </think> answer: 12:00 _8 ....
"""
FRAGMENTS = st.sampled_from(_FRAGMENTS.split())


def assert_is_verdict(verdict: Verdict) -> None:
    assert verdict.reward in (0.0, 1.0)
    assert (verdict.reward == 1.0) is (verdict.status is VerdictStatus.CORRECT)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAGMENTS, max_size=14), st.sampled_from(GOLDS), st.booleans())
def test_random_latex_is_judged(fragments: list[str], gold: str, boxed: bool) -> None:
    """Any text in, a verdict out."""
    text = " ".join(fragments)
    response = rf"\boxed{{{text}}}" if boxed else text
    assert_is_verdict(math.verify(response, gold, timeout_seconds=1.0))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(GOLDS))
def test_random_text_is_judged(text: str, gold: str) -> None:
    """Unicode included."""
    assert_is_verdict(math.verify(text, gold, timeout_seconds=1.0))
    assert_is_verdict(choice.verify(text, "C"))


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: text.strip(" \t\n$.")))
def test_any_gold_is_judged(gold: str) -> None:
    """A gold may be any text; an unreadable one is compared as text."""
    if not gold.strip().strip("$"):
        return
    assert_is_verdict(math.verify(r"\boxed{5}", gold, timeout_seconds=1.0))


@settings(max_examples=300, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6), st.integers(1, 30))
def test_equal_fractions_are_equal_and_others_are_not(top: int, bottom: int, factor: int) -> None:
    """Exact arithmetic: no rounding at any size."""
    gold = f"{top}/{bottom}"
    same = rf"\boxed{{\frac{{{top * factor}}}{{{bottom * factor}}}}}"
    other = rf"\boxed{{\frac{{{top * factor + 1}}}{{{bottom * factor}}}}}"
    assert math.verify(same, gold).reward == 1.0
    assert math.verify(other, gold).reward == 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 400), st.integers(1, 60), st.integers(-60, 60))
def test_surds_are_compared_by_value(radicand: int, factor: int, shift: int) -> None:
    """a√b + c in two spellings, and one that is off by one."""
    if mathematics.isqrt(radicand) ** 2 == radicand:
        return
    gold = rf"{factor}\sqrt{{{radicand}}}{shift:+d}"
    same = rf"\boxed{{{shift}+\sqrt{{{radicand * factor * factor}}}}}"
    other = rf"\boxed{{{shift}+\sqrt{{{radicand * factor * factor + 1}}}}}"
    assert math.verify(same, gold).reward == 1.0
    assert math.verify(other, gold).reward == 0.0
