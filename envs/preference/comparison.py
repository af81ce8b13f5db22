"""Two responses compared: what a judge says, who meets whom, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cascade.errors import ConfigError, ContractError
from cascade.types import Conversation

__all__ = [
    "Comparison",
    "Match",
    "PairJudge",
    "Schedule",
    "all_pairs",
    "all_pairs_twice",
    "base_scores",
    "both_positions",
    "circular",
]

Match = tuple[int, int]
"""Indices of the response shown first and of the one shown second."""
Schedule = Callable[[int], list[Match]]
"""Number of responses -> the matches to judge."""

_MIDDLE = 3.5


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a generative reward model says of two responses, as HelpSteer3's does.

    Raises:
        ContractError: a number outside its range; parsers of replies check before.
    """

    first: float
    """Helpfulness of the response shown first, 1 (not at all) to 5."""
    second: float
    """Of the one shown second."""
    ranking: int
    """1: the first is far better … 6: the second is far better."""

    def __post_init__(self) -> None:
        """Refuse what is not on the scales."""
        on_scale = all(1 <= score <= 5 for score in (self.first, self.second))
        if not (on_scale and 1 <= self.ranking <= 6):
            raise ContractError(
                f"a comparison needs scores from 1 to 5 and a ranking from 1 to 6, got {self}"
            )

    @property
    def points(self) -> tuple[float, float]:
        """What the match gives to the two; where the scores tie, the ranking decides.

        ``s_i += 3.5 - s_r``, ``s_j += s_r - 3.5`` on a tie (Nemotron 3 Nano report, section 3.3).
        """
        if self.first != self.second:
            return self.first, self.second
        margin = _MIDDLE - self.ranking
        return self.first + margin, self.second - margin


class PairJudge(Protocol):
    """Compares two responses to one request."""

    async def compare(
        self, conversation: Conversation, first: str, second: str
    ) -> Comparison | str:
        """Return the comparison, or in one line why the judge failed: that is no one's loss.

        Args:
            conversation: history and request.
            first: the answer (without reasoning) that is shown first.
            second: the one that is shown second.

        Raises:
            ConfigError: the judge will never accept such a request.
        """
        ...


def all_pairs(count: int) -> list[Match]:
    """Everybody meets everybody once (120 matches for 16; Nemotron-Cascade 2, section 4.5)."""
    return [(i, j) for i in range(count) for j in range(i + 1, count)]


def circular(count: int) -> list[Match]:
    """Each meets the next, the last meets the first (Nemotron 3 Nano, section 3.3)."""
    return [(i, (i + 1) % count) for i in range(count)] if count > 2 else all_pairs(count)


def both_positions(schedule: Schedule) -> Schedule:
    """Play each match of `schedule` twice, the second time in the other order."""
    return lambda count: [match for i, j in schedule(count) for match in ((i, j), (j, i))]


all_pairs_twice = both_positions(all_pairs)
"""Everybody meets everybody in both orders."""


def base_scores(
    count: int, comparisons: Mapping[Match, Comparison | str]
) -> tuple[list[float | None], int]:
    """Return each response's mean points over its matches, and how many matches were not judged.

    A pair of which one order failed is left out in both, or the place it stood in would decide. A
    response without any judged match has no score.
    """
    failed = {frozenset(match) for match, said in comparisons.items() if isinstance(said, str)}
    points: list[list[float]] = [[] for _ in range(count)]
    for (i, j), said in comparisons.items():
        if isinstance(said, Comparison) and frozenset((i, j)) not in failed:
            for place, gained in zip((i, j), said.points, strict=True):
                points[place].append(gained)
    missing = sum(isinstance(said, str) for said in comparisons.values())
    return [sum(own) / len(own) if own else None for own in points], missing


def checked_matches(matches: Sequence[Match], count: int) -> list[Match]:
    """Return `matches` without doubles.

    Raises:
        ConfigError: a match names a response that is not there, or one against itself.
    """
    for i, j in matches:
        if i == j or not (0 <= i < count and 0 <= j < count):
            raise ConfigError(f"a schedule of {count} responses made the match {(i, j)!r}")
    return list(dict.fromkeys(matches))
