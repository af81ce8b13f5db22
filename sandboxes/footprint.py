"""What the slots of this process take of the machine, as the kernel accounts for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cascade.sandboxes.docker import LABEL, connect

__all__ = ["idle_megabytes", "processor_seconds"]


def idle_megabytes(kind: str) -> float | None:
    """Proportional memory of one slot of this process, in MB: runner, helpers, Docker's keeper.

    None where this user may not read it, or the engine runs elsewhere.
    """
    slots = _slots(kind)
    try:
        total = sum(_kilobytes(pid) for slot in slots for pid in slot)
    except OSError:
        return None
    return total / 1024 / len(slots) if slots else None


def processor_seconds(kind: str) -> float:
    """Processor time of all slots of this process so far, with the programs that have ended."""
    ticks = 0
    for slot in _slots(kind):
        for pid in slot:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _slots(kind: str) -> list[list[int]]:
    """The processes of each slot: those of a container, or of a runner on this machine."""
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
    return [list(_tree(root, children)) for root in roots]


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
