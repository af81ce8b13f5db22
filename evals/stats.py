r"""Scores, and how sure they are. Pure functions of the verdicts, without any I/O.

Three questions need three different error bars, and each function says which it answers:

* *Would new questions give the same?* `standard_error`, clustered by problem: the samples of one
  problem are not independent, so the problem is the unit (Miller 2024, arXiv:2411.00640, eq. 4).
* *Would another run on the same questions give the same?* `run_noise`: the variance within
  problems alone. Reproducing a published number is judged by it (`reproduction_tolerance`).
* *Is model A better than B?* `paired`: the same problems, compared problem by problem.

``scores`` is always ``[problem][sample]`` with values in [0, 1], faults left out; everything
returned is in the same unit (multiply by 100 for points). The number of samples really present is
checked before any division: a function of k raises `DataError` where a problem has fewer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev, variance

from cascade.errors import ConfigError, DataError

__all__ = [
    "Interval",
    "Paired",
    "RunStatistics",
    "Scores",
    "Vote",
    "Votes",
    "all_at_k",
    "avg_at_k",
    "interval",
    "maj_at_k",
    "mean",
    "paired",
    "pass_at_k",
    "reproduction_tolerance",
    "run_noise",
    "run_statistics",
    "sign_flip_p",
    "standard_error",
    "student_t",
    "wilson",
]

Scores = Sequence[Sequence[float]]
"""[problem][sample] rewards in [0, 1]."""
Vote = tuple[str | None, float]
"""An extracted answer (None: there was none) and its reward."""
Votes = Sequence[Sequence[Vote]]
"""[problem][sample] votes."""
Interval = tuple[float, float]

_EXACT_WORK = 200_000_000
_DRAWS = 20_000


def _check(problems: Sequence[Sequence[object]], k: int, what: str) -> None:
    if k < 1:
        raise ConfigError(f"{what} needs k of 1 or more, got {k!r}")
    if not problems:
        raise DataError(f"{what} needs at least one problem")
    short = [index for index, samples in enumerate(problems) if len(samples) < k]
    if short:
        least = min(len(problems[index]) for index in short)
        raise DataError(
            f"{what}: {len(short)} of {len(problems)} problems have fewer than {k} samples "
            f"(the least has {least})"
        )


def mean(scores: Scores) -> float:
    """Mean over problems of each problem's mean over the samples it has.

    Raises:
        DataError: no problem, or a problem without a sample.
    """
    _check(scores, 1, "the mean")
    return fmean(fmean(samples) for samples in scores)


def avg_at_k(scores: Scores, k: int) -> float:
    """Mean over problems of the mean of the first k samples ("pass@1 averaged over k runs").

    Raises:
        DataError: a problem has fewer than k samples.
    """
    _check(scores, k, f"avg@{k}")
    return fmean(fmean(samples[:k]) for samples in scores)


def pass_at_k(scores: Scores, k: int) -> float:
    r"""Probability that one of k samples is right: 1 - C(n-c, k) / C(n, k), mean over problems.

    The unbiased estimator from n >= k samples of which c are right, of Chen et al. 2021
    (arXiv:2107.03374, eq. 1). A sample is right if its reward is 1.

    Raises:
        DataError: a problem has fewer than k samples.
    """
    _check(scores, k, f"pass@{k}")
    return fmean(_pass_at_k(len(s), sum(reward >= 1.0 for reward in s), k) for s in scores)


def all_at_k(scores: Scores, k: int) -> float:
    r"""Probability that all of k samples are right: C(c, k) / C(n, k), mean over problems.

    The measure of reliability that τ-bench calls pass^k (Yao et al. 2024, arXiv:2406.12045).

    Raises:
        DataError: a problem has fewer than k samples.
    """
    _check(scores, k, f"all@{k}")
    return fmean(
        math.comb(sum(reward >= 1.0 for reward in s), k) / math.comb(len(s), k) for s in scores
    )


def _pass_at_k(n: int, c: int, k: int) -> float:
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def maj_at_k(votes: Votes, k: int) -> float:
    """Mean over problems of the reward of the answer that most of the first k samples gave.

    Samples without an answer do not vote; a problem on which nobody votes scores 0. Where several
    answers have the most votes, the problem scores their mean reward: the expected value of a coin
    thrown among them (as NeMo-Skills and NeMo-Gym do; others take the first).

    Raises:
        DataError: a problem has fewer than k samples.
    """
    _check(votes, k, f"maj@{k}")
    return fmean(_majority(samples[:k]) for samples in votes)


def _majority(samples: Sequence[Vote]) -> float:
    rewards: dict[str, list[float]] = {}
    for answer, reward in samples:
        if answer is not None:
            rewards.setdefault(answer, []).append(reward)
    if not rewards:
        return 0.0
    most = max(len(given) for given in rewards.values())
    return fmean(fmean(given) for given in rewards.values() if len(given) == most)


def standard_error(scores: Scores) -> float | None:
    """Standard error of `mean`, clustered by problem: would new questions give the same?

    The standard deviation of the problems' means over the root of their number. None if there is
    one problem only.
    """
    _check(scores, 1, "the standard error")
    if len(scores) < 2:
        return None
    return stdev(fmean(samples) for samples in scores) / math.sqrt(len(scores))


def _within(scores: Scores) -> float | None:
    """Mean variance within problems, from those with two samples or more; None without any."""
    variances = [variance(samples) for samples in scores if len(samples) > 1]
    return fmean(variances) if variances else None


def run_noise(scores: Scores) -> float | None:
    """Standard error of `mean` over repeated runs on the same questions.

    Uses the unbiased variance within problems; a problem with one sample takes the mean of the
    others. None if no problem has two samples: the noise then cannot be known.
    """
    _check(scores, 1, "run noise")
    within = _within(scores)
    if within is None:
        return None
    total = sum(
        (variance(samples) if len(samples) > 1 else within) / len(samples) for samples in scores
    )
    return math.sqrt(total) / len(scores)


def reproduction_tolerance(
    scores: Scores, published_samples: int | None = None, level: float = 0.95
) -> tuple[float, bool]:
    """How far a published number on the same questions may lie from ours by sampling noise alone.

    Args:
        scores: ours.
        published_samples: samples per problem behind the published number; None: not known, only
            our own noise is counted.
        level: probability with which two runs of the same model agree within the result.

    Returns:
        The half width, and whether it is exact: with one sample a problem the noise is not
        measurable, and the result is an upper bound (all variance taken as noise).
    """
    _check(scores, 1, "the tolerance")
    within = _within(scores)
    exact = within is not None
    if within is None:
        value = mean(scores)
        within = value * (1.0 - value)
    ours = run_noise(scores) if exact else math.sqrt(within / len(scores))
    assert ours is not None
    theirs = math.sqrt(within / (len(scores) * published_samples)) if published_samples else 0.0
    return NormalDist().inv_cdf((1.0 + level) / 2.0) * math.hypot(ours, theirs), exact


def interval(scores: Scores, level: float = 0.95) -> Interval | None:
    """Confidence interval of `mean` for new questions of the same kind, within [0, 1].

    Student's t on the problems' means. Where a binomial fits (every problem has one sample that is
    right or wrong) and where all problems scored alike (t would claim certainty) it is Wilson's,
    with the problem as the unit. None if there is one problem only.
    """
    error = standard_error(scores)
    if error is None:
        return None
    value = mean(scores)
    single = all(len(s) == 1 and s[0] in (0.0, 1.0) for s in scores)
    if single or error == 0.0:
        return wilson(value * len(scores), len(scores), level)
    half = student_t(len(scores) - 1, level) * error
    return max(0.0, value - half), min(1.0, value + half)


def wilson(successes: float, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ConfigError(f"{successes} of {trials} is no proportion")
    z = NormalDist().inv_cdf((1.0 + level) / 2.0)
    p = successes / trials
    scale = 1.0 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def student_t(freedom: int, level: float = 0.95) -> float:
    """Two-sided quantile of Student's t: P(|T| < result) = level."""
    if freedom < 1 or not 0 < level < 1:
        raise ConfigError(f"no t quantile for {freedom} degrees of freedom at level {level}")
    if freedom > 2_000:
        return NormalDist().inv_cdf((1.0 + level) / 2.0)
    low, high = 0.0, 1.0
    while _t_inside(high, freedom) < level:
        low, high = high, 2.0 * high
    for _ in range(80):
        middle = (low + high) / 2.0
        if _t_inside(middle, freedom) < level:
            low = middle
        else:
            high = middle
    return high


