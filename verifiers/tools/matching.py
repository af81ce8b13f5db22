"""Pairs predicted calls with expected ones, as many as can be."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["longest_common_order", "maximum_matching"]

Fits = Callable[[int, int], bool]


def maximum_matching(rows: int, columns: int, fits: Fits) -> dict[int, int]:
    """Return row -> column of a largest matching (augmenting paths; Kuhn 1955, Berge 1957).

    Greedy pairing is not enough: a call that fits two expected ones may have to be given to the
    second, so that another can have the first.
    """
    edges = [[column for column in range(columns) if fits(row, column)] for row in range(rows)]
    row_of: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column in edges[row]:
            if column in tried:
                continue
            tried.add(column)
            if column not in row_of or place(row_of[column], tried):
                row_of[column] = row
                return True
        return False

    for row in range(rows):
        place(row, set())
    return {row: column for column, row in row_of.items()}


def longest_common_order(rows: int, columns: int, fits: Fits) -> dict[int, int]:
    """Return row -> column of a largest matching that keeps the order of both sides."""
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    pairs = [[fits(row, column) for column in range(columns)] for row in range(rows)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            skip = max(best[row + 1][column], best[row][column + 1])
            take = best[row + 1][column + 1] + 1 if pairs[row][column] else 0
            best[row][column] = max(skip, take)
    matched: dict[int, int] = {}
    row = column = 0
    while row < rows and column < columns:
        if pairs[row][column] and best[row][column] == best[row + 1][column + 1] + 1:
            matched[row] = column
            row, column = row + 1, column + 1
        elif best[row + 1][column] >= best[row][column + 1]:
            row += 1
        else:
            column += 1
    return matched
