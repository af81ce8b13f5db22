"""The state of a world: tables of frozen rows, cheap to copy, comparable up to wording."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, cast

__all__ = ["Row", "Tables"]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; subclasses add their columns."""

    wording: ClassVar[frozenset[str]] = frozenset()
    """Columns of free text, compared without case and runs of blanks."""
    prefix: ClassVar[str] = "r"
    """What the ids of the table begin with."""

    id: str

    def data(self) -> dict[str, Any]:
        """The row as JSON data."""
        return {name: getattr(self, name) for name in _columns(type(self))}


_known_columns: dict[type[Row], tuple[str, ...]] = {}


def _columns(kind: type[Row]) -> tuple[str, ...]:
    if kind not in _known_columns:
        _known_columns[kind] = tuple(field.name for field in dataclasses.fields(kind))
    return _known_columns[kind]


R = TypeVar("R", bound=Row)


class Tables:
    """Tables by row type. Rows are immutable, so a copy shares them all.

    Args:
        rows: the rows to start with; their ids must differ within a table.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._tables: dict[type[Row], dict[str, Row]] = {}
        for row in rows:
            self._tables.setdefault(type(row), {})[row.id] = row
        self._start: Mapping[type[Row], Mapping[str, Row]] = dict(self._tables)
        self._next = {kind: len(table) + 1 for kind, table in self._tables.items()}
        self._own: set[type[Row]] = set()

    def copy(self) -> Self:
        """Return an independent copy. It takes time in the number of tables, not of rows."""
        made = type(self).__new__(type(self))
        made._start = self._start
        made._next = dict(self._next)
        # From now on neither may write a table without copying it first.
        made._tables = dict(self._tables)
        made._own, self._own = set(), set()
        return made

    def table(self, kind: type[R]) -> Mapping[str, R]:
        """The rows of one type by id, in the order of their making. Not to be written to."""
        return cast("Mapping[str, R]", self._tables.get(kind, {}))

    def _writable(self, kind: type[Row]) -> dict[str, Row]:
        if kind not in self._own:
            self._tables[kind] = dict(self._tables.get(kind, {}))
            self._own.add(kind)
        return self._tables[kind]

    def new_id(self, kind: type[Row]) -> str:
        """The id of the next row of a type: by count, so that equal episodes make equal ids."""
        number = self._next.get(kind, 1)
        self._next[kind] = number + 1
        return f"{kind.prefix}{number:04}"

    def put(self, row: Row) -> None:
        """Add a row, or replace the one with its id."""
        self._writable(type(row))[row.id] = row

    def remove(self, row: Row) -> None:
        """Remove a row."""
        del self._writable(type(row))[row.id]

    def difference(self, other: Tables) -> str | None:
        """Return None if both hold the same, else one line about the first difference.

        Rows from before the episode are compared by id; rows made in it as a multiset without
        their ids, since these only tell in which order they were made.
        """
        for kind in sorted({*self._tables, *other._tables}, key=lambda k: k.__name__):
            mine, theirs = self.table(kind), other.table(kind)
            if mine is theirs:
                continue
            start = self._start.get(kind, {})
            for row_id in start:
                own, other_row = mine.get(row_id), theirs.get(row_id)
                if own is not other_row and _content(own) != _content(other_row):
                    return f"{kind.__name__} {row_id} is {_shown(own)}"
            made = Counter(_content(row) for key, row in mine.items() if key not in start)
            wanted = Counter(_content(row) for key, row in theirs.items() if key not in start)
            for content in made - wanted:
                return f"a new {kind.__name__} is not expected: {_text(content)}"
            for content in wanted - made:
                return f"a new {kind.__name__} is missing: {_text(content)}"
        return None


def _content(row: Row | None) -> tuple[tuple[str, Any], ...] | None:
    if row is None:
        return None
    return tuple(
        (name, _comparable(getattr(row, name), loose=name in row.wording))
        for name in _columns(type(row))
        if name != "id"
    )


def _comparable(value: Any, *, loose: bool) -> Any:
    return " ".join(value.split()).casefold() if loose and isinstance(value, str) else value


def _shown(row: Row | None) -> str:
    return "missing" if row is None else f"not as expected: {_text(_content(row))}"


def _text(content: tuple[tuple[str, Any], ...] | None) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in content or ())[:200]
