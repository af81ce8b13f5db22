"""Memory that idle slots of this process take, as the kernel accounts for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cascade.sandboxes.docker import LABEL, connect

__all__ = ["idle_megabytes"]


def idle_megabytes(kind: str) -> float | None:
    """Proportional memory of one slot of this process, in MB: runner, helpers, Docker's keeper.

    None where this user may not read it, or the engine runs elsewhere.
    """
    children: dict[int, list[int]] = {}
    commands: dict[int, bytes] = {}
    for pid in _processes():
        try:
            commands[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(pid)
    if kind == "local":
        roots = [p for p in children.get(os.getpid(), []) if b"marshal.loads" in commands[p]]
    else:
        marks = [ident.encode() for ident in _own_containers()]
        roots = [
            pid for pid, command in commands.items()
            if b"-shim" in command and any(mark in command for mark in marks)
        ]  # fmt: skip
    try:
        total = sum(_kilobytes(pid) for root in roots for pid in _tree(root, children))
    except OSError:
        return None
    return total / 1024 / len(roots) if roots else None


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _tree(root: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield root
    for child in children.get(root, []):
        yield from _tree(child, children)


def _kilobytes(pid: int) -> int:
    """Proportional set size: shared pages are divided among those who share them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(row for row in text.splitlines() if row.startswith("Pss:")).split()[1])


def _own_containers() -> list[str]:
    client = connect()
    try:
        found = client.api.containers(filters={"label": LABEL})
        return [c["Id"] for c in found if f"/{os.getpid()}/" in c["Labels"][LABEL]]
    finally:
        client.close()
