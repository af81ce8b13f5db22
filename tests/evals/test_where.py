"""Conditions on problems, and scores that are no mean over problems."""

from __future__ import annotations

import pytest

from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import ConfigError
from cascade.evals.records import Record
from cascade.evals.setmetrics import Problems, SetMetric, percentiles, redraw
from cascade.evals.summary import summarise
from cascade.evals.task import Protocol, Published
from cascade.evals.where import chosen_by, condition_of
from cascade.types import Task, VerdictStatus


def tasks() -> TaskSet:
    rows = [
        ("a", "2024-07-31T23:00:00", 1),
        ("b", "2024-08-01T00:00:00", 2),
        ("c", "2025-01-01", 3),
    ]
    found = tuple(Task(n, (), metadata={"date": d, "level": v}) for n, d, v in rows)
    return TaskSet("test", found, Provenance("test", "", len(found)))


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        (["date>=2024-08-01"], "bc"), (["date<2024-08-01"], "a"), (["level=2"], "b"),
        (["level!=2", "date>=2024-08-01"], "c"), (["level <= 2.0"], "ab"), ([], "abc"),
    ],
)  # fmt: skip
def test_conditions_choose_problems(conditions: list[str], ids: str) -> None:
    chosen = chosen_by(tasks(), [condition_of(text) for text in conditions])
    assert "".join(task.id for task in chosen) == ids


@pytest.mark.parametrize(
    ("condition", "message"),
    [("date", "needs FIELD=VALUE"), ("size=1", "has the fields date, level"),
     ("level=high", "is a number"), ("level=9", "none of the 3 problems")],
)  # fmt: skip
def test_conditions_that_choose_nothing_are_errors(condition: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen_by(tasks(), [condition_of(condition)])


def record(problem: str, sample: int, reward: float, weight: float = 1.0) -> Record:
    status = VerdictStatus.CORRECT if reward == 1 else VerdictStatus.WRONG
    return Record(
        "t", problem, sample, reward, status, None, False, False, False, 0, {"weight": weight}
    )


def weighted(problems: Problems) -> float:
    found = [r for samples in problems for r in samples]
    return (
        100
        * sum(r.reward * r.parts["weight"] for r in found)
        / sum(r.parts["weight"] for r in found)
    )


def test_a_metric_of_the_whole_task_is_the_score_with_a_bar_over_questions() -> None:
    rate = SetMetric("win rate", "weighted wins", weighted)
    protocol = Protocol("test", metrics=("avg@1",), headline="win rate", set_metrics=(rate,))
    records = [record(str(i), 0, float(i % 2), 3.0 if i % 2 else 1.0) for i in range(20)]
    published = (
        Published("near", 76.0, "win rate", "test"), Published("far", 20.0, "win rate", "test"),
        Published("other", 50.0, "avg@1", "test"),
    )  # fmt: skip
    names = [str(i) for i in range(20)]
    groups = {name: ("odd" if int(name) % 2 else "even") for name in names[:19]}
    summary = summarise("t", protocol, names, records, published, groups)
    assert (summary.score, summary.headline) == (75.0, "win rate")
    assert summary.metrics == {"win rate": 75.0, "avg@1": 50.0}
    assert summary.interval is not None
    assert summary.interval[0] < 75 < summary.interval[1]
    assert [c.reproduced for c in summary.published] == [True, False]
    assert summary.groups == {
        "even": {"score": 0.0, "problems": 10}, "odd": {"score": 100.0, "problems": 9},
    }  # fmt: skip


def test_problems_are_drawn_again_whole() -> None:
    """Copies of one sample add nothing: the bar is that of two questions."""
    problems = [[record("a", i, 1.0) for i in range(50)], [record("b", i, 0.0) for i in range(50)]]
    draws = redraw(problems, weighted)
    assert draws is not None
    assert draws.interval == (0.0, 100.0)
    assert redraw(problems[:1], weighted) is None
    assert redraw([problems[0]] * 9, weighted) is None  # nine alike do not make the next certain


def test_percentiles_interpolate_as_numpy_does() -> None:
    import numpy as np

    values = [3.0, 1.0, 8.0, 2.0, 2.5]
    assert percentiles(values, 0.9) == pytest.approx(tuple(np.percentile(values, [5, 95])))
    with pytest.raises(ConfigError):
        percentiles([])


def test_a_headline_that_is_no_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match="metrics are"):
        Protocol("test", headline="win rate")
