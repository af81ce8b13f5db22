"""SEARCH/REPLACE blocks: found in an answer, applied to files, or refused with the reason.

::

    src/shape.py
    <<<<<<< SEARCH
        return width + height
    =======
        return width * height
    >>>>>>> REPLACE

The form is that of Agentless and of the SWE stage of Nemotron-Cascade (arXiv 2512.13607, section
4.7). Nothing is guessed: the SEARCH lines must stand in the file exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["Edit", "EditError", "apply_edits", "find_edits", "render_edit"]

_SEARCH, _DIVIDER, _REPLACE = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"


class EditError(ValueError):
    """An edit that cannot be read or applied: the answer is wrong, and no test is run."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement of whole lines."""

    path: str | None
    """None: the block named no file."""
    search: tuple[str, ...]
    replace: tuple[str, ...]


def find_edits(response: str) -> list[Edit]:
    """Return the blocks behind the reasoning, in order; none if there is none.

    Raises:
        EditError: a block has no divider or no end.
    """
    text = strip_reasoning(response)
    if text is None:
        return []
    edits: list[Edit] = []
    lines = text.replace("\r\n", "\n").split("\n")
    k, last = 0, 0
    while k < len(lines):
        if lines[k].rstrip() != _SEARCH:
            k += 1
            continue
        middle = _index_of(_DIVIDER, lines, k + 1)
        end = _index_of(_REPLACE, lines, middle + 1)
        path = _path_before(lines[last:k])
        edits.append(Edit(path, tuple(lines[k + 1 : middle]), tuple(lines[middle + 1 : end])))
        k = last = end + 1
    return edits


def apply_edits(files: Mapping[str, str], edits: Sequence[Edit]) -> dict[str, str]:
    """Return the files with all edits applied, one after the other.

    A block that names no file means the only file there is.

    Raises:
        EditError: no edits, an unknown file, lines that are not there or there more than once, or
            files that end up as they were.
    """
    if not edits:
        raise EditError("no SEARCH/REPLACE block")
    changed = dict(files)
    for number, edit in enumerate(edits, start=1):
        path = edit.path
        if path is None and len(files) == 1:
            path = next(iter(files))
        if path not in changed:
            raise EditError(f"block {number} edits {path!r}, which is not one of the files")
        changed[path] = _replaced(changed[path], edit, f"block {number} of {path}")
    if changed == dict(files):
        raise EditError("the edits leave the files as they were")
    return changed


def render_edit(edit: Edit) -> str:
    """Write a block as `find_edits` reads it."""
    head = [] if edit.path is None else [edit.path]
    return "\n".join([*head, _SEARCH, *edit.search, _DIVIDER, *edit.replace, _REPLACE])


def _replaced(text: str, edit: Edit, what: str) -> str:
    if not any(line.strip() for line in edit.search):
        raise EditError(f"{what} searches for nothing")
    lines = text.split("\n")
    size = len(edit.search)
    places = [k for k in range(len(lines) - size + 1) if tuple(lines[k : k + size]) == edit.search]
    if len(places) != 1:
        found = "do not occur" if not places else f"occur {len(places)} times"
        raise EditError(f"the lines that {what} searches for {found} in the file")
    lines[places[0] : places[0] + size] = edit.replace
    return "\n".join(lines)


def _index_of(mark: str, lines: Sequence[str], start: int) -> int:
    for k in range(start, len(lines)):
        if lines[k].rstrip() == mark:
            return k
    raise EditError(f"a SEARCH/REPLACE block without its line {mark!r}")


def _path_before(lines: Sequence[str]) -> str | None:
    """Return what the last line before a block names, decoration and code fences aside."""
    for line in reversed(lines):
        name = line.strip().strip("#*`: ")
        if line.strip().startswith(("```", "~~~")) or not name:
            continue
        return name if " " not in name else None
    return None
