r"""Ratings from battles: Bradley-Terry strengths, with the style of the answers as covariates.

The model is logistic: the first model of battle n wins with the log-odds

    z_n = θ[first_n] - θ[second_n] + x_n · φ

where x_n are differences of style between the two answers (length, headings, …) and φ their effects
(Bradley and Terry 1952; Li et al. 2024, "Does style matter?", lmarena). Win rates against a
baseline leave φ out: what the model would win if both answers had one style.

Bars draw the *questions* again, not the battles: the two games of a question, and the copies that a
strong verdict counts for, are not independent.

Legend of shapes: N battles, M models, K covariates, R rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cascade.errors import ConfigError, DataError

__all__ = ["Battles", "Fit", "bootstrap_win_rates", "fit", "standardised", "win_rates"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_RIDGE = 1e-6
"""Keeps the strengths' level, and those of models that never win, finite: moves no rate by 1e-6."""
_MOST_STEPS = 100
_TOLERANCE = 1e-6
"""Nats. Newton's method doubles the right digits with a step: the last one leaves 1e-12."""


@dataclass(frozen=True)
class Battles:
    """Games between models.

    Raises:
        DataError: arrays of different lengths, no battle, an index out of range, an outcome outside
            [0, 1], or a model that no chain of battles connects with the others.
    """

    models: tuple[str, ...]
    first_N: Ints
    second_N: Ints
    outcome_N: Floats
    """Share of the game that `first` won: 1, 0, or 0.5 for a tie."""
    weight_N: Floats
    """How often the game counts."""
    question_N: Ints
    """Index of the question: games of one question are drawn together."""
    style_NK: Floats | None = None
    """Differences of style, first minus second; None: not controlled."""

    def __post_init__(self) -> None:
        """Refuse what no fit could use."""
        arrays = (self.first_N, self.second_N, self.outcome_N, self.weight_N, self.question_N)
        sizes = {len(array) for array in arrays}
        if self.style_NK is not None:
            sizes.add(len(self.style_NK))
        if len(sizes) != 1 or sizes == {0}:
            raise DataError(f"battles need arrays of one length above 0, got {sorted(sizes)}")
        indices = np.concatenate((self.first_N, self.second_N))
        if indices.min() < 0 or indices.max() >= len(self.models):
            raise DataError(f"a battle names a model outside 0 to {len(self.models) - 1}")
        if not ((self.outcome_N >= 0) & (self.outcome_N <= 1)).all():
            raise DataError("an outcome is not in [0, 1]")
        if apart := self._unconnected():
            raise DataError(
                f"no chain of battles connects {self.models[0]!r} with {', '.join(apart[:5])}: "
                f"their ratings cannot be compared"
            )

    def _unconnected(self) -> list[str]:
        reached = np.zeros(len(self.models), bool)
        reached[0] = True
        while True:
            grown = reached.copy()
            grown[self.second_N[reached[self.first_N]]] = True
            grown[self.first_N[reached[self.second_N]]] = True
            if (grown == reached).all():
                return [m for m, there in zip(self.models, reached, strict=True) if not there]
            reached = grown

    @property
    def num_covariates(self) -> int:
        """K."""
        return 0 if self.style_NK is None else self.style_NK.shape[1]

    @cached_property
    def pair_N(self) -> Ints:
        """Each battle's pair of models as one number."""
        return self.first_N * len(self.models) + self.second_N

    def index(self, model: str) -> int:
        """Return a model's position.

        Raises:
            ConfigError: it fought no battle.
        """
        if model not in self.models:
            raise ConfigError(f"the baseline {model!r} is in no battle")
        return self.models.index(model)


@dataclass(frozen=True)
class Fit:
    """Maximum of the (penalised) likelihood."""

    strength_M: Floats
    """θ, nats; only differences mean anything."""
    effect_K: Floats
    """φ, nats per unit of a covariate."""


def standardised(difference_NK: Floats) -> Floats:
    """Return covariates with mean 0 and standard deviation 1; constant ones become 0."""
    spread_K = difference_NK.std(axis=0)
    centred = difference_NK - difference_NK.mean(axis=0)
    return np.asarray(centred / np.where(spread_K > 0, spread_K, 1.0))


def fit(
    battles: Battles,
    *,
    ridge: float = NO_RIDGE,
    style_ridge: float = NO_RIDGE,
    weight_N: Floats | None = None,
    start: Fit | None = None,
) -> Fit:
    """Fit strengths and effects by Newton's method.

    Args:
        battles: N games.
        ridge: λ of the penalty λ/2 · Σ θ²; the default penalises nothing that can be measured.
        style_ridge: the same for φ.
        weight_N: in place of the battles' own weights.
        start: where to begin.

    Raises:
        DataError: the fit does not converge.
    """
    weight = battles.weight_N if weight_N is None else weight_N
    penalty = np.concatenate(
        (np.full(len(battles.models), ridge), np.full(battles.num_covariates, style_ridge))
    )
    grouped = _grouped(battles, weight)
    at = np.zeros(len(penalty)) if start is None else np.concatenate(_parts(start))
    value, gradient, hessian = grouped.derivatives(at, penalty)
    for _ in range(_MOST_STEPS):
        step = np.linalg.solve(hessian, gradient)
        if np.abs(step).max() < _TOLERANCE:
            break
        size = min(1.0, 5.0 / np.abs(step).max())
        for _ in range(40):
            tried = grouped.derivatives(at - size * step, penalty)
            if tried[0] <= value + 1e-12 * abs(value):
                break
            size /= 2
        at = at - size * step
        value, gradient, hessian = tried
    else:
        raise DataError(f"ratings of {len(battles.models)} models did not converge")
    return Fit(at[: len(battles.models)], at[len(battles.models) :])


