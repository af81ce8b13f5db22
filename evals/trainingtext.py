"""Texts of training files, streamed: JSONL, CSV, Parquet, JSON and plain text, whatever the fields.

A row's text is every string in it (`text`, `prompt`, the contents of `messages`, …), in order.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from cascade.envs.rows import read_rows
from cascade.errors import DataError, DataNotFoundError
from cascade.evals.ngrams import normalised, normalised_jsonl

__all__ = ["Batch", "batches"]

_BATCH_BYTES = 1_000_000
"""Small enough for the arrays of its words to stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some texts of one file, in order."""

    file: str
    rows: Sequence[int]
    """Of each text: its line in a text file, else the number of its row, from 1."""
    words: bytes
    """As `cascade.evals.ngrams.normalised` returns them."""
    size: int
    """Bytes that were read: of the texts in UTF-8; for JSONL of the lines."""


def batches(files: Sequence[Path]) -> Iterator[Batch]:
    """Yield the texts of all files, about a megabyte at a time.

    Lines of JSONL are not parsed (see `normalised_jsonl`): of their syntax, only the first line is
    checked whole, and of every other that it begins an object.

    Raises:
        DataNotFoundError: there is no such file.
        DataError: an unknown format, or a row that cannot be read, with file and line.
    """
    for file in files:
        if not file.is_file():
            raise DataNotFoundError(f"there is no training file {str(file)!r}")
        name = file.name.removesuffix(".gz")
        if name.endswith(".jsonl"):
            yield from _of_jsonl(file)
        elif name.endswith(".parquet"):
            yield from _batched(file, _of_parquet(file))
        elif name.endswith(".csv"):
            yield from _batched(file, _of_csv(file))
        elif name.endswith(".txt"):
            yield from _batched(file, _of_lines(file))
        else:
            rows = read_rows(file)
            yield from _batched(file, ((i, _strings(row)) for i, row in enumerate(rows, start=1)))


def _batched(file: Path, rows: Iterator[tuple[int, str]]) -> Iterator[Batch]:
    numbers: list[int] = []
    texts: list[str] = []
    size = 0
    for number, text in rows:
        numbers.append(number)
        texts.append(text)
        size += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if size >= _BATCH_BYTES:
            yield Batch(str(file), numbers, normalised(texts), size)
            numbers, texts, size = [], [], 0
    if texts:
        yield Batch(str(file), numbers, normalised(texts), size)


def _of_jsonl(file: Path) -> Iterator[Batch]:
    first, rest = 1, b""
    with _opened(file) as opened:
        while True:
            block = opened.read(_BATCH_BYTES)
            cut = block.rfind(b"\n") + 1
            if block and not cut:
                rest += block  # a line that is longer than a batch
                continue
            lines = rest + (block[:cut] if block else b"\n" if rest else b"")
            rest = block[cut:]
            if lines:
                _check_lines(file, first, lines)
                count = lines.count(b"\n")
                rows = range(first, first + count)
                yield Batch(str(file), rows, normalised_jsonl(lines), len(lines))
                first += count
            if not block:
                return


def _check_lines(file: Path, first: int, lines: bytes) -> None:
    if first == 1:
        try:
            row = json.loads(lines.partition(b"\n")[0])
        except ValueError as error:
            raise DataError(f"{file}, line 1: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{file}, line 1: a row must be an object, got {row!r:.80}")
    codes = np.frombuffer(lines, np.uint8)
    begins = np.append(0, np.flatnonzero(codes == ord("\n"))[:-1] + 1)
    for place in np.flatnonzero(codes[begins] != ord("{")).tolist():
        line = lines[begins[place] :].partition(b"\n")[0].strip()
        if line and not line.startswith(b"{"):
            raise DataError(f"{file}, line {first + place}: not a JSON object")


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


def _of_lines(file: Path) -> Iterator[tuple[int, str]]:
    with _opened(file) as lines:
        for number, line in enumerate(lines, start=1):
            yield number, line.decode("utf-8", "replace")


def _of_csv(file: Path) -> Iterator[tuple[int, str]]:
    csv.field_size_limit(sys.maxsize)
    with _opened(file) as lines:
        text = io.TextIOWrapper(lines, encoding="utf-8", errors="replace", newline="")
        try:
            for number, row in enumerate(csv.reader(text), start=1):
                yield number, "\n".join(row)
        except csv.Error as error:
            raise DataError(f"{file}: not CSV ({error})") from error


def _of_parquet(file: Path) -> Iterator[tuple[int, str]]:
    import pyarrow.lib
    import pyarrow.parquet

    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                number += 1
                yield number, _strings(row)
    except pyarrow.lib.ArrowException as error:
        raise DataError(f"{file}: not a Parquet file ({error})") from error


def _strings(value: Any) -> str:
    """Return every string of a row, one below the other."""
    if isinstance(value, str):
        return value
    found: list[str] = []
    _collect(value, found)
    return "\n".join(found)


def _collect(value: Any, found: list[str]) -> None:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict | list):
            _collect(item, found)
