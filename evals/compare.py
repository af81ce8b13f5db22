"""`cascade-eval compare A B`: two runs of the same problems, paired problem by problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cascade.errors import DataError
from cascade.evals import stats
from cascade.evals.judged import read_judged
from cascade.types import VerdictStatus

__all__ = ["TaskComparison", "compare", "print_comparison"]

_NAMED = 5
Rewards = dict[str, dict[str, list[float]]]
"""Task -> problem -> rewards of its judged samples."""


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """A minus B on one task; every number in points."""

    task: str
    problems: int
    score_a: float
    score_b: float
    difference: float
    standard_error: float | None
    """Of the difference, paired by problem."""
    interval: tuple[float, float] | None
    """95 %."""
    unpaired_standard_error: float | None
    p_value: float
    detectable: float | None
    """Smallest true difference that these problems find 80 times in 100."""
    a_better: int
    """Problems on which A scores higher."""
    b_better: int
    left_out: int
    """Problems that only one of the two has (with `common`)."""

    @property
    def sentence(self) -> str:
        """The result in words."""
        if self.interval is None:
            return "one problem: nothing can be said"
        if self.interval[0] > 0:
            return "A is better"
        if self.interval[1] < 0:
            return "B is better"
        return "tied: the interval holds 0"

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**out, "sentence": self.sentence}


def compare(a: Path, b: Path, *, common: bool = False) -> list[TaskComparison]:
    """Compare two run folders, trajectory files or verdict files.

    Args:
        a: the one.
        b: the other.
        common: compare the problems that both have; else different question sets are an error.

    Raises:
        DataError: a file that cannot be read, no task in common, or different problems.
    """
    first, second = _rewards(a), _rewards(b)
    both = [task for task in first if task in second]
    alone = sorted({*first, *second} - {*both})
    if not both or (alone and not common):
        raise DataError(
            f"the runs are of different tasks: {a} has {', '.join(first)}; {b} has "
            f"{', '.join(second)}" + ("" if not both else " (--common compares those of both)")
        )
    return [_compared(task, first[task], second[task], common) for task in both]


def _compared(
    task: str, a: Mapping[str, list[float]], b: Mapping[str, list[float]], common: bool
) -> TaskComparison:
    ids = [name for name in a if name in b]
    only_a, only_b = [n for n in a if n not in b], [n for n in b if n not in a]
    if (only_a or only_b) and not common:
        raise DataError(
            f"task {task!r}: the runs have different problems (only in A: {_some(only_a)}; only in "
            f"B: {_some(only_b)}); --common compares the {len(ids)} of both"
        )
    if not ids:
        raise DataError(f"task {task!r}: the runs have no problem in common")
    scores_a, scores_b = [a[name] for name in ids], [b[name] for name in ids]
    result = stats.paired(scores_a, scores_b)
    bounds = result.interval
    return TaskComparison(
        task=task,
        problems=result.problems,
        score_a=100.0 * stats.mean(scores_a),
        score_b=100.0 * stats.mean(scores_b),
        difference=100.0 * result.difference,
        standard_error=_points(result.standard_error),
        interval=None if bounds is None else (100.0 * bounds[0], 100.0 * bounds[1]),
        unpaired_standard_error=_points(result.unpaired_standard_error),
        p_value=result.p_value,
        detectable=_points(result.detectable),
        a_better=result.a_better,
        b_better=result.b_better,
        left_out=len(only_a) + len(only_b),
    )


def _points(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _some(names: list[str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown}, … {len(names)} in all"


def _rewards(path: Path) -> Rewards:
    rewards: Rewards = {}
    for judged in read_judged(path).values():
        if judged.status is not VerdictStatus.FAULT:
            problems = rewards.setdefault(judged.task, {})
            problems.setdefault(judged.task_id, []).append(judged.reward)
    if not rewards:
        raise DataError(f"{path}: no judged sample")
    return rewards


def print_comparison(comparisons: list[TaskComparison], a: str, b: str) -> None:
    """Print the comparison for a person."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"A: {a}\nB: {b}", highlight=False, markup=False)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for name in ("problems", "A", "B", "A - B", "95 % interval", "p", "detectable", "A/B better"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for c in comparisons:
        bounds = f"{c.interval[0]:+.1f} to {c.interval[1]:+.1f}" if c.interval else "-"
        table.add_row(
            c.task, f"{c.problems:,}", f"{c.score_a:.2f}", f"{c.score_b:.2f}",
            f"{c.difference:+.2f}", bounds, f"{c.p_value:.3g}",
            "-" if c.detectable is None else f"{c.detectable:.1f}",
            f"{c.a_better}/{c.b_better}", c.sentence,
        )  # fmt: skip
    console.print(table)
    for c in comparisons:
        if c.left_out:
            console.print(f"left out: {c.task}: {c.left_out} problems that only one run has")