def win_rates(strength_M: Floats, baseline: int) -> Floats:
    """Return each model's chance to beat the baseline, in [0, 1]; the baseline's own is 0.5."""
    gap_M = strength_M - strength_M[..., baseline : baseline + 1]
    return np.asarray(1.0 / (1.0 + np.exp(-gap_M)))


def bootstrap_win_rates(
    battles: Battles,
    baseline: int,
    *,
    rounds: int = 100,
    seed: int = 0,
    ridge: float = NO_RIDGE,
    style_ridge: float = NO_RIDGE,
) -> Floats:
    """Draw the questions again and fit anew, `rounds` times.

    Returns:
        rate_RM: win rates against the baseline, which is 0.5 in every round.

    Raises:
        ConfigError: fewer than 1 round.
        DataError: a fit does not converge.
    """
    if rounds < 1:
        raise ConfigError(f"a bootstrap needs 1 round or more, got {rounds!r}")
    rng = np.random.default_rng(seed)
    questions, question_N = np.unique(battles.question_N, return_inverse=True)
    whole = fit(battles, ridge=ridge, style_ridge=style_ridge)
    rates = []
    for _ in range(rounds):
        drawn = rng.integers(len(questions), size=len(questions))
        count_Q = np.bincount(drawn, minlength=len(questions)).astype(float)
        weight_N = battles.weight_N * count_Q[question_N]
        again = fit(battles, ridge=ridge, style_ridge=style_ridge, weight_N=weight_N, start=whole)
        rates.append(win_rates(again.strength_M, baseline))
    return np.array(rates)


def _parts(fitted: Fit) -> Sequence[Floats]:
    return fitted.strength_M, fitted.effect_K


def _grouped(battles: Battles, weight_N: Floats) -> _Pairs | _Games:
    if battles.style_NK is None:
        return _Pairs(battles, weight_N)
    return _Games(battles, weight_N)


Derivatives = tuple[float, Floats, Floats]


class _Pairs:
    """Without covariates, all games of a pair are one game with many outcomes."""

    def __init__(self, battles: Battles, weight_N: Floats) -> None:
        size = len(battles.models)
        total = np.bincount(battles.pair_N, weight_N, size * size)
        won = np.bincount(battles.pair_N, weight_N * battles.outcome_N, size * size)
        pair_P = np.flatnonzero(total)
        self._first_P, self._second_P = pair_P // size, pair_P % size
        self._total_P, self._won_P = total[pair_P], won[pair_P]
        self._size = size

    def derivatives(self, at_M: Floats, penalty_M: Floats) -> Derivatives:
        """Return the negative log-likelihood with its gradient and Hessian."""
        first, second, size = self._first_P, self._second_P, self._size
        z_P = at_M[first] - at_M[second]
        p_P = 1.0 / (1.0 + np.exp(-z_P))
        value = float((self._total_P * np.logaddexp(0, z_P) - self._won_P * z_P).sum())
        rest_P = self._total_P * p_P - self._won_P
        gradient = _scattered(first, rest_P, size) - _scattered(second, rest_P, size)
        hessian = _laplacian(first, second, self._total_P * p_P * (1 - p_P), size)
        return _penalised(value, gradient, hessian, at_M, penalty_M)


class _Games:
    """With covariates, every game has its own odds."""

    def __init__(self, battles: Battles, weight_N: Floats) -> None:
        assert battles.style_NK is not None
        kept = np.flatnonzero(weight_N)
        self._first, self._second = battles.first_N[kept], battles.second_N[kept]
        self._weight, self._won = weight_N[kept], (weight_N * battles.outcome_N)[kept]
        self._style = np.ascontiguousarray(battles.style_NK[kept])
        self._size = len(battles.models)

    def derivatives(self, at: Floats, penalty: Floats) -> Derivatives:
        """Return the negative log-likelihood with its gradient and Hessian."""
        first, second, style, size = self._first, self._second, self._style, self._size
        z_N = at[first] - at[second] + style @ at[size:]
        p_N = 1.0 / (1.0 + np.exp(-z_N))
        value = float((self._weight * np.logaddexp(0, z_N) - self._won * z_N).sum())
        rest_N = self._weight * p_N - self._won
        gradient_M = _scattered(first, rest_N, size) - _scattered(second, rest_N, size)
        gradient = np.concatenate((gradient_M, rest_N @ style))
        curve_N = self._weight * p_N * (1 - p_N)
        curved_NK = style * curve_N[:, None]
        cross_MK = np.stack(
            [_scattered(first, c, size) - _scattered(second, c, size) for c in curved_NK.T],
            axis=1,
        )
        hessian = np.block(
            [
                [_laplacian(first, second, curve_N, size), cross_MK],
                [cross_MK.T, style.T @ curved_NK],
            ]
        )
        return _penalised(value, gradient, hessian, at, penalty)


def _scattered(index: Ints, value: Floats, size: int) -> Floats:
    """Sum the values of each index."""
    return np.asarray(np.bincount(index, value, size), dtype=np.float64)


def _laplacian(first: Ints, second: Ints, weight: Floats, size: int) -> Floats:
    """Sum of w (e_first - e_second)(e_first - e_second)ᵀ."""
    flat = np.bincount(first * size + second, weight, size * size).reshape(size, size)
    both = flat + flat.T
    return np.asarray(np.diag(both.sum(axis=1)) - both)


def _penalised(
    value: float, gradient: Floats, hessian: Floats, at: Floats, penalty: Floats
) -> Derivatives:
    value += float((penalty * at * at).sum()) / 2
    return value, gradient + penalty * at, hessian + np.diag(penalty)
