"""What stored outputs are read into, whatever form they are in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.envs.rows import Row, read_rows
from cascade.errors import DataError
from cascade.types import Message, Verdict

__all__ = ["Format", "Output", "Reader", "field_of"]


@dataclass(frozen=True, slots=True)
class Output:
    """One stored sample."""

    id: str
    """Id of the problem; for formats that name problems by their prompt, the prompt."""
    response: str | None
    """What is judged; None: nothing to judge was found in it."""
    sample: int | None = None
    """Its number, where the row states one; else rows of the same id are counted."""
    gold: Any = None
    """The reference, where the row carries one."""
    published: float | None = None
    """The publisher's own verdict: 1 right, 0 wrong."""
    truncated: bool = False
    empty: bool = False
    fault: str | None = None
    """Why there is no response to judge: the engine had failed."""
    task: str | None = None
    """Name of the task it belongs to, where the row says so."""
    num_tokens: int = 0
    verdict: Verdict | None = None
    """The publisher's verdict, where it is counted and not judged anew."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of the problem, where the row brings it: conditions (`--where`) can then choose."""
    messages: tuple[Message, ...] = ()
    """The whole conversation, for environments that judge more than the last message."""


Reader = Callable[[Row, int, str], Iterator[Output]]
"""Called with a row, its number from 0, and the format's argument ("" if none was given)."""


@dataclass(frozen=True, slots=True)
class Format:
    """How to read one kind of file."""

    name: str
    description: str
    read: Reader
    is_answer: bool = False
    """The outputs are answers already, not responses to look for an answer in."""
    is_by_prompt: bool = False
    """Problems are named by their prompt."""
    has_gold: bool = False
    """Rows carry what they were judged by, which goes before the task's own references."""
    load: Callable[[Path], list[Row]] = read_rows
    """Reads a file's rows, where that is no list of objects."""


def field_of(row: Row, name: str) -> Any:
    """Return a field of a row.

    Raises:
        DataError: it is missing; the row's fields are named.
    """
    if row.get(name) is None:
        raise DataError(f"field {name!r} is missing; the row has {', '.join(sorted(row))}")
    return row[name]
