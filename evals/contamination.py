"""`cascade-eval contamination TRAIN…`: which problems of evaluation sets occur in training data.

A problem is matched where n consecutive words of it (13, as for GPT-3: Brown et al. 2020,
arXiv:2005.14165, appendix C) occur in one training text. A problem of fewer words is matched where
all of it occurs, if it has six words or more; shorter ones cannot be told from chance and are
counted. n-grams that more than three problems of a set share (instructions) match nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cascade.envs.tasksets import TaskSet, load_file
from cascade.errors import ConfigError, DataNotFoundError
from cascade.evals.ngrams import Words, gram_hashes, normalised, words_of
from cascade.evals.task import find_task
from cascade.evals.trainingtext import Batch, batches
from cascade.types import Task

__all__ = [
    "Contamination",
    "Match",
    "ProblemIndex",
    "print_contamination",
    "problem_text",
    "problems_of",
    "scan",
]

NGRAM_WORDS = 13
_LEAST_WORDS = 6
_MOST_OWNERS = 3
_FILTER_BITS = (16, 24)
_CELLS_PER_GRAM = 16
_KEPT_PLACES = 3
_SHOWN_WORDS = 60


@dataclass(frozen=True, slots=True)
class Match:
    """A passage of a problem in a training text."""

    file: str
    row: int
    """Line of a text file, else number of the row, from 1."""
    words: int
    text: str
    """The words found, in lower case and without punctuation."""


@dataclass(slots=True)
class _Problem:
    task: str
    task_id: str
    words: list[bytes]
    covered: Any
    """[words] whether each was found in some passage."""
    places: list[Match] = field(default_factory=list)
    """The longest passages found."""
    found: int = 0
    """Passages found in all."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """The result."""

    problems: int
    too_short: int
    """Problems of fewer than six words: not searched for."""
    bytes_read: int
    """Of texts in UTF-8; of JSONL files of their lines."""
    texts: int
    rows: tuple[dict[str, Any], ...]
    """Matched problems, the most covered first: task, id, share, longest, passages, places."""
    shared_grams: int
    """n-grams that were left out because several problems share them."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "problems": self.problems, "matched": len(self.rows), "too_short": self.too_short,
            "texts": self.texts, "bytes_read": self.bytes_read,
            "shared_ngrams": self.shared_grams, "matches": list(self.rows),
        }  # fmt: skip


def problem_text(task: Task) -> str:
    """Return what is searched for: the bare problem if the set keeps it, else the last message."""
    problem = task.metadata.get("problem")
    if isinstance(problem, str) and problem.strip():
        return problem
    asked = [message.get("content", "") for message in task.messages if message["role"] == "user"]
    return str(asked[-1]) if asked else ""


class ProblemIndex:
    """The n-grams of problems, ready to be looked for.

    Args:
        problems: tasks by the name of their set.
        n: words of an n-gram.

    Raises:
        ConfigError: n is less than six.
    """

    def __init__(self, problems: Mapping[str, Iterable[Task]], n: int = NGRAM_WORDS) -> None:
        if n < _LEAST_WORDS:
            raise ConfigError(f"an n-gram must have {_LEAST_WORDS} words or more, got {n}")
        self.n = n
        self.problems: list[_Problem] = []
        self.too_short = 0
        for name, tasks in problems.items():
            for task in tasks:
                words = normalised([problem_text(task)]).split()[:-1]
                if len(words) < _LEAST_WORDS:
                    self.too_short += 1
                else:
                    covered = np.zeros(len(words), bool)
                    self.problems.append(_Problem(name, task.id, words, covered))
        long = [(i, p) for i, p in enumerate(self.problems) if len(p.words) >= n]
        short = [(i, p) for i, p in enumerate(self.problems) if len(p.words) < n]
        self._tables = [_Table(long, n, whole=False), _Table(short, _LEAST_WORDS, whole=True)]
        self.shared_grams = sum(table.shared for table in self._tables)

    def search(self, batch: Batch) -> None:
        """Look for the problems in some texts."""
        words = words_of(batch.words)
        separators: Any = None
        for table in self._tables:
            for number, first, count, begin in table.runs(words):
                problem = self.problems[number]
                length = len(problem.words) if table.whole else count + table.n - 1
                passage = words.between(begin, min(begin + length, len(words.starts)))
                if passage != problem.words[first : first + length]:
                    continue  # the hashes were equal by chance, or only the beginning was there
                if separators is None:
                    separators = words.separators()
                row = batch.rows[int(np.searchsorted(separators, begin))]
                _add(problem, first, passage, batch.file, row)


