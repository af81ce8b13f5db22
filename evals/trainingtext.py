"""Texts of training files, streamed: JSONL, CSV, Parquet, JSON and plain text, whatever the fields.

A row's text is every string in it (`text`, `prompt`, the contents of `messages`, …), in order.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from cascade.envs.rows import read_rows
from cascade.errors import DataError, DataNotFoundError
from cascade.evals.ngrams import normalised, normalised_bytes, normalised_jsonl

__all__ = ["Batch", "batches"]

_BATCH_BYTES = 1_000_000
"""Small enough for the arrays of its words to stay in a processor's cache."""
_CSV_BLOCK_BYTES = 32_000_000
"""A row must fit into it."""


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
            yield from _of_parquet(file)
        elif name.endswith(".csv"):
            yield from _of_csv(file)
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


def _of_csv(file: Path) -> Iterator[Batch]:
    """Read every cell as text; the first row counts, since it may be no header."""
    import pyarrow
    import pyarrow.csv

    with io.TextIOWrapper(_opened(file), "utf-8", "replace", newline="") as lines:
        first = next(csv.reader(lines), [])
    if not first:
        return
    cells = {f"f{i}": pyarrow.string() for i in range(len(first))}
    try:
        reader = pyarrow.csv.open_csv(
            pyarrow.input_stream(str(file), compression="detect"),
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=_CSV_BLOCK_BYTES, autogenerate_column_names=True
            ),
            pyarrow.csv.ParseOptions(newlines_in_values=True),
            pyarrow.csv.ConvertOptions(column_types=cells),
        )
        yield from _of_arrow(file, reader)
    except pyarrow.lib.ArrowException as error:
        raise DataError(f"{file}: not CSV ({error})") from error


def _of_parquet(file: Path) -> Iterator[Batch]:
    import pyarrow.lib
    import pyarrow.parquet

    try:
        reader = pyarrow.parquet.ParquetFile(file)
        yield from _of_arrow(file, reader.iter_batches(batch_size=4096, use_threads=False))
    except pyarrow.lib.ArrowException as error:
        raise DataError(f"{file}: not a Parquet file ({error})") from error


def _of_arrow(file: Path, tables: Iterable[Any]) -> Iterator[Batch]:
    """Join the strings of each row in Arrow, a megabyte at a time."""
    first = 1
    for table in tables:
        step = max(1, table.num_rows * _BATCH_BYTES // max(1, table.nbytes))
        for start in range(0, table.num_rows, step):
            part = table.slice(start, step)
            text = _joined(part)
            rows = range(first, first + part.num_rows)
            yield Batch(str(file), rows, normalised_bytes(text), len(text))
            first += part.num_rows


def _joined(table: Any) -> bytes:
    """Return the texts of all rows, each followed by a separator between spaces."""
    import pyarrow
    import pyarrow.compute as compute

    columns = [text for column in table.columns for text in _texts_of(column)]
    if not columns:
        return b" \x01 " * int(table.num_rows)
    replaced = {"null_handling": "replace", "null_replacement": ""}
    text = compute.binary_join_element_wise(*columns, "\n", **replaced)
    if compute.any(compute.match_substring(text, "\x01")).as_py():
        text = compute.replace_substring(text, "\x01", " ")
    ended = compute.binary_join_element_wise(text, "", " \x01 ")
    _, offsets, data = ended.buffers()
    size = np.frombuffer(offsets, np.int32)[len(ended)]
    return bytes(pyarrow.py_buffer(data)[: int(size)])


def _texts_of(column: Any) -> Iterator[Any]:
    """Yield Arrow arrays with one text a row, for each string that the rows of a column hold.

    Strings, lists of strings and lists of objects with strings (messages) are joined by Arrow;
    whatever is nested deeper goes through Python.
    """
    import pyarrow
    import pyarrow.compute as compute

    types, kind = pyarrow.types, column.type
    if types.is_large_string(kind):
        yield column.cast(pyarrow.string())
    elif types.is_string(kind):
        yield column
    elif types.is_list(kind) and types.is_string(kind.value_type):
        yield _one_a_row(column.offsets, column.values)
    elif types.is_list(kind) and types.is_struct(kind.value_type) and _is_flat(kind.value_type):
        for field in range(kind.value_type.num_fields):
            if types.is_string(kind.value_type[field].type):
                yield _one_a_row(column.offsets, compute.struct_field(column.values, [field]))
    elif types.is_nested(kind) or types.is_dictionary(kind):
        texts = [_strings([value]) for value in column.to_pylist()]
        yield pyarrow.array(texts, pyarrow.string())


def _is_flat(struct: Any) -> bool:
    import pyarrow.types as types

    return not any(types.is_nested(field.type) for field in struct)


def _one_a_row(offsets: Any, texts: Any) -> Any:
    import pyarrow
    import pyarrow.compute as compute

    lists = pyarrow.ListArray.from_arrays(offsets, compute.fill_null(texts, ""))
    return compute.binary_join(lists, "\n")


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
