"""Speed of the search for evaluation problems in training text, beside a plain Python search.

Run: ``python benchmarks/contamination.py [--megabytes 100]``. Training text is generated: words
drawn from a vocabulary with Zipf's law, as JSONL rows of messages with the escapes of real text.
Both search for the same 13-grams of 2,000 generated problems, one of a thousand rows holds one, and
both must find the same. The peer does what most scripts do: parse, lower, split, look up tuples.
Process time of one core; rounds are interleaved.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet

from cascade.evals.contamination import NGRAM_WORDS, ProblemIndex, scan
from cascade.types import Message, Task

_PROBLEMS = 2_000


def main() -> None:
    """Print megabytes a second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--peer-megabytes", type=int, default=10, help="it is slow")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rng = random.Random(1)
    vocabulary = [
        f"{''.join(rng.choices('etaoinshrdlu', k=1 + i % 9))}{i % 7}" for i in range(30_000)
    ]
    weights = [1.0 / rank for rank in range(1, len(vocabulary) + 1)]
    problems = [" ".join(rng.choices(vocabulary, weights, k=60)) for _ in range(_PROBLEMS)]
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large.jsonl", Path(folder) / "small.jsonl"
        _write(large, args.megabytes, vocabulary, weights, problems, rng)
        _write(small, args.peer_megabytes, vocabulary, weights, problems, rng)
        assert _ours(problems, small) == _naive(problems, small)
        parquet, table = _as_parquet_and_csv(large)
        assert _ours(problems, large) == _ours(problems, parquet) == _ours(problems, table)
        searches = {"ours": (_ours, large), "parquet": (_ours, parquet), "csv": (_ours, table),
                    "naive": (_naive, small)}  # fmt: skip
        rates: dict[str, list[float]] = {name: [] for name in searches}
        for _ in range(args.rounds):
            for name, (search, file) in searches.items():
                # All forms hold the same text: their rates are those of the JSONL file's bytes.
                size = small.stat().st_size if file == small else large.stat().st_size
                rates[name].append(size / 1e6 / _seconds(search, problems, file))
    ours, naive = (statistics.median(rates[name]) for name in ("ours", "naive"))
    for name in ("parquet", "csv"):
        print(f"{name}: {statistics.median(rates[name]):.1f} MB/s (best {max(rates[name]):.1f})")
    print(f"ours {ours:.1f} MB/s (best {max(rates['ours']):.1f}), plain Python {naive:.2f} MB/s, "
          f"{ours / naive:.0f} times; medians of {args.rounds}, equal findings")  # fmt: skip


def _seconds(
    search: Callable[[list[str], Path], set[str]], problems: list[str], file: Path
) -> float:
    started = time.process_time()
    search(problems, file)
    return time.process_time() - started


def _as_parquet_and_csv(file: Path) -> tuple[Path, Path]:
    rows = [json.loads(line)["messages"] for line in file.read_text().splitlines()]
    parquet, table = file.with_suffix(".parquet"), file.with_suffix(".csv")
    pyarrow.parquet.write_table(pyarrow.table({"messages": rows}), parquet)
    with table.open("w", newline="") as opened:
        csv.writer(opened).writerows([message["content"] for message in row] for row in rows)
    return parquet, table


def _write(
    path: Path,
    megabytes: int,
    vocabulary: list[str],
    weights: list[float],
    problems: list[str],
    rng: random.Random,
) -> None:
    sentences = [" ".join(rng.choices(vocabulary, weights, k=20)) for _ in range(20_000)]
    with path.open("w") as file:
        number = 0
        while file.tell() < megabytes * 1e6:
            parts = rng.choices(sentences, k=15)
            if number % 1000 == 0:
                parts[7] = problems[number // 1000 % _PROBLEMS]
            text = ".\n".join(parts) + ' so $x \\neq 1$, "that" — is 2'
            messages = [
                {"role": "user", "content": parts[0]},
                {"role": "assistant", "content": text},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
            number += 1


def _ours(problems: list[str], file: Path) -> set[str]:
    tasks = [Task(str(i), (Message(role="user", content=p),)) for i, p in enumerate(problems)]
    return {row["id"] for row in scan(ProblemIndex({"t": tasks}), [file]).rows}


def _naive(problems: list[str], file: Path) -> set[str]:
    owners: dict[tuple[str, ...], set[str]] = {}
    for i, problem in enumerate(problems):
        words = _words(problem)
        for start in range(len(words) - NGRAM_WORDS + 1):
            owners.setdefault(tuple(words[start : start + NGRAM_WORDS]), set()).add(str(i))
    found: set[str] = set()
    with file.open() as lines:
        for line in lines:
            words = _words(" ".join(m["content"] for m in json.loads(line)["messages"]))
            for start in range(len(words) - NGRAM_WORDS + 1):
                found |= owners.get(tuple(words[start : start + NGRAM_WORDS]), set())
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


if __name__ == "__main__":
    main()
