"""What a person watches: a live panel on a terminal, a line a step anywhere else."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

__all__ = ["LINES", "Watch", "time_text"]

LINES: Mapping[str, str] = {
    "reward/mean": "reward",
    "eval/pass_rate": "eval pass rate",
    "length/mean": "length",
    "entropy": "entropy",
    "mismatch/max_abs": "mismatch",
    "loss": "loss",
    "grad_norm": "gradient",
    "learning_rate": "learning rate",
    "groups/dropped": "groups dropped",
    "faults": "faults",
    "tokens_per_second": "tokens/s",
}
"""Metric -> what the console calls it; in this order, those that a stage reports."""

_BARS = "▁▂▃▄▅▆▇█"
_KEPT = 40
_RECENT_STEPS = 20


def time_text(seconds: float) -> str:
    """Write a duration as 7 s, 3:05 min or 2:03 h."""
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


class Watch:
    """Shows the progress of a run. On a terminal it is redrawn in place."""

    def __init__(
        self, title: str, total_steps: int, *, file: TextIO | None = None, every: int = 1
    ) -> None:
        """Prepare; nothing is shown before `open`.

        Args:
            title: of the panel.
            total_steps: of the whole run.
            file: where to; default standard output.
            every: without a terminal, steps between lines.
        """
        self.title = title
        self.total_steps = total_steps
        self._console = Console(file=file, highlight=False)
        self._every = every
        self._history: dict[str, deque[float]] = {}
        self._stamps: deque[float] = deque([time.monotonic()], maxlen=_RECENT_STEPS)
        self._live: Live | None = None

    def open(self) -> None:
        """Start drawing."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        self._stamps.append(time.monotonic())

    def say(self, line: str) -> None:
        """Show a line of text that stays."""
        (self._live.console if self._live else self._console).print(
            line, markup=False, soft_wrap=True
        )

    def show(self, step: int, stage: str, metrics: Mapping[str, float]) -> None:
        """Show the numbers of step `step` (counted from 1 over the whole run)."""
        self._stamps.append(time.monotonic())
        for name in LINES:
            if name in metrics:
                self._history.setdefault(name, deque(maxlen=_KEPT)).append(metrics[name])
        if self._live is not None:
            self._live.update(self._panel(step, stage, metrics))
        elif step % self._every == 0 or step == self.total_steps or "eval/pass_rate" in metrics:
            self.say(self._line(step, stage, metrics))

    def close(self) -> None:
        """Stop drawing; calling it twice is harmless."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def _seconds_per_step(self) -> float:
        return (self._stamps[-1] - self._stamps[0]) / max(1, len(self._stamps) - 1)

    def _left(self, step: int) -> str:
        return time_text(self._seconds_per_step * (self.total_steps - step))

    def _line(self, step: int, stage: str, metrics: Mapping[str, float]) -> str:
        told = [
            f"{word} {_short(metrics[name])}" for name, word in LINES.items() if name in metrics
        ]
        return f"{stage} {step}/{self.total_steps}: {', '.join(told)}, left {self._left(step)}"

    def _panel(self, step: int, stage: str, metrics: Mapping[str, float]) -> Panel:
        table = Table.grid(padding=(0, 2))
        table.add_row(
            stage, f"{step}/{self.total_steps}",
            ProgressBar(total=self.total_steps, completed=step, width=_KEPT),
        )  # fmt: skip
        table.add_row("time left", self._left(step), f"{self._seconds_per_step:.2f} s a step")
        for name, word in LINES.items():
            if history := self._history.get(name):
                now = metrics.get(name, history[-1])
                table.add_row(word, _short(now), _spark(history))
        return Panel(table, title=self.title, title_align="left", expand=False)


def _short(value: float) -> str:
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"{value:.2e}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def _spark(values: deque[float]) -> str:
    """Draw numbers as bars one character high."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    return "".join(
        _BARS[int((v - low) / span * (len(_BARS) - 1)) if span else 0] if math.isfinite(v) else "?"
        for v in values
    )
