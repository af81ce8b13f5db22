"""`cascade-eval diff A B`: which verdicts flipped, between two verifiers or two runs.

Two verifier versions judge the same outputs, and A and B are verdict files of `rescore`; the texts
then come from those outputs. Two runs are compared sample by sample, each with its own text.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, DataError
from cascade.evals.judged import Judged, Key, read_judged, read_texts
from cascade.evals.outputs import numbered, read_outputs

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Difference", "Flip", "diff", "print_difference", "shown", "write_html"]


@dataclass(frozen=True, slots=True)
class Flip:
    """A sample on which the verdicts differ."""

    a: Judged
    b: Judged
    text_a: str | None = None
    text_b: str | None = None

    @property
    def key(self) -> Key:
        """Task, problem, sample."""
        return self.a.key

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        out: dict[str, Any] = dict(zip(("task", "id", "sample"), self.key, strict=True))
        for side, judged, text in (("a", self.a, self.text_a), ("b", self.b, self.text_b)):
            out[side] = {
                "status": judged.status.value, "reward": judged.reward,
                "extracted": judged.extracted, "reason": judged.reason, "text": text,
            }  # fmt: skip
        return out


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from A to B."""

    common: int
    """Samples that both have."""
    only_a: int
    only_b: int
    flips: tuple[Flip, ...]
    """Status or reward differ."""
    moves: Mapping[tuple[str, str], int]
    """How many samples went from one status to another; same to same is left out."""
    score_a: float
    """Mean reward of the common samples that neither left to a FAULT, points."""
    score_b: float

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "common": self.common, "only_a": self.only_a, "only_b": self.only_b,
            "score_a": self.score_a, "score_b": self.score_b,
            "moves": [{"a": a, "b": b, "samples": n} for (a, b), n in self.moves.items()],
            "flips": [flip.as_json() for flip in self.flips],
        }  # fmt: skip


def diff(
    a: Path, b: Path, outputs: Sequence[Path] = (), format_name: str | None = None
) -> Difference:
    """Find the samples whose verdicts differ, those that B alone calls right first.

    Args:
        a: run folder, trajectory file or verdict file.
        b: the other.
        outputs: files of the responses that verdict files were computed from.
        format_name: their form, as in `rescore`.

    Raises:
        DataError: a file that cannot be read, or no sample in common.
    """
    first, second = read_judged(a), read_judged(b)
    keys = [key for key in first if key in second]
    if not keys:
        raise DataError(f"{a} and {b} have no sample in common (task, problem and number)")
    pairs = [(first[key], second[key]) for key in keys]
    different = [(x, y) for x, y in pairs if (x.status, x.reward) != (y.status, y.reward)]
    different.sort(key=lambda pair: pair[0].reward - pair[1].reward)
    flipped = {x.key for x, _ in different}
    shared = _texts_of_outputs(outputs, format_name, flipped) if outputs else {}
    texts_a, texts_b = read_texts(a, flipped) or shared, read_texts(b, flipped) or shared
    judged = [(x.reward, y.reward) for x, y in pairs if "fault" not in (x.status, y.status)]
    count = len(judged) or 1
    moves = Counter((x.status.value, y.status.value) for x, y in different if x.status != y.status)
    return Difference(
        len(keys), len(first) - len(keys), len(second) - len(keys),
        tuple(Flip(x, y, texts_a.get(x.key), texts_b.get(x.key)) for x, y in different),
        dict(moves.most_common()),
        100 * sum(x for x, _ in judged) / count, 100 * sum(y for _, y in judged) / count,
    )  # fmt: skip


def _texts_of_outputs(
    paths: Sequence[Path], format_name: str | None, keys: set[Key]
) -> dict[Key, str]:
    """Return the responses by task, problem and sample, numbered as `rescore` numbers them."""
    _, found, _ = read_outputs(paths, format_name, None)
    texts = {(o.id, number): o.response or "" for o, number in numbered(found)}
    return {key: texts[key[1:]] for key in keys if key[1:] in texts}


_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\uffff\U000e0000-\U000e0fff]"
)


def shown(text: str) -> str:
    """Make visible what a terminal or a browser would obey or hide: controls, bidi, surrogates."""
    return _UNSEEN.sub(lambda found: f"‹U+{ord(found[0]):04X}›", text)


