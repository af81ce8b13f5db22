"""Exit codes of `cascade-eval`."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """What the shell is told."""

    RAN = 0
    COULD_NOT_RUN = 2
    """Wrong usage, or a setting, data or engine with which nothing can run."""
    FAULTS = 3
    """Ran, but samples are faulty or missing, or a limit was exceeded."""
    INTERRUPTED = 130
