"""Progress: a bar on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cascade.evals.records import Record

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["RunProgress", "judging_bar"]

_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 15.0
_MANY_ANSWERS = 200


class RunProgress:
    """Counts samples as they finish and shows the counts a few times a second.

    Args:
        totals: samples of each task.
        done: how many of them an earlier run has finished.
        console: where to draw; plain lines if it is no terminal.
    """

    def __init__(
        self, totals: Mapping[str, int], done: Mapping[str, int], console: Console
    ) -> None:
        self._totals = dict(totals)
        self._done = {name: done.get(name, 0) for name in totals}
        self._before = sum(self._done.values())
        self._tokens = 0
        self._right = 0.0
        self._faults = 0
        self._started = time.monotonic()
        self._console = console
        self._bar: Bar | None = None
        self._rows: dict[str, TaskID] = {}

    def add(self, record: Record) -> None:
        """Count one sample: a few additions, nothing is drawn."""
        self._done[record.task] += 1
        self._tokens += record.num_tokens
        self._right += record.reward
        self._faults += record.is_fault

    async def show(self) -> None:
        """Draw until cancelled."""
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(_LINE_SECONDS)
                self._console.print(self.line(), highlight=False, markup=False)
        bar = self._open_bar()
        with bar:
            try:
                while True:
                    self._draw(bar)
                    await asyncio.sleep(_REFRESH_SECONDS)
            finally:
                self._draw(bar)

    def line(self) -> str:
        """The state of the run in one line."""
        total, done = sum(self._totals.values()), sum(self._done.values())
        seconds = max(1e-6, time.monotonic() - self._started)
        fresh = done - self._before
        rate = fresh / seconds
        left = f"{_clock((total - done) / rate)} left" if rate > 0 else "time left unknown"
        score = f"{100 * self._right / fresh:.1f} so far" if fresh else "no sample yet"
        faults = f", {self._faults} faults" if self._faults else ""
        return (
            f"{done:,} of {total:,} samples, {rate:.1f} samples/s, "
            f"{self._tokens / seconds:,.0f} tokens/s, {left}, {score}{faults}"
        )

    def _open_bar(self) -> Bar:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"), console=self._console,
            refresh_per_second=8,
        )  # fmt: skip
        for name, total in self._totals.items():
            self._rows[name] = bar.add_task(name, total=total, note="")
        self._rows[""] = bar.add_task("all", total=sum(self._totals.values()), note="")
        return bar

    def _draw(self, bar: Bar) -> None:
        for name, row in self._rows.items():
            if name:
                bar.update(row, completed=self._done[name])
            else:
                note = self.line().partition("samples, ")[2]
                bar.update(row, completed=sum(self._done.values()), note=note)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}"


@contextmanager
def judging_bar(total: int) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on standard error while many answers are judged; nothing where none watches."""
    if total < _MANY_ANSWERS or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task("judging", total=total)
        yield lambda done, total: bar.update(row, completed=done)