def _t_inside(t: float, freedom: int) -> float:
    """P(|T| < t) by the finite sums of Abramowitz & Stegun, 26.7.3 and 26.7.4."""
    theta = math.atan2(t, math.sqrt(freedom))
    cos2 = math.cos(theta) ** 2
    if freedom == 1:
        return 2.0 * theta / math.pi
    odd = freedom % 2
    term = math.cos(theta) if odd else 1.0
    total = term
    for i in range(2 + odd, freedom - 1, 2):
        term *= cos2 * (i - 1) / i
        total += term
    if odd:
        return 2.0 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Spread over k runs, as NeMo-Skills prints it: says nothing about other questions."""

    mean: float
    std_dev_across_runs: float
    """Standard deviation (k - 1) of the runs' scores; a run is sample i of every problem."""
    std_err_across_runs: float
    avg_sample_std_dev: float
    """Mean over problems of the standard deviation (k - 1) of the problem's samples."""


def run_statistics(scores: Scores, k: int) -> RunStatistics:
    """Spread of the first k samples taken as k runs; all 0 for k = 1.

    Raises:
        DataError: a problem has fewer than k samples.
    """
    _check(scores, k, f"statistics over {k} runs")
    runs = [fmean(samples[run] for samples in scores) for run in range(k)]
    if k == 1:
        return RunStatistics(runs[0], 0.0, 0.0, 0.0)
    across = stdev(runs)
    within = fmean(stdev(samples[:k]) for samples in scores)
    return RunStatistics(fmean(runs), across, across / math.sqrt(k), within)


