"""The report: a table for a person, and `report.json` with everything needed to repeat the run."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from cascade import __version__
from cascade.evals.plan import PlannedTask
from cascade.evals.records import Record
from cascade.evals.summary import Limits, Summary, summarise

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["FORMAT", "Report", "build_report", "host_facts", "print_report", "versions"]

FORMAT = "cascade.report/1"

_DISTRIBUTIONS = (
    "cascade-rl", "gymnasium", "math-verify", "sympy", "numpy", "datasets", "httpx",
    "torch", "transformers", "vllm",
)  # fmt: skip
_SECRET_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class Report:
    """A finished (or interrupted) run."""

    tasks: tuple[Summary, ...]
    planned: tuple[PlannedTask, ...]
    notice: str | None
    """First line where the result is no benchmark score."""
    problems: tuple[str, ...]
    """Limits that were exceeded, samples that are missing: reasons for exit code 3."""
    status: str
    """`complete`, `interrupted` or `stopped` (the engine gave up)."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Model, engine, seed, times, versions, host, command."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        tasks = {}
        for planned, summary in zip(self.planned, self.tasks, strict=True):
            tasks[summary.task] = {
                **summary.as_json(),
                **planned.as_json(),
                "deviations": [*planned.task.deviations, *planned.deviations],
                "available_problems": planned.available,
            }
            # The plan counts the problems asked, the summary those answered: keep the latter.
            tasks[summary.task]["problems"] = summary.problems
        return {
            "format": FORMAT,
            "mini": self.is_toy,
            "notice": self.notice,
            "status": self.status,
            "problems": list(self.problems),
            **self.facts,
            "tasks": tasks,
        }

    @property
    def is_toy(self) -> bool:
        """Whether any task is a toy."""
        return any(planned.task.toy for planned in self.planned)


def build_report(
    planned: Sequence[PlannedTask],
    records: Iterable[Record],
    limits: Limits,
    *,
    engine_kind: str,
    stopped: str | None = None,
    interrupted: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Report:
    """Summarise a run.

    Args:
        planned: the run's tasks.
        records: all samples on record.
        limits: what still counts as clean.
        engine_kind: "tiny" marks the toy model.
        stopped: why the engine gave up, if it did.
        interrupted: a signal ended the run.
        facts: put into the report as they are.
    """
    by_task: dict[str, list[Record]] = {p.name: [] for p in planned}
    for record in records:
        if record.task in by_task:
            by_task[record.task].append(record)
    summaries = tuple(
        summarise(
            p.name,
            p.protocol,
            [task.id for task in p.tasks],
            by_task[p.name],
            p.task.published if _comparable(p, engine_kind) else (),
            p.groups,
        )
        for p in planned
    )
    problems = [stopped] if stopped else []
    for summary in summaries:
        if not summary.complete:
            problems.append(
                f"{summary.task}: {summary.missing:,} of {summary.expected_samples:,} samples are "
                f"missing: the score is incomplete"
            )
        problems.extend(limits.exceeded(summary))
    status = "interrupted" if interrupted else "stopped" if stopped else "complete"
    notice = notice_for(engine_kind, any(p.task.toy for p in planned))
    return Report(summaries, tuple(planned), notice, tuple(problems), status, facts or {})


def _comparable(planned: PlannedTask, engine_kind: str) -> bool:
    """Whether published numbers belong beside the score: all problems, none of it a toy."""
    whole = len(planned.tasks) == planned.available
    return whole and not planned.task.toy and engine_kind != "tiny"


def notice_for(engine_kind: str, toy_problems: bool) -> str | None:
    """Return the first line of a report that is no benchmark result."""
    toy_model = engine_kind == "tiny"
    if toy_model and toy_problems:
        what = "a toy model on toy problems"
    elif toy_model:
        what = "a toy model"
    elif toy_problems:
        what = "toy problems"
    else:
        return None
    return f"TOY RUN: {what}. These numbers are not benchmark scores."


def versions() -> dict[str, str]:
    """Versions of what can change a score, as far as it is installed."""
    found = {"python": platform.python_version(), "cascade": __version__}
    for name in _DISTRIBUTIONS[1:]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host_facts() -> dict[str, Any]:
    """What the machine is, without names of it or of its user."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def command_line(arguments: Sequence[str]) -> str:
    """Return the command for the record, without passwords inside URLs."""
    import shlex

    return _SECRET_IN_URL.sub("", "cascade-eval " + shlex.join(arguments))


def print_report(report: Report, console: Console) -> None:
    """Print scores, counts, published numbers, then what needs attention; fits 80 columns."""
    if report.notice:
        console.print(report.notice, style="bold yellow", highlight=False)
    facts = report.facts
    seconds = facts.get("seconds", 0.0)
    _line(
        console,
        f"model {facts.get('model', '?')} · seed {facts.get('seed', '?')} · "
        f"{sum(s.samples for s in report.tasks):,} samples · "
        f"{sum(s.tokens['total'] for s in report.tasks):,.0f} tokens · {seconds:,.1f} s",
    )
    console.print(_scores(report.tasks))
    console.print(_counts(report.tasks))
    for summary in report.tasks:
        for c in summary.published:
            covered = {True: "covers it", False: "does not", None: "unknown"}[c.in_interval]
            _line(
                console,
                f"published: {summary.task} {c.published.score:g} {c.published.model} "
                f"({c.published.metric}): {c.sentence}; interval for new questions: {covered}",
            )
    for planned in report.planned:
        if planned.deviations:
            _line(console, f"changed: {planned.name}: {'; '.join(planned.deviations)}")
    for name, reason in facts.get("skipped", {}).items():
        _line(console, f"left out: {name}: {reason}")
    for problem in report.problems:
        _line(console, f"attention: {problem}", style="red")


def _line(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def _table(names: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column(names[0], no_wrap=True)
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(summaries: Sequence[Summary]) -> Table:
    table = _table(("task", "metric", "score", "95 % interval", "run noise", "maj@k", "pass@k"))
    for s in summaries:
        table.add_row(
            s.task,
            s.headline,
            ("-" if s.score is None else f"{s.score:.2f}") + ("" if s.complete else " *"),
            f"{s.interval[0]:.1f} to {s.interval[1]:.1f}" if s.interval else "-",
            f"±{s.run_noise:.1f}" if s.run_noise is not None else "-",
            _largest(s.metrics, "maj@"),
            _largest(s.metrics, "pass@"),
        )
    if not all(s.complete for s in summaries):
        table.caption = "* incomplete: samples are missing"
    return table


def _counts(summaries: Sequence[Summary]) -> Table:
    names = ("wrong", "no_answer", "truncated", "empty", "unparsable", "refused", "fault")
    heads = ("wrong", "none", "cut", "empty", "unread", "refused", "fault")
    table = _table(("task", "samples", "tokens", *heads))
    for s in summaries:
        counts = (f"{s.counts[name]:,}" for name in names)
        table.add_row(s.task, f"{s.samples:,}", f"{s.tokens['mean']:,.0f}", *counts)
    return table


def _largest(metrics: Mapping[str, float | None], start: str) -> str:
    """The metric of the largest k."""
    found = {int(name[len(start) :]): v for name, v in metrics.items() if name.startswith(start)}
    value = found[max(found)] if found else None
    return "-" if value is None else f"{value:.1f}"
