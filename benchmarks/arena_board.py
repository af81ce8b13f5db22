"""Bradley-Terry with 100 bootstraps over questions on 100,000 battles, with and without style.

    python benchmarks/arena_board.py [--battles 100000] [--rounds 100]

The peer is the published way on the same battles: one logistic regression on a dense matrix of
games a bootstrap (scikit-learn, if it is installed), measured for three rounds and scaled.
"""

from __future__ import annotations

import argparse
import importlib.util
import time

import numpy as np

from cascade.evals.ratings import Battles, bootstrap_win_rates, standardised

MODELS, QUESTIONS = 76, 500


def battles(count: int, *, style: bool) -> Battles:
    """Simulate games of 75 models with a baseline, ties and strong verdicts included."""
    rng = np.random.default_rng(7)
    strength = np.concatenate(([0.0], rng.normal(size=MODELS - 1)))
    second = rng.integers(1, MODELS, size=count)
    won = rng.random(count) < 1 / (1 + np.exp(strength[second]))
    outcome = np.where(rng.random(count) < 0.07, 0.5, won.astype(float))
    weight = np.where(rng.random(count) < 0.4, 3.0, 1.0)
    features = standardised(rng.normal(size=(count, 4))) if style else None
    return Battles(
        tuple(f"model-{i}" for i in range(MODELS)), np.zeros(count, np.int64), second, outcome,
        weight, rng.integers(QUESTIONS, size=count), features,
    )  # fmt: skip


def measured(fought: Battles, rounds: int) -> float:
    """Return CPU seconds."""
    started = time.process_time()
    bootstrap_win_rates(fought, 0, rounds=rounds)
    return time.process_time() - started


def peer(fought: Battles) -> float | None:
    """Return CPU seconds of one round of dense logistic regression; None without scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        return None
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-not-found]

    rows = np.arange(len(fought.first_N))
    matrix = np.zeros((len(rows), len(fought.models)))
    matrix[rows, fought.first_N], matrix[rows, fought.second_N] = 1.0, -1.0
    won = fought.outcome_N
    twice = np.concatenate((matrix, matrix))
    labels = np.concatenate((won > 0, won == 1)).astype(int)
    started = time.process_time()
    model = LogisticRegression(fit_intercept=False, C=1e6, tol=1e-8, max_iter=1000)
    model.fit(twice, labels, sample_weight=np.concatenate((fought.weight_N, fought.weight_N)))
    return time.process_time() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--battles", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    plain, styled = (battles(args.battles, style=style) for style in (False, True))
    ours = measured(plain, args.rounds)
    print(f"{args.battles:,} battles, {args.rounds} bootstraps: {ours:.2f} s of CPU")
    print(f"with four covariates of style: {measured(styled, args.rounds):.2f} s of CPU")
    if (round_seconds := peer(plain)) is not None:
        whole = round_seconds * args.rounds
        print(f"scikit-learn, dense: {round_seconds:.2f} s a round, {whole / ours:.0f} times ours")
    else:
        print("scikit-learn is not installed: no peer")


if __name__ == "__main__":
    main()
