"""Arena-Hard's score: the share of weighted games that a model wins against the baseline.

Every model meets the baseline alone, so the Bradley-Terry fit has this closed form; the fit itself,
with control of style, is in `cascade.evals.arena_board`. The bar draws questions again, not games.
"""

from __future__ import annotations

from cascade.evals.setmetrics import Problems, SetMetric
from cascade.evals.task import JudgeProtocol
from cascade.types import SamplingParams

__all__ = ["GPT_4_1", "WIN_RATE", "win_rate"]


def win_rate(problems: Problems) -> float:
    """Return the weighted wins over the weighted games, in points."""
    parts = [record.parts for samples in problems for record in samples if record.parts]
    games = sum(part["games"] for part in parts)
    lost = sum(not record.parts for samples in problems for record in samples)
    # No answer to a question loses both of its games, each by the weight of a clear verdict.
    games += lost * _CLEAR_GAMES
    return 100.0 * sum(part["won"] for part in parts) / games


_CLEAR_GAMES = 6.0

WIN_RATE = SetMetric(
    "win rate",
    "weighted wins over weighted games against the baseline, ties half; >> counts 3; a question "
    "without an answer loses both games clearly",
    win_rate,
)

GPT_4_1 = JudgeProtocol(
    "gpt-4.1",
    SamplingParams(temperature=0.0, max_tokens=16_000, seed=0),
    "lmarena/arena-hard-auto at 196f6b8, config/arena-hard-v2.0.yaml",
)
