"""Finds the processes of this machine that a test wants to disturb."""

from __future__ import annotations

import os
from pathlib import Path


def runner_pids() -> list[int]:
    """The runners of this process's local slots: children of its children."""
    found: list[int] = []
    for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in child.read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"marshal.loads" in command:
                of_child = Path(f"/proc/{pid}/task/{pid}/children").read_text()
                found += map(int, of_child.split())
    return found
