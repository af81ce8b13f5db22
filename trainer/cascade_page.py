"""The page of a cascade: forgetting matrix, teachers, distillation against its rival."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.trainer.cascade import Cascade
from cascade.trainer.metrics import read_metrics
from cascade.trainer.page import Series, curve_svg
from cascade.trainer.registry import Registry
from cascade.trainer.scores import Score, change

if TYPE_CHECKING:
    from cascade.trainer.cascade_run import CascadeFolder, StageResult

__all__ = ["matrix_svg", "write_cascade_page"]

_STYLE = """
:root{color-scheme:light dark}
body{font:14px/1.45 system-ui,sans-serif;margin:24px auto;max-width:1180px;padding:0 16px}
h1{font-size:22px}h2{font-size:16px;margin:28px 0 8px}.curves{display:flex;flex-wrap:wrap;gap:12px}
table{border-collapse:collapse}td,th{border:1px solid #8884;padding:4px 9px;text-align:right}
th:first-child,td:first-child,.words{text-align:left}small{color:#777}
.drop{outline:2px solid #dc2626;outline-offset:-2px}.own{font-weight:700}
svg{border:1px solid #8884;border-radius:6px;background:Canvas}
"""
_LEGEND = (
    "Held-out mean reward in %, with its 95 % interval for new tasks. Bold: the stage trains this "
    "domain. Red frame: clearly below the best earlier checkpoint (paired, 5 %). ★: teacher."
)


def write_cascade_page(
    place: CascadeFolder, cascade: Cascade, results: Sequence[StageResult]
) -> Path:
    """Write ``index.html``, whole, from the results so far."""
    domains = [domain.name for domain in cascade.domains]
    teachers = _teachers(place)
    body = [
        f"<h1>{html.escape(cascade.name)}</h1>",
        f"<p><small>{html.escape(_facts(results))}</small></p>",
        "<h2>What each stage did to each domain</h2>",
        _matrix(results, domains, teachers),
        f"<p><small>{html.escape(_LEGEND)}</small></p>",
        f"<p>{html.escape(_verdict(results, domains))}</p>",
        "<h2>Teachers</h2>",
        _teacher_table(results, teachers),
        *_contests(place, cascade, results),
    ]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(cascade.name)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(body)}</body></html>\n"
    )
    new = place.path / ".index.html"
    new.write_text(page, encoding="utf-8")
    os.replace(new, place.path / "index.html")
    return place.path / "index.html"


def dropped(results: Sequence[StageResult], row: int, domain: str) -> bool:
    """Whether a cell is clearly below the best one above it."""
    score = results[row].scores.get(domain)
    above = [held.scores[domain] for held in results[:row] if domain in held.scores]
    if score is None or not above:
        return False
    return score.clearly_below(max(above, key=lambda held: held.mean))


def _teachers(place: CascadeFolder) -> dict[str, str]:
    """Domain -> stage with the best score."""
    held = Registry.load(place.registry).teachers()
    return {domain: entry.name for domain, entry in held.items()}


def _matrix(
    results: Sequence[StageResult], domains: Sequence[str], teachers: Mapping[str, str]
) -> str:
    head = "".join(f"<th>{html.escape(domain)}</th>" for domain in domains)
    rows = []
    for row, held in enumerate(results):
        cells = [f"<td>{html.escape(held.name)}</td>"]
        for domain in domains:
            score = held.scores.get(domain)
            if score is None:
                cells.append("<td>–</td>")
                continue
            kinds = ["own"] * (domain in held.learns) + ["drop"] * dropped(results, row, domain)
            star = "★ " if teachers.get(domain) == held.name else ""
            cells.append(
                f'<td class="{" ".join(kinds)}" style="background:{_colour(score.mean)}">'
                f"{star}{100 * score.mean:.1f}<br><small>{100 * score.low:.0f}–"
                f"{100 * score.high:.0f}</small></td>"
            )
        faults = sum(score.faults for score in held.scores.values())
        cells.append(f'<td class="words">{html.escape(held.decision)}</td><td>{faults}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f"<table><tr><th>after stage</th>{head}<th>gate</th><th>faults</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _colour(mean: float) -> str:
    """A tint of green by the score, which works on light and dark ground."""
    return f"rgba(16,150,72,{0.08 + 0.5 * mean:.2f})"


def _facts(results: Sequence[StageResult]) -> str:
    minutes = sum(held.seconds for held in results) / 60
    return f"{len(results)} stages trained in {minutes:.1f} minutes"


def _verdict(results: Sequence[StageResult], domains: Sequence[str]) -> str:
    """Say which domains ended more than 3 points below their best checkpoint."""
    if not results:
        return "Nothing is trained yet."
    lost = []
    for domain in domains:
        held = [r.scores[domain].mean for r in results if domain in r.scores]
        last = results[-1].scores.get(domain)
        if last is not None and max(held) - last.mean > 0.03:
            gap = 100 * (max(held) - last.mean)
            sure = "clearly" if dropped(results, len(results) - 1, domain) else "within chance"
            lost.append(f"{domain} ({gap:.1f} points, {sure})")
    if not lost:
        return "After the last stage every domain is within 3 points of its best checkpoint."
    return f"More than 3 points below their best checkpoint: {', '.join(lost)}."


def _teacher_table(results: Sequence[StageResult], teachers: Mapping[str, str]) -> str:
    of_name = {held.name: held for held in results}
    rows = []
    for domain, name in teachers.items():
        score = of_name[name].scores[domain]
        rivals = [held for held in results if domain in held.scores and held.name != name]
        second = max(rivals, key=lambda held: held.scores[domain].mean, default=None)
        why = "the only checkpoint with a score"
        if second is not None:
            why = f"best; next is {second.name}, {_difference(second.scores[domain], score)}"
        rows.append(
            f"<tr><td>{html.escape(domain)}</td><td class=words>{html.escape(name)}</td>"
            f"<td>{html.escape(str(score))}</td><td class=words>{html.escape(why)}</td>"
            f"<td class=words><code>{of_name[name].weights_sha256[:12]}</code></td></tr>"
        )
    head = "<tr><th>domain</th><th>teacher</th><th>score</th><th>why</th><th>sha256</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _difference(before: Score, after: Score) -> str:
    mean, low, high = (100 * x for x in change(before, after))
    return f"{mean:+.1f} points ({low:+.1f} to {high:+.1f})"


def _contests(place: CascadeFolder, cascade: Cascade, results: Sequence[StageResult]) -> list[str]:
    """Curves of stages beside their rivals, by steps and by samples."""
    parts: list[str] = []
    trained = {held.name for held in results}
    for stage in cascade.stages:
        if stage.rival is None or stage.name not in trained:
            continue
        ours = _metrics(place.stage(stage.name))
        theirs = _metrics(place.rival(stage.name))
        parts.append(
            f"<h2>{html.escape(stage.name)} against {html.escape(stage.rival.name)}, from the same "
            "start on the same tasks</h2>"
        )
        for title, across in (("step", _steps), ("samples", _samples)):
            series: dict[str, Series] = {
                stage.name: across(ours), stage.rival.name: across(theirs),
            }  # fmt: skip
            svg = curve_svg(
                series, title="mean reward of sampled episodes", x_title=title,
                y_range=(0.0, 1.0), size=(520, 260),
            )  # fmt: skip
            parts.append(f'<span class="curves">{svg}</span>')
    return parts


def _metrics(folder: Path) -> list[Mapping[str, Any]]:
    path = folder / "metrics.jsonl"
    return list(read_metrics(path)) if path.exists() else []


def _steps(lines: Sequence[Mapping[str, Any]]) -> Series:
    return [(line["step"], line["reward/mean"]) for line in lines if "reward/mean" in line]


def _samples(lines: Sequence[Mapping[str, Any]]) -> Series:
    points, total = [], 0.0
    for line in lines:
        if "reward/mean" in line:
            total += line.get("episodes", 0.0)
            points.append((total, line["reward/mean"]))
    return points


def matrix_svg(results: Sequence[StageResult], domains: Sequence[str]) -> str:
    """Draw the forgetting matrix as one SVG, for guides."""
    left, top, width, height = 150, 30, 96, 26
    wide, high = left + width * len(domains) + 10, top + height * len(results) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" font-family="system-ui,sans-serif" font-size="11">'
    ]
    for k, domain in enumerate(domains):
        x = left + width * (k + 0.5)
        parts.append(f'<text x="{x}" y="20" text-anchor="middle">{html.escape(domain)}</text>')
    for row, held in enumerate(results):
        y = top + height * row
        parts.append(f'<text x="6" y="{y + 17}">{html.escape(held.name)}</text>')
        for k, domain in enumerate(domains):
            score = held.scores.get(domain)
            if score is None:
                continue
            x = left + width * k
            frame = "#dc2626" if dropped(results, row, domain) else "none"
            weight = "700" if domain in held.learns else "400"
            parts.append(
                f'<rect x="{x + 1}" y="{y + 1}" width="{width - 2}" height="{height - 2}" '
                f'fill="{_colour(score.mean)}" stroke="{frame}" stroke-width="2"/>'
                f'<text x="{x + width / 2}" y="{y + 17}" text-anchor="middle" '
                f'font-weight="{weight}">{100 * score.mean:.0f}</text>'
            )
    return "".join([*parts, "</svg>\n"])