def _add(problem: _Problem, first: int, passage: list[bytes], file: str, row: int) -> None:
    problem.covered[first : first + len(passage)] = True
    problem.found += 1
    if len(problem.places) == _KEPT_PLACES and problem.places[-1].words >= len(passage):
        return
    shown = b" ".join(passage[:_SHOWN_WORDS]).decode("utf-8", "replace")
    more = " …" if len(passage) > _SHOWN_WORDS else ""
    problem.places.append(Match(file, row, len(passage), shown + more))
    problem.places.sort(key=lambda place: -place.words)
    del problem.places[_KEPT_PLACES:]


def _most_owners(hashes: Any, owners: Any, tasks: Any, begin: Any) -> Any:
    """How many problems of one set share each hash, of the set where most do.

    Args:
        hashes: [G] sorted; of equal ones those of a problem, and of a set, stand together.
        owners: [G] problem of each.
        tasks: [G] set of each.
        begin: [K] where each different hash begins.
    """
    is_new = np.ones(len(hashes), bool)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (tasks[1:] != tasks[:-1])
    groups = np.flatnonzero(is_new)
    fresh = np.ones(len(hashes), np.int64)  # a problem that repeats itself is one owner
    fresh[1:] = is_new[1:] | (owners[1:] != owners[:-1])
    counts = np.add.reduceat(fresh, groups)
    return np.maximum.reduceat(counts, np.searchsorted(groups, begin))