def print_difference(result: Difference, console: Console, most: int, characters: int) -> None:
    """Print the counts, then flips side by side.

    Args:
        result: what changed.
        console: where to.
        most: flips that are printed.
        characters: of each text, counted from its end, where answers are.
    """
    from rich.table import Table
    from rich.text import Text

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line(f"{len(result.flips):,} of {result.common:,} verdicts differ; mean reward "
         f"{result.score_a:.2f} in A, {result.score_b:.2f} in B")  # fmt: skip
    for (before, after), count in result.moves.items():
        line(f"  {count:>6,} {before} -> {after}")
    if result.only_a or result.only_b:
        line(f"not compared: {result.only_a:,} samples only in A, {result.only_b:,} only in B")
    for flip in result.flips[:most]:
        task, task_id, sample = flip.key
        line(f"\n{task} {shown(task_id)} sample {sample}")
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(ratio=1, overflow="fold")
        table.add_row(_verdict_line("A", flip.a), _verdict_line("B", flip.b))
        texts = [_end(text, characters) for text in (flip.text_a, flip.text_b)]
        if flip.text_a == flip.text_b and texts[0]:
            line("")
            console.print(table)
            line(texts[0])
        else:
            table.add_row(*map(Text, texts))
            console.print(table)
    if len(result.flips) > most:
        line(f"\n… and {len(result.flips) - most:,} more: --limit N, or --html FILE for all")


def _verdict_line(side: str, judged: Judged) -> Any:
    from rich.text import Text

    answer = "" if judged.extracted is None else f"  answer {shown(judged.extracted)[:200]}"
    reason = f"\n{shown(judged.reason)[:300]}" if judged.reason else ""
    return Text(f"{side} {judged.status.value} {judged.reward:g}{answer}{reason}")


def _end(text: str | None, characters: int) -> str:
    if text is None:
        return ""
    return shown(text if len(text) <= characters else "… " + text[-characters:])


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 24px auto; max-width: 1400px;
  padding: 0 20px; }
section { border: 1px solid var(--line); border-radius: 10px; padding: 10px 16px; margin: 14px 0; }
h1 { font-size: 20px; } h2 { font-size: 14px; margin: 0 0 8px; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 20px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; font-size: 13px;
  background: var(--soft); padding: 10px; border-radius: 8px; max-height: 60vh; overflow: auto; }
.correct { color: #2a9d8f; } .partial { color: #b8860b; } .wrong { color: #d9603b; }
.no_answer, .fault { color: #7457c9; }
td { padding: 1px 14px 1px 0; }
"""


def write_html(result: Difference, path: Path, a: str, b: str) -> None:
    """Write all flips side by side as one page that loads nothing and runs nothing.

    Raises:
        ConfigError: the file cannot be written.
    """
    moves = "".join(
        f"<tr><td>{count:,}</td><td class={x}>{x}</td><td class={y}>→ {y}</td></tr>"
        for (x, y), count in result.moves.items()
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Verdicts that differ</title><style>{_STYLE}</style><body>"
        f"<h1>{len(result.flips):,} of {result.common:,} verdicts differ</h1>"
        f"<p>A {_safe(a)}, mean reward {result.score_a:.2f}<br>"
        f"B {_safe(b)}, mean reward {result.score_b:.2f}</p><table>{moves}</table>"
        f"{''.join(map(_section, result.flips))}</body></html>\n"
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--html {str(path)!r} cannot be written: {error}") from error


def _section(flip: Flip) -> str:
    task, task_id, sample = flip.key
    same = flip.text_a == flip.text_b
    texts = "" if same else f"<div class=pair>{_block(flip.text_a)}{_block(flip.text_b)}</div>"
    both = _block(flip.text_a) if same else ""
    return (
        f"<section><h2>{_safe(task)} / {_safe(task_id)} · sample {sample}</h2><div class=pair>"
        f"{_side('A', flip.a)}{_side('B', flip.b)}</div>{texts}{both}</section>"
    )


def _side(name: str, judged: Judged) -> str:
    status = judged.status.value
    answer = "" if judged.extracted is None else f" answer <code>{_safe(judged.extracted)}</code>"
    return (
        f"<div>{name} <b class={status}>{status}</b> {judged.reward:g}{answer}<br>"
        f"{_safe(judged.reason)}</div>"
    )


def _block(text: str | None) -> str:
    return "" if text is None else f"<pre>{_safe(text)}</pre>"


def _safe(text: str) -> str:
    return html.escape(shown(text))
