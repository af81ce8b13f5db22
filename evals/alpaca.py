"""AlpacaEval's scores: how often the judge prefers the model, also with length taken out."""

from __future__ import annotations

from statistics import fmean

from cascade.evals.length_control import length_controlled
from cascade.evals.records import Record
from cascade.evals.setmetrics import Problems, SetMetric

__all__ = ["LENGTH_CONTROLLED", "PREFERENCE"]


def _preference(record: Record) -> float:
    """How far the judge prefers the model, 0 to 1; no answer loses."""
    return record.parts["won"] / record.parts["games"] if record.parts else 0.0


def preference(problems: Problems) -> float:
    """Return the mean preference, in points."""
    return 100.0 * fmean(_preference(record) for samples in problems for record in samples)


def controlled(problems: Problems) -> float:
    """Return the length-controlled win rate, in points; a missing answer has length 0.

    The baseline's answer to a question that the model did not answer is taken to be as long as its
    others are on average: the record of no answer does not tell.
    """
    records = [record for samples in problems for record in samples]
    known = [r.parts["baseline_length"] for r in records if "baseline_length" in r.parts]
    usual = round(fmean(known)) if known else 0
    return length_controlled(
        [_preference(record) for record in records],
        [int(record.parts.get("length", 0)) for record in records],
        [int(record.parts.get("baseline_length", usual)) for record in records],
        rounds=0,
    ).controlled


PREFERENCE = SetMetric("win rate", "mean preference of the judge over both orders", preference)
LENGTH_CONTROLLED = SetMetric(
    "length-controlled win rate",
    "the win rate with answers as long as the baseline's (Dubois et al. 2024)",
    controlled,
)
