"""A data base of JSON documents that many episodes share and each may change for itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Document", "Documents"]

Document = dict[str, Any]


class Documents:
    """Tables of documents by id. What is read is shared; what is edited is copied first.

    Args:
        tables: table -> id -> document; never written to.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, Document]]) -> None:
        self._base = tables
        self._own: dict[str, dict[str, Document]] = {name: {} for name in tables}

    def copy(self) -> Documents:
        """Return an independent copy; its cost is that of what has been edited."""
        made = Documents(self._base)
        made._own = copy.deepcopy(self._own)
        return made

    def find(self, table: str, key: str) -> Document | None:
        """Return a document to read, or None."""
        own = self._own[table].get(key)
        return own if own is not None else self._base[table].get(key)

    def edit(self, table: str, key: str) -> Document:
        """Return a document that may be changed in place.

        Raises:
            KeyError: there is none of that id.
        """
        own = self._own[table]
        if key not in own:
            own[key] = copy.deepcopy(self._base[table][key])
        return own[key]

    def add(self, table: str, key: str, document: Document) -> None:
        """Put a new document into a table."""
        self._own[table][key] = document

    def all(self, table: str) -> Iterator[Document]:
        """Yield the documents of a table, new ones last."""
        own = self._own[table]
        yield from (own.get(key, document) for key, document in self._base[table].items())
        yield from (document for key, document in own.items() if key not in self._base[table])

    def difference(self, other: Documents) -> str | None:
        """Return None if both hold the same, else one line about the first difference."""
        for table in self._own:
            for key in sorted({*self._own[table], *other._own[table]}):
                mine, theirs = self.find(table, key), other.find(table, key)
                if mine != theirs:
                    return f"{table} {key}: {_first_difference(mine, theirs)}"
        return None


def _first_difference(mine: Document | None, theirs: Document | None) -> str:
    if mine is None or theirs is None:
        return "is missing" if mine is None else "is not expected"
    field = next(k for k in {**mine, **theirs} if mine.get(k) != theirs.get(k))
    return f"{field} is {str(mine.get(field))[:100]}, not {str(theirs.get(field))[:100]}"
