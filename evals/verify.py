"""`cascade-eval verify`: golden replay. Published outputs in, the published numbers out, no model.

A set that misses its number means that a verifier, a format or the statistics have changed. How to
add one is told in `cascade.evals.golden`.
"""

from __future__ import annotations

import json
import pkgutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from cascade.errors import CascadeError, ContractError, DataNotFoundError, UnknownNameError
from cascade.evals.downloads import Download
from cascade.evals.rescore import RescoreConfig, rescore

__all__ = [
    "Expected",
    "GoldenSet",
    "Measure",
    "Outcome",
    "Replayed",
    "Rescore",
    "find_sets",
    "golden_sets",
    "print_replayed",
    "replay",
]

Measure = Callable[[Path, Sequence[Path]], Mapping[str, float]]
"""Called with the data folder and the set's files; returns numbers by name."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A number that must come out."""

    name: str
    """Of what `measure` returns."""
    value: float
    within: float = 0.0
    """Largest difference that is not a miss."""
    published: float | None = None
    """What was published, where `value` rightly differs from it."""
    why: str = ""
    """Why it differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """Outputs that somebody has published, and what must come out of them."""

    name: str
    source: str
    """Repository, commit and place of the published number."""
    files: tuple[str, ...]
    """Paths below the data folder; the set has no data if one is missing."""
    measure: Measure
    expected: tuple[Expected, ...]
    downloads: tuple[Download, ...] = ()
    """Files that may be fetched where they are missing: those whose licence allows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescore:
    """Measures by `cascade-eval rescore`.

    Gives `score`, `problems`, `samples`, every count of the report (`no_answer`, `fault`, …), every
    metric (`pass@4`, …), `same`, `ours_only` and `theirs_only` (against the publisher's verdicts),
    and `unexplained`: rows whose verdict differs and that `differing` does not list, or that it
    lists and that do not differ.
    """

    task: str
    format: str | None = None
    answers: str | None = None
    """Path below the data folder."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    differing: frozenset[str] = frozenset()
    """Ids of the problems whose verdicts are known to differ, each judged."""

    def __call__(self, data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
        """Judge the files."""
        with tempfile.TemporaryDirectory(prefix="cascade-verify-") as folder:
            result = rescore(
                RescoreConfig(
                    task=self.task,
                    outputs=files,
                    answers=data_dir / self.answers if self.answers else None,
                    format=self.format,
                    policy=self.policy,
                    data_dir=data_dir,
                    out=Path(folder) / "verdicts.jsonl",
                )
            )
            different = _different(result.verdicts)
        summary = result.summary
        numbers: dict[str, float | None] = {
            "score": summary.score,
            "problems": summary.problems,
            "samples": summary.samples,
            **summary.counts,
            **summary.metrics,
            **(result.agreement or {}),
            "missing_problems": len(result.missing_ids),
            "unexplained": len(different ^ self.differing),
        }
        return {name: value for name, value in numbers.items() if value is not None}


def _different(verdicts: Path) -> set[str]:
    rows = map(json.loads, verdicts.read_text(encoding="utf-8").splitlines())
    return {r["id"] for r in rows if r.get("published") not in (None, r["reward"])}


class Outcome(StrEnum):
    """What became of one expected number."""

    AS_EXPECTED = "as expected"
    MISS = "MISS"
    NO_DATA = "no data"
    """A file of the set is not there: nothing was checked."""
    FAULT = "FAULT"
    """It could not be judged here (no sandbox, a verifier that failed): nothing was shown."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One expected number beside what came out."""

    set: str
    expected: Expected
    got: float | None
    outcome: Outcome
    reason: str = ""
    """Why there is no number."""
    seconds: float = 0.0
    """Wall time of the whole set."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        wanted = {f.name: getattr(self.expected, f.name) for f in fields(Expected)}
        return {"set": self.set, "number": wanted.pop("name"), "expected": wanted.pop("value"),
                **wanted, "got": self.got, "status": self.outcome.value, "reason": self.reason,
                "seconds": round(self.seconds, 3)}  # fmt: skip


def golden_sets() -> tuple[GoldenSet, ...]:
    """Return every set, ours in the order of files.

    Raises:
        ContractError: two sets of one name.
    """
    package = import_module("cascade.evals.golden")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    sets = [s for name in names for s in import_module(f"{package.__name__}.{name}").SETS]
    if len({s.name for s in sets}) < len(sets):
        raise ContractError("two golden sets have one name")
    return tuple(sets)


def find_sets(patterns: Sequence[str]) -> tuple[GoldenSet, ...]:
    """Return the sets that one of the patterns names: a whole name, a folder, or with `*`.

    Raises:
        UnknownNameError: a pattern that names none.
    """
    sets = golden_sets()
    if not patterns:
        return sets
    chosen = {}
    for pattern in patterns:
        found = [
            s for s in sets if fnmatchcase(s.name, pattern) or s.name.startswith(f"{pattern}/")
        ]
        if not found:
            folders = {s.name.partition("/")[0] for s in sets}
            raise UnknownNameError.near("golden set", pattern, {*folders, *(s.name for s in sets)})
        chosen.update({s.name: s for s in found})
    return tuple(s for s in sets if s.name in chosen)


def replay(golden: GoldenSet, data_dir: Path) -> tuple[Replayed, ...]:
    """Measure a set and put each expected number beside what came out; never raises for the set."""
    started = time.monotonic()
    files = [data_dir / name for name in golden.files]
    absent = [name for name, file in zip(golden.files, files, strict=True) if not file.exists()]
    numbers: Mapping[str, float] = {}
    outcome, reason = None, ""
    if absent:
        outcome, reason = Outcome.NO_DATA, f"no file {absent[0]}"
    else:
        try:
            numbers = golden.measure(data_dir, files)
        except DataNotFoundError as error:
            outcome, reason = Outcome.NO_DATA, str(error)
        except CascadeError as error:
            outcome, reason = Outcome.FAULT, str(error)
        else:
            if numbers.get("fault"):
                outcome, reason = Outcome.FAULT, f"{numbers['fault']:,.0f} samples ended as faults"
    seconds = time.monotonic() - started
    return tuple(_beside(golden, e, numbers, outcome, reason, seconds) for e in golden.expected)


def _beside(
    golden: GoldenSet,
    expected: Expected,
    numbers: Mapping[str, float],
    outcome: Outcome | None,
    reason: str,
    seconds: float,
) -> Replayed:
    got = numbers.get(expected.name)
    if outcome is None and got is None:
        outcome, reason = Outcome.MISS, f"there is no number {expected.name!r}"
    if outcome is None:
        assert got is not None
        # A published number has finitely many digits: its last one must not decide by rounding.
        near = abs(got - expected.value) <= expected.within + 1e-9
        outcome = Outcome.AS_EXPECTED if near else Outcome.MISS
    return Replayed(golden.name, expected, got, outcome, reason, seconds)


def replay_all(sets: Iterable[GoldenSet], data_dir: Path | None) -> Iterator[tuple[Replayed, ...]]:
    """Replay sets one after the other.

    Raises:
        DataNotFoundError: there is no data folder.
    """
    if data_dir is None or not data_dir.is_dir():
        raise DataNotFoundError(
            f"no folder of published outputs at {str(data_dir)!r}: give --data-dir DIR, or set "
            f"CASCADE_DATA"
        )
    for golden in sets:
        yield replay(golden, data_dir)


def print_replayed(rows: Sequence[Replayed], widths: tuple[int, int]) -> None:
    """Print the numbers of one set, a line each, in columns as wide as the longest names."""
    for row in rows:
        wanted, got = row.expected, "-" if row.got is None else f"{row.got:.6g}"
        line = f"{row.set:{widths[0]}}  {wanted.name:{widths[1]}} {wanted.value:>8.6g} {got:>8} "
        line += f"±{wanted.within:<5g} {row.outcome.value}"
        if row.reason:
            line += f": {row.reason}"
        if wanted.published is not None:
            line += f" (published {wanted.published:g}: {wanted.why})"
        print(line, flush=True)
