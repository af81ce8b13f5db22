"""The visits to the web site. Each docstring is what the model reads."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from cascade.envs.toolworld import Date, Tables, ToolError
from cascade.envs.workplace.lookup import find
from cascade.envs.workplace.office import Metric, Plot, Source, Visit

__all__ = ["FUNCTIONS"]


def _between(tables: Tables, first_day: str, last_day: str) -> list[Visit]:
    if first_day > last_day:
        raise ToolError("the first day lies after the last")
    return [v for v in tables.table(Visit).values() if first_day <= v.day <= last_day]


def count_visits(
    tables: Tables, first_day: Date, last_day: Date, source: Source | None = None
) -> int:
    """Count the visits to the web site.

    Args:
        first_day: The first day to count (YYYY-MM-DD).
        last_day: The last day to count (YYYY-MM-DD).
        source: Only visits that came from there.
    """
    visits = _between(tables, first_day, last_day)
    return sum(1 for visit in visits if source is None or visit.source == source)


def count_engaged_visits(tables: Tables, first_day: Date, last_day: Date) -> int:
    """Count the visits in which the visitor did something.

    Args:
        first_day: The first day to count (YYYY-MM-DD).
        last_day: The last day to count (YYYY-MM-DD).
    """
    return sum(1 for visit in _between(tables, first_day, last_day) if visit.engaged)


def average_visit_seconds(tables: Tables, first_day: Date, last_day: Date) -> float:
    """Return how many seconds a visit took on average.

    Args:
        first_day: The first day (YYYY-MM-DD).
        last_day: The last day (YYYY-MM-DD).
    """
    visits = _between(tables, first_day, last_day)
    if not visits:
        raise ToolError("there were no visits on these days")
    return round(sum(visit.seconds for visit in visits) / len(visits), 1)


def visits_by_source(tables: Tables, first_day: Date, last_day: Date) -> dict[str, int]:
    """Count the visits by where they came from.

    Args:
        first_day: The first day to count (YYYY-MM-DD).
        last_day: The last day to count (YYYY-MM-DD).
    """
    return dict(Counter(visit.source for visit in _between(tables, first_day, last_day)))


def read_visit(tables: Tables, visit_id: str) -> dict[str, Any]:
    """Read the record of one visit.

    Args:
        visit_id: The id of the visit.
    """
    return find(tables, Visit, visit_id).data()


def create_plot(
    tables: Tables, metric: Metric, kind: Literal["bar", "line"], first_day: Date, last_day: Date
) -> str:
    """Make a chart of a metric by day.

    Args:
        metric: What the chart shows.
        kind: How it shows it.
        first_day: The first day (YYYY-MM-DD).
        last_day: The last day (YYYY-MM-DD).
    """
    _between(tables, first_day, last_day)
    new = Plot(tables.new_id(Plot), metric, kind, first_day, last_day)
    tables.put(new)
    return new.id


FUNCTIONS = (
    count_visits,
    count_engaged_visits,
    average_visit_seconds,
    visits_by_source,
    read_visit,
    create_plot,
)