@dataclass(frozen=True, slots=True)
class Paired:
    """A minus B on the same problems."""

    problems: int
    difference: float
    standard_error: float | None
    interval: Interval | None
    unpaired_standard_error: float | None
    """What two independent sets of questions would give: the price of not pairing."""
    p_value: float
    """Two-sided sign-flip test on the problems; with one right-or-wrong sample each it is
    McNemar's exact test."""
    detectable: float | None
    """Smallest true difference that this number of problems finds in 80 of 100 comparisons."""
    a_better: int
    b_better: int


def paired(a: Scores, b: Scores, level: float = 0.95) -> Paired:
    """Compare two runs problem by problem; `a[i]` and `b[i]` are the same problem.

    Raises:
        DataError: different numbers of problems, or a problem without a sample.
    """
    if len(a) != len(b):
        raise DataError(f"paired comparison of {len(a)} with {len(b)} problems")
    _check(a, 1, "the comparison")
    _check(b, 1, "the comparison")
    differences = [fmean(x) - fmean(y) for x, y in zip(a, b, strict=True)]
    n = len(differences)
    difference = fmean(differences)
    error = stdev(differences) / math.sqrt(n) if n > 1 else None
    bounds = detectable = None
    if error is not None:
        t = student_t(n - 1, level)
        bounds = (difference - t * error, difference + t * error)
        detectable = (t + NormalDist().inv_cdf(0.8)) * error
    errors = standard_error(a), standard_error(b)
    unpaired = math.hypot(*errors) if None not in errors else None  # type: ignore[arg-type]
    unit = math.lcm(*{len(s) for s in (*a, *b)})
    return Paired(
        n, difference, error, bounds, unpaired, sign_flip_p(differences, unit), detectable,
        sum(d > 1e-12 for d in differences), sum(d < -1e-12 for d in differences),
    )  # fmt: skip


def sign_flip_p(differences: Sequence[float], unit: int = 1) -> float:
    """Two-sided p of the mean difference when each problem's sign is flipped at random.

    Exact (a convolution over all flips) where the differences are whole multiples of 1/`unit`,
    else from 20,000 draws with a fixed seed.
    """
    sizes = [abs(d) for d in differences if abs(d) > 1e-12]
    if not sizes:
        return 1.0
    observed = abs(math.fsum(differences))
    whole = [round(size * unit) for size in sizes]
    exact = all(abs(w - size * unit) < 1e-6 for w, size in zip(whole, sizes, strict=True))
    total = sum(whole)
    if exact and len(whole) * total <= _EXACT_WORK:
        import numpy as np

        chances = np.zeros(2 * total + 1)
        chances[total] = 1.0
        for step in whole:
            chances = (np.roll(chances, step) + np.roll(chances, -step)) / 2.0
        sums = np.abs(np.arange(-total, total + 1))
        return float(min(1.0, chances[sums >= round(observed * unit)].sum()))
    rng = random.Random("sign-flip")
    hits = sum(
        abs(math.fsum(size if rng.random() < 0.5 else -size for size in sizes)) >= observed - 1e-12
        for _ in range(_DRAWS)
    )
    return (hits + 1) / (_DRAWS + 1)
