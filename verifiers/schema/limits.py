"""What a document may cost, and the error that says where one is broken."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "DocumentError", "Limits", "Undecided"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a response can make the verifier do; beyond them a document is WRONG."""

    max_chars: int = 1_000_000
    """Characters of the document."""
    max_depth: int = 64
    """Levels of nested arrays and objects."""
    max_nodes: int = 200_000
    """Values in a document after its YAML aliases are expanded, and XML elements."""
    max_aliases: int = 100
    """YAML aliases (`*name`) in one document."""
    max_steps: int = 200_000
    """Branches (`anyOf`, `$ref`, …) tried for one document; more than that is a FAULT."""
    pattern_seconds: float = 0.25
    """Time for one match of a schema's `pattern`; more than that is a FAULT."""


DEFAULT_LIMITS = Limits()


class DocumentError(ValueError):
    """A text is not one document of its format; the message says why and, if known, where."""

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        where = "" if line is None else f"line {line}"
        if line is not None and column is not None:
            where += f", column {column}"
        super().__init__(f"{where}: {problem}" if where else problem)

    def __reduce__(self) -> tuple[type[DocumentError], tuple[str, int | None, int | None]]:
        """Pickle by the three facts, so that a worker process can hand the error over."""
        return (DocumentError, (self.problem, self.line, self.column))


class Undecided(Exception):
    """Checking a document would take more work than the limits allow: a FAULT, not a verdict."""
