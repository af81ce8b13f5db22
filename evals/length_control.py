r"""Length-controlled win rates, as AlpacaEval 2 reports them.

The chance that the model wins on an instruction is modelled as

    logit p = θ + φ · tanh((length of the model's answer - the baseline's) / σ) + ψ · difficulty

with σ the standard deviation of the differences. The length-controlled win rate is the mean chance
with the term of length left out: what the model would win with answers as long as the baseline's.
Source: Dubois et al. 2024, arXiv:2404.04475, section 3. There, difficulties of the instructions are
fitted beforehand on many models and φ is regularised by cross-validation; here difficulties may be
given, and the ridge is a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cascade.errors import DataError
from cascade.evals import ratings

__all__ = ["Controlled", "length_controlled"]


@dataclass(frozen=True, slots=True)
class Controlled:
    """Win rates in points."""

    win_rate: float
    """Mean preference."""
    controlled: float
    """With the effect of length left out."""
    length_effect: float
    """φ, nats: above 0 the judge likes longer answers."""
    standard_error: float
    """Of the controlled win rate over draws of the instructions."""


def length_controlled(
    preferences: Sequence[float],
    lengths: Sequence[int],
    baseline_lengths: Sequence[int],
    difficulties: Sequence[float] | None = None,
    *,
    ridge: float = 1.0,
    rounds: int = 100,
    seed: int = 0,
) -> Controlled:
    """Control the win rate of one model for the length of its answers.

    Args:
        preferences: the judge's preference for the model on each instruction, 0 to 1.
        lengths: of its answers, characters or tokens.
        baseline_lengths: of the baseline's answers.
        difficulties: of the instructions, in any unit.
        ridge: λ of the penalty λ/2 · φ² (and ψ²).
        rounds: draws of the instructions for the standard error.
        seed: of these draws.

    Raises:
        DataError: lists of different lengths, none at all, or a preference outside [0, 1].
    """
    count = len(preferences)
    lists = [lengths, baseline_lengths, *([] if difficulties is None else [difficulties])]
    if not count or any(len(given) != count for given in lists):
        sizes = [count, *map(len, lists)]
        raise DataError(f"one preference and two lengths an instruction are needed, got {sizes}")
    gap_N = np.asarray(lengths, float) - np.asarray(baseline_lengths, float)
    spread = gap_N.std()
    columns = [np.tanh(gap_N / spread) if spread > 0 else np.zeros(count)]
    if difficulties is not None:
        columns.append(np.asarray(difficulties, float))
    style_NK = np.stack(columns, axis=1)
    value, effect = _fitted(np.asarray(preferences, float), style_NK, ridge)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(rounds):
        drawn = rng.integers(count, size=count)
        draws.append(_fitted(np.asarray(preferences, float)[drawn], style_NK[drawn], ridge)[0])
    return Controlled(
        100.0 * float(np.mean(preferences)), 100.0 * value, effect,
        100.0 * float(np.std(draws, ddof=1)) if rounds > 1 else 0.0,
    )  # fmt: skip


def _fitted(
    preference_N: ratings.Floats, style_NK: ratings.Floats, ridge: float
) -> tuple[float, float]:
    """Return the controlled win rate in [0, 1], and the effect of length."""
    count = len(preference_N)
    zero_N = np.zeros(count, np.int64)
    battles = ratings.Battles(
        ("model", "baseline"), zero_N, zero_N + 1, preference_N, np.ones(count),
        np.arange(count), style_NK,
    )  # fmt: skip
    found = ratings.fit(battles, style_ridge=ridge)
    odds_N = found.strength_M[0] - found.strength_M[1] + style_NK[:, 1:] @ found.effect_K[1:]
    return float(np.mean(1.0 / (1.0 + np.exp(-odds_N)))), float(found.effect_K[0])
