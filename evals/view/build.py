"""Writes the folder of a view."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.errors import ConfigError, DataError
from cascade.evals.compare import compare
from cascade.evals.view.index import IndexedRun, read_run
from cascade.evals.view.parts import script_call, write_parts

__all__ = ["build_view"]

_COPIED = (
    "view.css", "data.js", "charts.js", "transcript.js", "samples.js", "pages.js", "app.js"
)  # fmt: skip
_MARK = "<!-- cascade-eval view -->"


def build_view(a: Path, b: Path | None = None, out: Path | None = None) -> Path:
    """Write the pages of one run, or of two beside each other.

    Args:
        a: run folder or trajectory file.
        b: the other run, if two are compared.
        out: folder of the pages; None: `view` in the run folder, or beside the trajectory file. An
            earlier view there is replaced.

    Returns:
        The page to open.

    Raises:
        DataError: a run that cannot be read.
        ConfigError: the folder cannot be written, or holds something else.
    """
    runs = {"a": read_run(a)} | ({"b": read_run(b)} if b is not None else {})
    folder = out or (a / "view" if a.is_dir() else a.with_name(f"{a.name}.view"))
    try:
        return _write(folder, runs, _comparison(a, b) if b is not None else None)
    except OSError as error:
        raise ConfigError(f"the folder {str(folder)!r} cannot be written: {error}") from error


def _write(folder: Path, runs: Mapping[str, IndexedRun], comparison: Any) -> Path:
    _claim(folder)
    data = folder / "data"
    data.mkdir(parents=True)
    for side, run in runs.items():
        parts = write_parts(run, side, data)
        script = script_call("cascadeRun", side, run.as_json(parts))
        (data / f"{side}.js").write_text(script, encoding="ascii")
    if comparison is not None:
        script = script_call("cascadeComparison", comparison)
        (data / "comparison.js").write_text(script, encoding="ascii")
    source = Path(__file__).parent
    for name in _COPIED:
        shutil.copyfile(source / name, folder / name)
    scripts = [f"data/{side}.js" for side in runs]
    if comparison is not None:
        scripts.append("data/comparison.js")
    tags = "\n".join(f'<script src="{name}"></script>' for name in scripts)
    page = (source / "index.html").read_text(encoding="utf-8").replace("<!-- data -->", tags)
    (folder / "index.html").write_text(f"{page}{_MARK}\n", encoding="utf-8")
    return folder / "index.html"


def _claim(folder: Path) -> None:
    """Remove an earlier view; refuse a folder that holds anything else."""
    page = folder / "index.html"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not page.is_file() or _MARK not in page.read_text(encoding="utf-8"):
            raise ConfigError(
                f"{str(folder)!r} exists and is no view of ours: give another folder with --out"
            )
        shutil.rmtree(folder / "data", ignore_errors=True)


def _comparison(a: Path, b: Path) -> dict[str, Any]:
    """Compare what can be compared; two runs without a common problem are still shown."""
    try:
        return {"tasks": [c.as_json() for c in compare(a, b, common=True)], "problem": None}
    except DataError as error:
        return {"tasks": [], "problem": str(error)}
