"""TOML and CSV as JSON data.

TOML: dates and times become their RFC 3339 text, as JSON has no such type; `inf` and `nan` are
refused. CSV (RFC 4180, commas): the first row names the columns, each further row is an object of
strings, and the document is the array of rows. The schema decides later what the strings mean.
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
import tomllib
from typing import Any

from cascade.verifiers.schema.limits import DocumentError, Limits

__all__ = ["parse_csv", "parse_toml"]

# Every alternative that opens something also ends at the end of the text, so that no part is
# scanned twice.
_TOML_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*(?:""")?'
    r"|'''(?:[^']|'(?!''))*(?:''')?"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"?'
    r"|'[^'\n]*'?|#[^\n]*|[\[\]{}.=,\n]",
    re.DOTALL,
)
_TOML_PLACE = re.compile(r"^(.*?)\s*\(at line (\d+), column (\d+)\)$")


def parse_toml(text: str, limits: Limits) -> Any:
    """Return the document's table.

    Raises:
        DocumentError: not TOML 1.0, or a value that JSON cannot express.
    """
    _check_nesting(text, limits.max_depth)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.match(str(error))
        if place is None:
            raise DocumentError(str(error)) from None
        raise DocumentError(place[1], int(place[2]), int(place[3])) from None
    except ValueError:
        raise DocumentError("a number has too many digits, or a date does not exist") from None
    except RecursionError:
        raise DocumentError(f"nested deeper than {limits.max_depth} levels") from None
    return _json_data(table, limits.max_depth)


def _check_nesting(text: str, max_depth: int) -> None:
    """Refuse deep brackets, which tomllib recurses into, and long dotted keys, quadratic there."""
    if text.count("[") + text.count("{") + text.count(".") <= max_depth:
        return
    depth = dots = 0
    for match in _TOML_TOKEN.finditer(text):
        token = match.group()
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth = max(0, depth - 1)
        dots = dots + 1 if token == "." else 0 if token in ("=", ",", "\n", "[", "{") else dots
        if depth > max_depth or dots > max_depth:
            line = text.count("\n", 0, match.start()) + 1
            raise DocumentError(f"nested deeper than {max_depth} levels", line)


def _json_data(value: Any, depth: int) -> Any:
    if isinstance(value, (dict, list)):
        if depth == 0:
            raise DocumentError("nested too deep")
        if isinstance(value, dict):
            return {key: _json_data(item, depth - 1) for key, item in value.items()}
        return [_json_data(item, depth - 1) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"{value} is not a JSON number")
    return value


def parse_csv(text: str, limits: Limits) -> list[dict[str, str]]:
    """Return the rows below the header, each as an object of strings.

    Raises:
        DocumentError: broken quoting, a column named twice or not at all, or a row with too few
            or too many cells.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header or not all(header):
            raise DocumentError("the first row must name every column", 1)
        if len(set(header)) < len(header):
            twice = next(name for i, name in enumerate(header) if name in header[:i])
            raise DocumentError(f"duplicate column {twice[:80]!r}", 1)
        rows = []
        cells = 0
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                problem = f"{len(row)} cells under {len(header)} column names"
                raise DocumentError(problem, reader.line_num)
            cells += len(row)
            if cells > limits.max_nodes:
                raise DocumentError(f"more than {limits.max_nodes} cells", reader.line_num)
            rows.append(dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise DocumentError(str(error), reader.line_num) from None
    if not rows:
        # One line of any prose is a header: without this, it would be an empty table.
        raise DocumentError("no row below the header")
    return rows
