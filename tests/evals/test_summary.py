"""From samples to scores, counts and sentences."""

from __future__ import annotations

import pytest

from cascade.errors import ConfigError
from cascade.evals.records import Record, answer_key, is_unparsable
from cascade.evals.summary import Limits, summarise
from cascade.evals.task import Protocol, Published
from cascade.types import VerdictStatus
from cascade.verifiers import choice, math


def _records(table: dict[str, str], **flags: bool) -> list[Record]:
    """`{"p": "cw?f"}`: correct, wrong, no answer, fault."""
    status = {"c": VerdictStatus.CORRECT, "w": VerdictStatus.WRONG,
              "?": VerdictStatus.NO_ANSWER, "f": VerdictStatus.FAULT}  # fmt: skip
    return [
        Record("t", name, i, float(mark == "c"), status[mark], mark if mark in "cw" else None,
               flags.get("truncated", False), flags.get("empty", False), False, 10)
        for name, marks in table.items()
        for i, mark in enumerate(marks)
    ]  # fmt: skip


def test_the_score_is_the_mean_over_problems() -> None:
    protocol = Protocol("test", samples=4)
    summary = summarise("t", protocol, ["a", "b"], _records({"a": "cccc", "b": "cw?w"}))
    assert summary.score == 62.5
    assert summary.metrics == {"avg@4": 62.5, "maj@4": 50.0, "pass@4": 100.0}
    assert summary.complete
    assert summary.counts["no_answer"] == 1


def test_a_fault_is_counted_and_scores_nothing() -> None:
    """A failed judge is never a wrong answer: the problem's mean is over the judged samples."""
    protocol = Protocol("test", samples=4)
    summary = summarise("t", protocol, ["a"], _records({"a": "ccff"}))
    assert summary.score == 100.0
    assert summary.counts["fault"] == 2
    assert not summary.complete
    assert summary.missing == 2
    assert summary.metrics["avg@4"] is None


def test_missing_samples_make_a_result_incomplete() -> None:
    """64 samples asked and 2 there: the mean of 2, called incomplete, never divided by 64."""
    protocol = Protocol("test", samples=64)
    summary = summarise("t", protocol, ["a", "b"], _records({"a": "cw"}))
    assert (summary.score, summary.missing, summary.problems) == (50.0, 126, 1)
    assert not summary.complete


def test_no_sample_has_no_score() -> None:
    summary = summarise("t", Protocol("test"), ["a"], [])
    assert summary.score is None
    assert Limits().exceeded(summary) == ["t: no sample"]


def test_truncated_and_empty_responses_are_counted() -> None:
    records = _records({"a": "?w"}, truncated=True, empty=True)
    summary = summarise("t", Protocol("test", samples=2), ["a"], records)
    assert (summary.counts["truncated"], summary.counts["empty"]) == (2, 2)
    assert len(Limits().exceeded(summary)) == 2
    assert Limits(truncated=1.0, empty=1.0).exceeded(summary) == []


def test_a_single_fault_exceeds_the_default_limit() -> None:
    summary = summarise("t", Protocol("test", samples=4), ["a"], _records({"a": "cccf"}))
    assert Limits().exceeded(summary) == ["t: fault in 1 of 4 samples (25.0%, the limit is 0%)"]


def test_a_limit_that_is_no_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="from 0 to 1, got 5"):
        Limits(empty=5)


def test_published_numbers_are_judged_by_run_noise_and_covered_by_the_interval() -> None:
    """Two questions, two answers: could a re-run give theirs, and would new questions?"""
    marks = {f"p{i}": "cccw" if i % 2 else "cwww" for i in range(30)}
    near = Published("m", 52.0, "avg@4", "test", 4)
    far = Published("m", 80.0, "avg@4", "test", 4)
    summary = summarise("t", Protocol("test", samples=4), list(marks), _records(marks), (near, far))
    assert summary.score == pytest.approx(50.0)
    first, second = summary.published
    assert first.reproduced
    assert first.sentence.startswith("covers it")
    assert first.in_interval
    assert not second.reproduced
    assert second.sentence.startswith("below by 30.0")
    assert second.in_interval is False


def test_answers_vote_by_text_without_regard_to_white_space() -> None:
    assert answer_key(" 1  / 2\n") == "1 / 2"
    assert answer_key(None) is None
    long = "x" * 10_000
    assert answer_key(long) == answer_key(long + " ")
    assert len(answer_key(long) or "") == 64


@pytest.mark.parametrize(
    "verdict",
    [
        math.verify("\\boxed{@@ ## fnord((}", "x+1"),
        math.verify("\\boxed{" + "x" * 5_000 + "}", "3"),
        choice.verify("\\boxed{A or C}", "A"),
    ],
    ids=["gibberish", "too long", "two letters"],
)
def test_answers_that_verifiers_cannot_read_count_as_unparsable(verdict) -> None:  # type: ignore[no-untyped-def]
    assert is_unparsable(verdict.status, verdict.reason)


@pytest.mark.parametrize(
    "verdict",
    [math.verify("\\boxed{4}", "3"), choice.verify("\\boxed{B}", "A"), math.verify("", "3")],
    ids=["wrong", "wrong letter", "empty"],
)
def test_readable_answers_do_not_count_as_unparsable(verdict) -> None:  # type: ignore[no-untyped-def]
    assert not is_unparsable(verdict.status, verdict.reason)
