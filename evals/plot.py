"""`cascade-eval plot RUN…`: pictures for papers, as SVG, PNG or PDF.

matplotlib is the optional extra `plot`. Figures are made without its global state, and the same
runs give the same file.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, DataError
from cascade.evals import stats
from cascade.evals.records import Record
from cascade.evals.view.index import IndexedRun, IndexedTask, read_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["KINDS", "length_curve", "pass_curve", "plot"]

_COLOURS = ("#2f5fd0", "#d9603b", "#2a9d8f", "#7457c9", "#b8860b", "#6b7280", "#c2477f", "#1d2129")
_ACROSS = 3
_LENGTH_BINS = 8
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "cascade", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": 10, "legend.frameon": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Series:
    """A run under the name that the legend has for it."""

    label: str
    run: IndexedRun
    colour: str

    def task(self, name: str) -> IndexedTask | None:
        return next((task for task in self.run.tasks if task.name == name), None)


def plot(
    runs: Sequence[Path],
    out: Path,
    kinds: Sequence[str] | None = None,
    form: str = "svg",
    *,
    dots_per_inch: int = 200,
) -> list[Path]:
    """Draw pictures of some runs, and return the files.

    Args:
        runs: run folders or trajectory files.
        out: folder of the pictures; created.
        kinds: names among `KINDS`; None: all that the runs have data for.
        form: svg, png or pdf.
        dots_per_inch: of a PNG.

    Raises:
        ConfigError: no matplotlib (with the pip line), or a folder that cannot be written.
        DataError: a run that cannot be read, or one without what a picture shows.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigError(
            "plot needs matplotlib, which is not installed: pip install 'cascade-rl[plot]'"
        ) from error
    series = _labelled([read_run(path) for path in runs])
    files = []
    with mpl.rc_context(_STYLE):
        for kind in kinds or KINDS:
            try:
                figure = KINDS[kind](series)
            except DataError:
                if kinds:
                    raise
                continue
            file = out / f"{kind}.{form}"
            try:
                out.mkdir(parents=True, exist_ok=True)
                figure.savefig(file, dpi=dots_per_inch, metadata=_UNDATED.get(form))
            except OSError as error:
                raise ConfigError(f"{str(file)!r} cannot be written: {error}") from error
            files.append(file)
    return files


_UNDATED: Mapping[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def _labelled(runs: Sequence[IndexedRun]) -> list[_Series]:
    models = [str(run.report.get("model", run.name)) for run in runs]
    labels = [
        model if models.count(model) == 1 else f"{model} ({run.name})"
        for model, run in zip(models, runs, strict=True)
    ]
    return [
        _Series(label.replace("$", r"\$"), run, _COLOURS[i % len(_COLOURS)])
        for i, (label, run) in enumerate(zip(labels, runs, strict=True))
    ]


def _task_names(series: Sequence[_Series]) -> list[str]:
    return list(dict.fromkeys(task.name for s in series for task in s.run.tasks))


def _scores(series: Sequence[_Series]) -> Figure:
    """Bars with the interval for new questions, and ticks at the published numbers."""
    from matplotlib.figure import Figure

    names = _task_names(series)
    figure = Figure(figsize=(max(4.0, 1.0 + len(names) * (0.5 + 0.35 * len(series))), 3.2),
                    layout="constrained")  # fmt: skip
    axes = figure.subplots()
    wide = 0.8 / len(series)
    for i, s in enumerate(series):
        for place, name in enumerate(names):
            task = s.task(name)
            if task is None or task.summary.get("score") is None:
                continue
            x, score = place - 0.4 + (i + 0.5) * wide, task.summary["score"]
            axes.bar(x, score, 0.9 * wide, color=s.colour, label=s.label if place == 0 else None)
            if bounds := task.summary.get("interval"):
                error = [[max(0.0, score - bounds[0])], [max(0.0, bounds[1] - score)]]
                axes.errorbar(x, score, error, fmt="none", ecolor="#1d2129", capsize=2.5, lw=1)
            for number in task.summary.get("published", ()):
                axes.hlines(number["score"], x - 0.45 * wide, x + 0.45 * wide,
                            colors="#1d2129", linestyles="dotted", lw=1)  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=25 if len(names) > 4 else 0)
    axes.set_ylabel("score")
    _legend(axes, series)
    return figure


