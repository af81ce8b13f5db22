"""From samples to a score: metrics, error bars, counts and the published numbers beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from cascade.errors import ConfigError
from cascade.evals import setmetrics, stats
from cascade.evals.records import Record
from cascade.evals.task import Protocol, Published, metric_k
from cascade.types import VerdictStatus

__all__ = ["Comparison", "Limits", "Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares of a task's samples above which a run does not count as clean (exit code 3)."""

    fault: float = 0.0
    """The judge or the engine failed."""
    empty: float = 0.05
    """Blank responses: often a server's reasoning parser that swallowed them."""
    truncated: float = 0.5
    """Cut off by the token budget."""
    no_answer: float = 0.5
    """Nothing to judge was found."""
    unparsable: float = 0.2
    """An answer was found that the verifier could not read."""
    refused: float = 0.05
    """Ended by the server's content filter."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for f in fields(self):
            if not 0.0 <= getattr(self, f.name) <= 1.0:
                raise ConfigError(
                    f"the limit for {f.name} must be a share from 0 to 1, got "
                    f"{getattr(self, f.name)!r}"
                )

    def exceeded(self, summary: Summary) -> list[str]:
        """Say for each limit that is exceeded by how much."""
        if summary.samples == 0:
            return [f"{summary.task}: no sample"]
        found = []
        for f in fields(self):
            share, limit = summary.counts[f.name] / summary.samples, getattr(self, f.name)
            if share > limit:
                found.append(
                    f"{summary.task}: {f.name} in {summary.counts[f.name]:,} of "
                    f"{summary.samples:,} samples ({share:.1%}, the limit is {limit:.0%})"
                )
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published number beside ours."""

    published: Published
    difference: float
    """Ours minus theirs, points."""
    tolerance: float
    """Half width in which two runs of the same model agree 95 times in 100, points."""
    tolerance_is_bound: bool
    """The tolerance is an upper bound: one sample a problem does not show the noise."""
    reproduced: bool
    """The difference lies within the tolerance."""
    in_interval: bool | None
    """Our 95 % interval for new questions covers the number."""

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.reproduced:
            return f"covers it (±{self.tolerance:.1f} between runs)"
        side = "above" if self.difference > 0 else "below"
        return f"{side} by {abs(self.difference):.1f} (±{self.tolerance:.1f} between runs)"

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        theirs = {f.name: getattr(self.published, f.name) for f in fields(Published)}
        ours = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "published"}
        return {**theirs, **ours, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class Summary:
    """A task's result. Scores are points, 0 to 100; None where it cannot be known."""

    task: str
    headline: str
    """Name of the score's metric with its k, as in avg@64."""
    score: float | None
    standard_error: float | None
    """Clustered by problem: would new questions give the same?"""
    interval: tuple[float, float] | None
    """95 %, for new questions."""
    run_noise: float | None
    """Standard error over repeated runs on the same questions."""
    metrics: dict[str, float | None]
    """By name with k; None where samples are missing."""
    problems: int
    """With at least one judged sample."""
    samples: int
    """On record, faults included."""
    expected_problems: int
    expected_samples: int
    counts: dict[str, int]
    """By verdict status, and `truncated`, `empty`, `unparsable`, `refused`."""
    tokens: dict[str, float]
    """`total`, `mean` and `max` per sample."""
    published: tuple[Comparison, ...]
    groups: dict[str, dict[str, float]] = field(default_factory=dict)
    """By the task's breakdown: `score` (mean reward, points) and `problems`."""

    @property
    def complete(self) -> bool:
        """Whether every sample of the protocol was judged."""
        return self.samples - self.counts["fault"] == self.expected_samples

    @property
    def missing(self) -> int:
        """Samples that were not drawn, or ended as faults."""
        return self.expected_samples - self.samples + self.counts["fault"]

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out["interval"] = list(self.interval) if self.interval else None
        out["published"] = [comparison.as_json() for comparison in self.published]
        return {**out, "complete": self.complete, "missing_samples": self.missing}


def summarise(
    task: str,
    protocol: Protocol,
    task_ids: Iterable[str],
    records: Iterable[Record],
    published: Sequence[Published] = (),
    groups: Mapping[str, str] | None = None,
) -> Summary:
    """Compute a task's result from the samples that are there.

    The score is the mean over problems of the mean over the judged samples of each, or the
    protocol's metric of the whole task; FAULTs are left out of every metric, and so are problems
    without a judged sample. A metric of k is None while a problem has fewer than k judged samples.
    Whatever is missing makes the result incomplete.

    Args:
        task: its name.
        protocol: metrics, headline and samples per problem.
        task_ids: every problem that the task has.
        records: its samples.
        published: numbers to put beside the score.
        groups: the group of each problem, for scores by group.
    """
    gathered = _gather(task_ids, records)
    scores = [[record.reward for record in samples] for samples in gathered.judged]
    votes = _votes(gathered.judged)
    head = _headline(protocol, gathered.judged, scores)
    metrics: dict[str, float | None] = {}
    for name in dict.fromkeys((protocol.headline, *protocol.metrics)):
        if (whole := protocol.set_metric(name)) is not None:
            metrics[name] = whole.compute(gathered.judged) if gathered.judged else None
        else:
            metric, count = metric_k(name, protocol.samples)
            metrics[f"{metric}@{count}"] = _metric(metric, count, votes)
    for extra in protocol.set_metrics:
        if extra.name not in metrics:
            metrics[extra.name] = extra.compute(gathered.judged) if gathered.judged else None
    return Summary(
        task=task,
        headline=head.name,
        score=head.score,
        standard_error=head.standard_error,
        interval=head.interval,
        run_noise=head.run_noise,
        metrics=metrics,
        problems=len(scores),
        samples=gathered.samples,
        expected_problems=gathered.problems,
        expected_samples=gathered.problems * protocol.samples,
        counts=gathered.counts,
        tokens=_tokens(gathered.tokens),
        published=tuple(c for p in published if (c := head.beside(p)) is not None),
        groups=_by_group(gathered.judged, groups or {}),
    )


@dataclass(frozen=True, slots=True)
class _Headline:
    """The score with its bars, in the metric's unit, and how published numbers compare."""

    name: str
    score: float | None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    run_noise: float | None = None
    beside: Callable[[Published], Comparison | None] = lambda _: None


def _headline(
    protocol: Protocol, judged: setmetrics.Problems, scores: list[list[float]]
) -> _Headline:
    whole = protocol.set_metric(protocol.headline)
    if whole is not None:
        return _of_whole(whole, judged)
    kind, k = metric_k(protocol.headline, protocol.samples)
    name = f"{kind}@{k}"
    if not scores:
        return _Headline(name, None)
    if kind != "avg":
        return _Headline(name, _metric(kind, k, _votes(judged)))
    score, bounds = 100.0 * stats.mean(scores), stats.interval(scores)
    return _Headline(
        name,
        score,
        _points(stats.standard_error(scores)),
        (100.0 * bounds[0], 100.0 * bounds[1]) if bounds else None,
        _points(stats.run_noise(scores)),
        lambda published: _beside(published, score, scores, bounds),
    )


def _of_whole(metric: setmetrics.SetMetric, judged: setmetrics.Problems) -> _Headline:
    """A metric of the whole task; its bar for new questions draws the problems again."""
    if not judged:
        return _Headline(metric.name, None)
    score = metric.compute(judged)
    draws = setmetrics.redraw(judged, metric.compute) if metric.redrawn else None
    if draws is None:
        return _Headline(metric.name, score)
    low, high = draws.interval
    half = setmetrics.half_width(draws)

    def beside(published: Published) -> Comparison | None:
        if published.metric != metric.name:
            return None
        difference = score - published.score
        return Comparison(
            published, difference, half, True, abs(difference) <= half,
            low <= published.score <= high,
        )  # fmt: skip

    return _Headline(metric.name, score, draws.standard_error, (low, high), beside=beside)


def _by_group(
    judged: setmetrics.Problems, groups: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    found: dict[str, list[list[float]]] = {}
    for samples in judged:
        if samples[0].task_id in groups:
            rewards = [record.reward for record in samples]
            found.setdefault(groups[samples[0].task_id], []).append(rewards)
    return {
        name: {"score": 100.0 * stats.mean(scores), "problems": len(scores)}
        for name, scores in sorted(found.items())
    }


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Samples in the order of problems and sample numbers, and what was counted on the way."""

    judged: list[list[Record]]
    """Of problems with at least one judged sample."""
    problems: int
    samples: int
    counts: dict[str, int]
    tokens: list[int]


def _votes(judged: setmetrics.Problems) -> stats.Votes:
    """What each sample answered and earned."""
    return [[(record.answer, record.reward) for record in samples] for samples in judged]


def _gather(task_ids: Iterable[str], records: Iterable[Record]) -> _Gathered:
    by_problem: dict[str, dict[int, Record]] = {task_id: {} for task_id in task_ids}
    counts: Counter[str] = Counter({status.value: 0 for status in VerdictStatus})
    counts.update(dict.fromkeys(_FLAGS, 0))
    tokens: list[int] = []
    for record in records:
        if record.task_id not in by_problem:
            continue
        counts[record.status.value] += 1
        counts.update([name for name in _FLAGS if getattr(record, name)])
        tokens.append(record.num_tokens)
        if not record.is_fault:
            by_problem[record.task_id][record.sample] = record
    judged = [[given[i] for i in sorted(given)] for given in by_problem.values() if given]
    return _Gathered(judged, len(by_problem), len(tokens), dict(counts), tokens)


_FLAGS = ("truncated", "empty", "unparsable", "refused")


def _points(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _metric(kind: str, k: int, votes: stats.Votes) -> float | None:
    """A metric in points, or None while a problem has fewer than k samples."""
    if not votes or min(len(samples) for samples in votes) < k:
        return None
    if kind == "maj":
        return 100.0 * stats.maj_at_k(votes, k)
    scores = [[reward for _, reward in samples] for samples in votes]
    means = {"avg": stats.avg_at_k, "pass": stats.pass_at_k, "all": stats.all_at_k}
    return 100.0 * means[kind](scores, k)


def _tokens(counts: list[int]) -> dict[str, float]:
    total = sum(counts)
    mean = total / len(counts) if counts else 0.0
    return {"total": total, "mean": mean, "max": max(counts, default=0)}


def _beside(
    published: Published,
    score: float,
    scores: stats.Scores,
    bounds: stats.Interval | None,
) -> Comparison:
    half, exact = stats.reproduction_tolerance(scores, published.samples)
    difference = score - published.score
    return Comparison(
        published,
        difference,
        100.0 * half,
        not exact,
        abs(difference) <= 100.0 * half,
        None if bounds is None else bounds[0] <= published.score / 100.0 <= bounds[1],
    )
