"""One HTML page per run with its curves, without any outside file; and curves as SVG for guides.

``python -m cascade.trainer.page METRIC OUT.svg RUN [RUN …]`` draws one metric of several runs.
"""

from __future__ import annotations

import html
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from cascade.envs.trajectories import read_trajectories
from cascade.trainer.metrics import read_metrics

__all__ = ["Series", "compare", "curve_svg", "write_page"]

Series = Sequence[tuple[float, float]]
"""Points (x, y) by rising x."""

_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2")
_FIRST = ("reward/mean", "eval/pass_rate", "loss", "length/mean", "entropy", "mismatch/max_abs")
_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 26, 30
_MOST_POINTS = 600
_EPISODES = 8
_STYLE = """
:root{color-scheme:light dark}
body{font:14px/1.45 system-ui,sans-serif;margin:24px auto;max-width:1180px;padding:0 16px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:28px 0 8px}
.facts{color:#777}.curves{display:flex;flex-wrap:wrap;gap:12px}
svg{border:1px solid #8884;border-radius:6px;background:Canvas}
details{border:1px solid #8884;border-radius:6px;padding:6px 12px;margin:6px 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;margin:6px 0}
.role{color:#777;font-weight:600}
"""


def write_page(folder: Path, title: str) -> Path:
    """Write ``index.html`` of the run in `folder` from its metrics and sampled episodes.

    The page replaces the one before in one step, so a browser never sees half of it.
    """
    lines = list(read_metrics(folder / "metrics.jsonl"))
    names = [name for line in lines for name, value in line.items() if _plotted(name, value)]
    order = {name: i for i, name in enumerate(_FIRST)}
    chosen = sorted(dict.fromkeys(names), key=lambda name: (order.get(name, len(order)), name))
    curves = [curve_svg({name: _points(lines, name)}, title=name) for name in chosen]
    body = "\n".join(
        [
            f"<h1>{html.escape(title)}</h1>",
            f'<p class="facts">{html.escape(_facts(lines))}</p>',
            f'<div class="curves">{"".join(curves)}</div>',
            *_episodes(folder / "trajectories.jsonl"),
            *_settings(folder / "recipe.json"),
        ]
    )
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )
    new = folder / ".index.html"
    new.write_text(page, encoding="utf-8")
    os.replace(new, folder / "index.html")
    return folder / "index.html"


def curve_svg(
    series: Mapping[str, Series],
    *,
    title: str,
    x_title: str = "step",
    y_range: tuple[float, float] | None = None,
    size: tuple[int, int] = (_WIDTH, _HEIGHT),
) -> str:
    """Draw curves as one SVG element that works in a page and as a file of its own.

    Args:
        series: name -> points; a legend is drawn if there are several.
        title: above the plot.
        x_title: below it.
        y_range: lowest and highest y; None takes those of the points.
        size: width and height in pixels.
    """
    width, height = size
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        for name, points in series.items()
    }
    everything = [point for points in finite.values() for point in points] or [(0.0, 0.0)]
    x_low, x_high = _spread(min(x for x, _ in everything), max(x for x, _ in everything))
    y_low, y_high = y_range or _spread(min(y for _, y in everything), max(y for _, y in everything))

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - x_low) / (x_high - x_low) * (width - _LEFT - _RIGHT)
        down = _TOP + (y_high - y) / (y_high - y_low) * (height - _TOP - _BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui,sans-serif" font-size="11">',
        _text(_LEFT, 16, title, weight="600"),
        _text(width - _RIGHT, height - 6, x_title, anchor="end"),
    ]
    for i in range(5):
        x, y = x_low + (x_high - x_low) * i / 4, y_low + (y_high - y_low) * i / 4
        (across, _), (_, down) = place(x, y_low), place(x_low, y)
        parts.append(
            f'<path d="M{_LEFT} {down}H{width - _RIGHT}" stroke="#8883" fill="none"/>'
            + _text(_LEFT - 5, down + 4, _tick(y), anchor="end")
            + _text(across, height - 16, _tick(x), anchor="middle")
        )
    for i, (name, points) in enumerate(finite.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        track = " ".join(f"{a},{b}" for a, b in (place(x, y) for x, y in _thinned(points)))
        parts.append(
            f'<polyline points="{track}" fill="none" stroke="{colour}" stroke-width="1.6">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
        if len(finite) > 1:
            parts.append(_text(_LEFT + 8, _TOP + 14 + 14 * i, name, colour=colour))
    return "".join([*parts, "</svg>"])


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "400",
    colour: str = "#777",
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
        f"{html.escape(text)}</text>"
    )


def _spread(low: float, high: float) -> tuple[float, float]:
    """Widen an empty range, so that a flat curve has a place."""
    if high > low:
        return low, high
    margin = abs(low) * 0.1 or 1.0
    return low - margin, high + margin


def _tick(value: float) -> str:
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.0e}"
    return f"{value:.4g}"


def _thinned(points: Series) -> Series:
    """At most `_MOST_POINTS` of them, the last one included."""
    stride = -(-len(points) // _MOST_POINTS)
    return points if stride <= 1 else [*points[:-1:stride], points[-1]]


def _plotted(name: str, value: Any) -> bool:
    return name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool)


def _points(lines: Sequence[Mapping[str, Any]], name: str) -> Series:
    return [(line["step"], line[name]) for line in lines if _plotted(name, line.get(name))]


def _facts(lines: Sequence[Mapping[str, Any]]) -> str:
    if not lines:
        return "no step yet"
    seconds = sum(line.get("seconds") or 0.0 for line in lines)
    stages = ", ".join(dict.fromkeys(str(line["stage"]) for line in lines))
    return f"{lines[-1]['step']} steps of {stages}; {seconds / 60:.1f} minutes in steps"


def _episodes(path: Path) -> list[str]:
    """The newest sampled episodes, folded up."""
    if not path.exists():
        return []
    newest = list(islice(reversed(list(read_trajectories(path))), _EPISODES))
    if not newest:
        return []
    out = ["<h2>Sampled episodes, newest first</h2>"]
    for episode in newest:
        said = "".join(
            f'<pre><span class="role">{html.escape(str(m["role"]))}</span> '
            f"{html.escape(str(m.get('content', '')))}</pre>"
            for m in episode.messages
        )
        head = f"{episode.task_id}: {episode.verdict.status.value}, reward {episode.reward:g}"
        out.append(f"<details><summary>{html.escape(head)}</summary>{said}</details>")
    return out


def _settings(path: Path) -> list[str]:
    if not path.exists():
        return []
    text = json.dumps(json.loads(path.read_text(encoding="utf-8")), indent=1)
    return [
        "<h2>Settings</h2>",
        f"<details><summary>all</summary><pre>{html.escape(text)}</pre></details>",
    ]


def compare(metric: str, runs: Sequence[Path], title: str) -> str:
    """Draw one metric of several runs as an SVG file's text; each run is called by its folder."""
    series: dict[str, Series] = {}
    for run in runs:
        lines = list(read_metrics(run / "metrics.jsonl"))
        begins = [
            (line["step"] - 1, line["eval/start_pass_rate"])
            for line in lines
            if metric == "eval/pass_rate" and "eval/start_pass_rate" in line
        ]
        series[run.name] = [*begins, *_points(lines, metric)]
    y_range = (0.0, 1.0) if metric.startswith(("eval/", "reward/")) else None
    return curve_svg(series, title=title, y_range=y_range, size=(720, 360))


if __name__ == "__main__":
    name, out, *folders = sys.argv[1:]
    Path(out).write_text(compare(name, [Path(f) for f in folders], name) + "\n", encoding="utf-8")
