"""What the functions of the office share: finding rows, and showing them a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from cascade.envs.toolworld import Row, Tables, ToolError
from cascade.envs.workplace.office import Employee

__all__ = ["PAGE", "find", "known_address", "page_of"]

PAGE = 10
R = TypeVar("R", bound=Row)


def find(tables: Tables, kind: type[R], row_id: str) -> R:
    """Return the row of that id.

    Raises:
        ToolError: there is none.
    """
    row = tables.table(kind).get(row_id)
    if row is None:
        raise ToolError(f"there is no {kind.__name__.lower()} with the id {row_id[:40]!r}")
    return row


def page_of(rows: Iterable[Row], page: int, key: str, *, newest_first: bool) -> dict[str, Any]:
    """Return a page of rows as data, with the number of all."""
    ordered = sorted(rows, key=lambda row: (getattr(row, key), row.id), reverse=newest_first)
    if page < 1:
        raise ToolError("pages are counted from 1")
    shown = ordered[(page - 1) * PAGE : page * PAGE]
    return {"total": len(ordered), "page": page, "rows": [r.data() for r in shown]}


def known_address(tables: Tables, address: str) -> str:
    """Return the address in lower case.

    Raises:
        ToolError: nobody in the company has it.
    """
    for person in tables.table(Employee).values():
        if person.email == address.lower():
            return person.email
    raise ToolError(f"nobody in the company has the address {address[:60]!r}")