def _legend(axes: Axes, series: Sequence[_Series]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=s.colour, label=s.label) for s in series]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _panels(
    series: Sequence[_Series],
    curve: Callable[[Sequence[Record]], Sequence[_Point]],
    **labels: Any,
) -> Figure:
    """One panel a task, one line a run, with bars."""
    from matplotlib.figure import Figure

    curves = {
        name: [(s, points) for s in series if (points := _curve(s.task(name), curve))]
        for name in _task_names(series)
    }
    curves = {name: lines for name, lines in curves.items() if lines}
    if not curves:
        raise DataError(labels["missing"])
    across = min(_ACROSS, len(curves))
    down = -(-len(curves) // across)
    figure = Figure(figsize=(3.3 * across + 0.5, 2.7 * down + 0.4), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for panel, (name, lines) in zip(panels, curves.items(), strict=False):
        for s, points in lines:
            x, y, low, high = zip(*points, strict=True)
            panel.plot(x, y, color=s.colour, label=s.label, marker="o", ms=3.5, lw=1.4)
            panel.fill_between(x, low, high, color=s.colour, alpha=0.15, lw=0)
        panel.set(title=name, xlabel=labels["x"], ylabel=labels["y"], xscale="log")
        panel.minorticks_off()
        ticks = labels["ticks"](sorted({point[0] for _, points in lines for point in points}))
        panel.set_xticks(ticks, [_brief(tick) for tick in ticks])
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    figure.legend(*_first(curves), loc="outside upper center", ncols=3)
    return figure


def _first(curves: Mapping[str, list[tuple[_Series, Any]]]) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    shown = {s.label: s.colour for lines in curves.values() for s, _ in lines}
    return [Line2D([], [], color=c, marker="o", ms=3.5) for c in shown.values()], list(shown)


def _brief(value: float) -> str:
    return f"{value / 1000:.3g}k" if value >= 1000 else f"{value:.3g}"


_Point = tuple[float, float, float, float]
"""x, y, and the lower and upper end of its bar; y in points."""


def _curve(
    task: IndexedTask | None, curve: Callable[[Sequence[Record]], Sequence[_Point]]
) -> Sequence[_Point]:
    return curve([place.record for place in task.places]) if task is not None else ()


def _problems(records: Sequence[Record]) -> list[list[float]]:
    scores: dict[str, list[float]] = {}
    for record in records:
        if not record.is_fault:
            scores.setdefault(record.task_id, []).append(record.reward)
    return list(scores.values())


def pass_curve(records: Sequence[Record]) -> list[_Point]:
    """Unbiased pass@k for k = 1, 2, 4, … and all, with the error for new questions, clustered."""
    scores = _problems(records)
    most = min(map(len, scores), default=0)
    if most < 2:
        return []
    points = []
    for k in sorted({*(2**i for i in range(most.bit_length()) if 2**i <= most), most}):
        chances = [stats.pass_at_k([samples], k) for samples in scores]
        value, error = statistics.fmean(chances), 0.0
        if len(chances) > 1:
            error = statistics.stdev(chances) / len(chances) ** 0.5
        low, high = max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)
        points.append((float(k), 100 * value, 100 * low, 100 * high))
    return points


def length_curve(records: Sequence[Record]) -> list[_Point]:
    """Mean reward over bins of equally many samples by length, with Wilson's 95 % interval.

    The interval takes samples as independent: it is a guide for the eye, not a test.
    """
    judged = sorted(
        (r for r in records if not r.is_fault and r.num_tokens > 0), key=lambda r: r.num_tokens
    )
    points = []
    for group in _bins(judged):
        value = statistics.fmean(r.reward for r in group)
        low, high = stats.wilson(value * len(group), len(group))
        middle = statistics.median(r.num_tokens for r in group)
        points.append((float(middle), 100 * value, 100 * low, 100 * high))
    return points


def _bins(judged: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Cut sorted samples into bins; samples of one length are never parted."""
    start, count = 0, min(_LENGTH_BINS, len(judged))
    for i in range(1, count + 1):
        end = max(start, i * len(judged) // count)
        while start < end < len(judged) and judged[end].num_tokens == judged[end - 1].num_tokens:
            end += 1
        if end > start:
            yield judged[start:end]
            start = end


def _pass(series: Sequence[_Series]) -> Figure:
    return _panels(
        series, pass_curve, x="k", y="pass@k, %", ticks=list,
        missing="pass@k needs two samples or more of every problem",
    )  # fmt: skip


def _length(series: Sequence[_Series]) -> Figure:
    return _panels(
        series, length_curve, x="tokens", y="mean reward, %", ticks=_few,
        missing="the engines of these runs did not count tokens",
    )  # fmt: skip


def _few(values: Sequence[float]) -> list[float]:
    """First, middle and last: more do not fit where lengths are near each other."""
    return sorted({values[0], values[len(values) // 2], values[-1]})


KINDS: Mapping[str, Callable[[Sequence[_Series]], Figure]] = {
    "scores": _scores,
    "pass": _pass,
    "length": _length,
}
"""Score bars with intervals, pass@k curves, length against accuracy."""
