"""How long a view of many samples takes to open in headless Chromium.

Run: ``python benchmarks/view_opening.py [--samples 100000]``. Writes a run of generated sums (2,000
problems, transcripts of about 1.5 kB), builds its view, and opens each tab of it from disk: seconds
from the start of the navigation until the tab is drawn. Also: seconds to build, size of the
folder, a full-text search through every transcript, and the peer, an opening of the same
trajectories in one page (all data in one script).
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from cascade.evals.view import build_view
from cascade.types import Trajectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from view_runs import with_text, write_run

_PROBLEMS = 2_000
_NEEDLE = "needle-in-the-hay"
_TABS = {
    "scores": "#",
    "problems": "#view=problems",
    "samples": "#view=samples",
    "one sample": "#view=samples&problem=sums%3Asums-77&sample=3",
}
_DRAWN = {
    "scores": "table.scores tbody tr",
    "problems": "canvas.heat",
    "samples": ".row",
    "one sample": ".message.assistant",
}


def main() -> None:
    """Print seconds; medians of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    each = args.samples // _PROBLEMS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = write_run(folder / "run", _PROBLEMS, each, filler=200, change=_hide)
        started = time.perf_counter()
        index = build_view(run)
        built = time.perf_counter() - started
        size = sum(file.stat().st_size for file in index.parent.rglob("*")) / 1e6
        columns = (index.parent / "data/a.js").stat().st_size / 1e6
        print(f"{_PROBLEMS * each:,} samples: built in {built:.1f} s, {size:.0f} MB, "
              f"index {columns:.1f} MB")  # fmt: skip
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for tab, fragment in _TABS.items():
                times = [_open(browser, index, fragment, _DRAWN[tab]) for _ in range(args.rounds)]
                print(f"{tab}: {statistics.median(times):.2f} s (worst {max(times):.2f})")
            print(f"search of every transcript: {_search(browser, index):.1f} s")
            whole = _one_page(run, folder / "whole.html")
            print(f"peer, one page with all data: {_open(browser, whole, '', '#ready'):.2f} s")
            browser.close()


def _hide(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    if (trajectory.task_id, trajectory.sample) == ("sums-1999", 1):
        return with_text(trajectory, f"{trajectory.response} {_NEEDLE}")
    return trajectory


def _open(browser: Browser, page_file: Path, fragment: str, drawn: str) -> float:
    page = browser.new_page()
    page.set_default_timeout(300_000)
    started = time.perf_counter()
    page.goto(page_file.as_uri() + fragment, wait_until="commit")
    page.wait_for_selector(drawn)
    seconds = time.perf_counter() - started
    page.close()
    return seconds


def _search(browser: Browser, index: Path) -> float:
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.goto(index.as_uri())
    started = time.perf_counter()
    page.fill("#query", _NEEDLE)
    page.wait_for_function(
        "() => document.getElementById('count')?.innerText.startsWith('1 of') && !Search.running"
    )
    seconds = time.perf_counter() - started
    page.close()
    return seconds


def _one_page(run: Path, page: Path) -> Path:
    """The simplest viewer: every trajectory in the page, a table row each."""
    rows = (run / "trajectories.jsonl").read_text().splitlines()
    data = ",".join(row.replace("<", "\\u003c") for row in rows)
    page.write_text(
        f"<!doctype html><table id=t></table><script>const rows = [{data}];\n"
        "for (const r of rows) { t.insertRow().insertCell().textContent = r.task_id; }\n"
        "document.body.append(Object.assign(document.createElement('p'), "
        "{ id: 'ready', textContent: 'ready' }));</script>"
    )
    return page


if __name__ == "__main__":
    main()