class _Table:
    """The hashes of n-grams, sorted, each with the problems and positions that have it."""

    def __init__(self, problems: Sequence[tuple[int, _Problem]], n: int, *, whole: bool) -> None:
        self.n = n
        self.whole = whole
        """Only the first n-gram of each problem is looked for; the rest is then compared."""
        hashes = [np.empty(0, np.uint64)]
        numbers: list[int] = []
        positions: list[int] = []
        for number, problem in problems:
            words = words_of(b" " + b" ".join(problem.words) + b" ")
            grams = gram_hashes(words.hashes, n)[: 1 if whole else None]
            hashes.append(grams)
            numbers += [number] * len(grams)
            positions += range(len(grams))
        every = np.concatenate(hashes)
        order = np.argsort(every, kind="stable")
        owners = np.array(numbers, np.int64)[order]
        sorted_hashes = every[order]
        keys, begin = np.unique(sorted_hashes, return_index=True)
        ends = np.append(begin[1:], len(every))
        kept = np.ones(len(keys), bool)
        if not whole and len(keys):
            # Counted within each set: a problem may well be in several sets.
            tasks = {name: i for i, name in enumerate(dict.fromkeys(p.task for _, p in problems))}
            task_of = np.zeros(1 + max(numbers), np.int64)
            task_of[[number for number, _ in problems]] = [tasks[p.task] for _, p in problems]
            kept = _most_owners(sorted_hashes, owners, task_of[owners], begin) <= _MOST_OWNERS
        self.shared = int((~kept).sum())
        self._keys, self._begin, self._end = keys[kept], begin[kept], ends[kept]
        self._numbers, self._positions = owners, np.array(positions, np.int64)[order]
        # A small filter stays in a processor's cache; what passes it by chance is looked up.
        least, most = _FILTER_BITS
        bits = min(most, max(least, (_CELLS_PER_GRAM * len(self._keys)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._filter = np.zeros(1 << bits, bool)
        self._filter[self._keys >> self._shift] = True

    def runs(self, words: Words) -> Iterator[tuple[int, int, int, int]]:
        """Yield (problem, its first word, n-grams in a row, number of the first word here)."""
        if not len(self._keys):
            return
        grams = gram_hashes(words.hashes, self.n)
        places = np.flatnonzero(self._filter[grams >> self._shift])
        rows = np.searchsorted(self._keys, grams[places])
        rows[rows == len(self._keys)] = 0
        equal = self._keys[rows] == grams[places]
        places, rows = places[equal], rows[equal]
        if not len(places):
            return
        # One entry for each owner of each n-gram that was found.
        owners = self._end[rows] - self._begin[rows]
        here = np.repeat(places, owners)
        offsets = np.arange(len(here)) - np.repeat(np.cumsum(owners) - owners, owners)
        entry = np.repeat(self._begin[rows], owners) + offsets
        numbers, positions = self._numbers[entry], self._positions[entry]
        order = np.lexsort((here, here - positions, numbers))
        here, numbers, positions = here[order], numbers[order], positions[order]
        breaks = (np.diff(numbers) != 0) | (np.diff(here) != 1) | (np.diff(positions) != 1)
        starts = np.concatenate(([0], np.flatnonzero(breaks) + 1, [len(here)]))
        for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            yield int(numbers[begin]), int(positions[begin]), end - begin, int(here[begin])


def problems_of(
    names: Iterable[str], files: Iterable[Path], data_dir: Path | None
) -> tuple[dict[str, TaskSet], dict[str, str]]:
    """Load the problems of some tasks and files.

    Returns:
        Problem sets by name, and why others could not be had. Tasks on one set count once.

    Raises:
        UnknownNameError: an unknown task.
        DataError: data that cannot be read, or no problem at all.
    """
    sets: dict[str, TaskSet] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys(names):
        source = find_task(name).source
        if source.name not in sets:
            try:
                sets[source.name] = source.load(data_dir)
            except DataNotFoundError as error:
                missing[name] = str(error)
    for file in files:
        sets[file.name] = load_file(file)
    if not sets:
        reason = next(iter(missing.values()), "name a task, a suite or a file")
        raise DataNotFoundError(f"no problems to look for: {reason}")
    return sets, missing


def print_contamination(result: Contamination, most: int) -> None:
    """Print the counts, then the matched problems, the most covered first."""
    half = sum(row["share"] >= 0.5 for row in result.rows)
    print(
        f"{len(result.rows):,} of {result.problems:,} problems have a passage in "
        f"{result.texts:,} training texts ({result.bytes_read / 1e6:,.1f} MB); of {half:,} at "
        f"least half is there"
    )
    tasks = Counter(row["task"] for row in result.rows)
    for task, count in tasks.most_common():
        print(f"  {task}: {count:,}")
    if result.too_short:
        print(f"not looked for: {result.too_short:,} problems of fewer than {_LEAST_WORDS} words")
    for row in result.rows[:most]:
        place = row["places"][0]
        print(f"\n{row['task']} {row['id']}: {row['share']:.0%} of {row['words']} words, "
              f"{row['passages']:,} passages\n  {place['file']}, row {place['row']}, "
              f"{place['words']} words: {place['text']}")  # fmt: skip
    if len(result.rows) > most:
        print(f"\n… and {len(result.rows) - most:,} more: --limit N, or --json for all")


def scan(index: ProblemIndex, files: Sequence[Path]) -> Contamination:
    """Look for the problems of `index` in every text of some training files.

    Raises:
        DataError: a file or row that cannot be read.
    """
    read: Counter[str] = Counter()
    for batch in batches(files):
        read["bytes"] += batch.size
        read["texts"] += len(batch.rows)
        index.search(batch)
    rows = [_row(problem) for problem in index.problems if problem.found]
    rows.sort(key=lambda row: (-row["share"], row["task"], row["id"]))
    return Contamination(
        len(index.problems) + index.too_short, index.too_short, read["bytes"], read["texts"],
        tuple(rows), index.shared_grams,
    )  # fmt: skip


def _row(problem: _Problem) -> dict[str, Any]:
    return {
        "task": problem.task,
        "id": problem.task_id,
        "share": round(float(problem.covered.mean()), 4),
        "longest": problem.places[0].words,
        "words": len(problem.words),
        "passages": problem.found,
        "places": [
            {"file": p.file, "row": p.row, "words": p.words, "text": p.text} for p in problem.places
        ],
    }
