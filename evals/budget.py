r"""`cascade-eval plan`: samples that a wished interval needs, what they cost, what they can detect.

From a short probe run (or given variances) of n problems with k samples each:

* another run on the same questions: :math:`SE^2 = \sigma_w^2 / (n k)`, with :math:`\sigma_w^2` the
  variance within problems;
* new questions: :math:`SE^2 = (\sigma_b^2 + \sigma_w^2 / k) / n`, with :math:`\sigma_b^2` the
  variance of the problems' true means; more samples cannot bring it below :math:`\sigma_b^2 / n`;
* two models on the same questions, paired: :math:`SE^2 = (\sigma_d^2 + 2 \sigma_w^2 / k) / n`. How
  much the true differences vary, :math:`\sigma_d^2`, takes two runs to measure; from one it is
  :math:`2 \sigma_b^2 (1 - \rho)` with an assumed correlation of the problems' means.

Bars are normal quantiles times SE (Miller 2024, arXiv:2411.00640, sections 3 and 5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import NormalDist, fmean, variance
from typing import Any

from cascade.errors import ConfigError, DataError
from cascade.evals.folder import read_records
from cascade.evals.records import Record

__all__ = ["Budget", "Probe", "Wish", "plan_budget", "print_budget", "probe_of_runs"]

_Z = NormalDist().inv_cdf(0.975)
_POWER = NormalDist().inv_cdf(0.8)
_SHOWN_SAMPLES = (1, 4, 16, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What is known of a task; rewards in [0, 1]."""

    task: str
    problems: int
    """Of the whole task, not of the probe."""
    within: float
    """Variance within problems."""
    between: float
    """Variance of the problems' true means."""
    difference: float | None = None
    """Variance of the true differences between two models; None: not measured."""
    within_is_bound: bool = False
    """One sample a problem: all variance is taken as within."""
    uncertainty: float | None = None
    """Standard error of `within` as a share of it."""
    tokens_per_sample: float | None = None
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for."""

    half_width: float = 2.0
    """Of the 95 % interval, points."""
    correlation: float = 0.5
    """Of two models' true means over problems, where one run cannot tell."""

    def __post_init__(self) -> None:
        """Refuse what has no answer."""
        if not self.half_width > 0:
            raise ConfigError(f"the half width must be more than 0 points, got {self.half_width!r}")
        if not -1 <= self.correlation <= 1:
            raise ConfigError(f"a correlation lies in [-1, 1], got {self.correlation!r}")


@dataclass(frozen=True, slots=True)
class Need:
    """Samples for a bar, and their cost."""

    samples_per_problem: int | None
    """None: no number of samples reaches the bar with these problems."""
    problems: int
    """Those of the task; where they do not suffice, how many would, with many samples each."""
    samples: int | None
    tokens: float | None
    hours: float | None


@dataclass(frozen=True, slots=True)
class Budget:
    """The plan of one task."""

    probe: Probe
    wish: Wish
    same_questions: Need
    new_questions: Need
    best_half_width: float
    """For new questions, with any number of samples; points."""
    detectable: Mapping[int, float]
    """Samples a problem -> true difference that a paired comparison finds 80 times in 100."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        flat = {f.name: getattr(self.probe, f.name) for f in fields(Probe)}
        needs = {
            name: {f.name: getattr(need, f.name) for f in fields(Need)}
            for name, need in (("same_questions", self.same_questions),
                               ("new_questions", self.new_questions))
        }  # fmt: skip
        return {
            **flat, "half_width": self.wish.half_width, "correlation": self.correlation, **needs,
            "best_half_width": self.best_half_width, "detectable": dict(self.detectable),
        }  # fmt: skip

    @property
    def correlation(self) -> float | None:
        """The one that was assumed; None: the differences were measured."""
        return self.wish.correlation if self.probe.difference is None else None


def plan_budget(probe: Probe, wish: Wish) -> Budget:
    """Compute what a task needs.

    Raises:
        ConfigError: variances or a number of problems that cannot be.
    """
    if probe.problems < 1 or probe.within < 0 or probe.between < 0:
        raise ConfigError("a plan needs problems, and variances of 0 or more")
    error = wish.half_width / 100.0 / _Z
    same = math.ceil(probe.within / (probe.problems * error**2) - 1e-9)
    room = probe.problems * error**2 - probe.between
    if room > 0:
        new = _need(probe, max(1, math.ceil(probe.within / room - 1e-9)))
    else:
        problems = math.floor(probe.between / error**2) + 1
        new = Need(None, problems, None, None, None)
    measured = probe.difference
    spread = 2 * probe.between * (1 - wish.correlation) if measured is None else measured
    detectable = {
        k: 100.0 * (_Z + _POWER) * math.sqrt((spread + 2 * probe.within / k) / probe.problems)
        for k in _SHOWN_SAMPLES
    }
    best = 100.0 * _Z * math.sqrt(probe.between / probe.problems)
    return Budget(probe, wish, _need(probe, max(1, same)), new, best, detectable)


def _need(probe: Probe, samples: int) -> Need:
    total = samples * probe.problems
    tokens = total * probe.tokens_per_sample if probe.tokens_per_sample else None
    rate = probe.tokens_per_second
    return Need(
        samples, probe.problems, total, tokens, tokens / rate / 3600 if tokens and rate else None
    )


def probe_of_runs(a: Path, b: Path | None = None, problems: int | None = None) -> list[Probe]:
    """Measure the variances of a run's tasks, and of the differences where two runs are given.

    Args:
        a: run folder.
        b: another model on the same problems; tasks that both have are measured.
        problems: of the whole task, where the run does not say it.

    Raises:
        DataError: a folder that is no run, one problem only, or no task in common.
    """
    report, first = _report(a), _scores(a)
    second = _scores(b) if b is not None else None
    names = [name for name in first if second is None or name in second]
    if not names:
        raise DataError(f"{a} and {b} have no task in common")
    rate = _tokens_per_second(report)
    probes = []
    for name in names:
        records = [r for given in first[name].values() for r in given]
        tokens = fmean(r.num_tokens for r in records)
        whole = report.get("tasks", {}).get(name, {}).get("available_problems", len(first[name]))
        difference = _differences(first[name], second[name]) if second is not None else None
        probes.append(_probe(name, problems or whole, first[name], difference, tokens, rate))
    return probes


_Task = Mapping[str, Sequence[Record]]
"""Problem -> its judged samples."""


def _report(folder: Path) -> dict[str, Any]:
    file = folder / "report.json"
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(file)!r} cannot be read as a report: {error}") from error
    if not isinstance(report, dict):
        raise DataError(f"{str(file)!r} is no report")
    return report


def _scores(folder: Path) -> dict[str, dict[str, list[Record]]]:
    tasks: dict[str, dict[str, list[Record]]] = {}
    for record in read_records(folder / "trajectories.jsonl").values():
        if not record.is_fault:
            tasks.setdefault(record.task, {}).setdefault(record.task_id, []).append(record)
    return tasks


def _tokens_per_second(report: Mapping[str, Any]) -> float | None:
    """The whole run's, all tasks together; unknown where it was resumed."""
    tokens = sum(task["tokens"]["total"] for task in report.get("tasks", {}).values())
    seconds = report.get("seconds", 0.0)
    if not tokens or not seconds or report.get("samples_resumed"):
        return None
    return float(tokens / seconds)


def _probe(
    name: str,
    problems: int,
    scores: _Task,
    difference: float | None,
    tokens: float,
    rate: float | None,
) -> Probe:
    rewards = [[r.reward for r in given] for given in scores.values()]
    if len(rewards) < 2:
        raise DataError(f"task {name!r}: a plan needs a probe of two problems or more")
    means = variance([fmean(given) for given in rewards])
    repeated = [given for given in rewards if len(given) > 1]
    if not repeated:
        return Probe(task=name, problems=problems, within=means, between=0.0, difference=difference,
                     within_is_bound=True, tokens_per_sample=tokens or None,
                     tokens_per_second=rate)  # fmt: skip
    spreads = [variance(given) for given in repeated]
    within = fmean(spreads)
    noise = fmean(within / len(given) for given in rewards)
    error = None
    if within > 0 and len(spreads) > 1:
        error = math.sqrt(variance(spreads) / len(spreads)) / within
    return Probe(
        task=name, problems=problems, within=within, between=max(0.0, means - noise),
        difference=difference, uncertainty=error, tokens_per_sample=tokens or None,
        tokens_per_second=rate,
    )  # fmt: skip


def _differences(a: _Task, b: _Task) -> float:
    """Variance of the true differences: that of the observed ones less what sampling adds."""
    ids = [name for name in a if name in b]
    if len(ids) < 2:
        raise DataError("two runs need two problems or more in common")
    pairs = [([r.reward for r in a[i]], [r.reward for r in b[i]]) for i in ids]
    observed = variance([fmean(x) - fmean(y) for x, y in pairs])
    noise = fmean(sum(variance(s) / len(s) if len(s) > 1 else 0.0 for s in pair) for pair in pairs)
    return max(0.0, observed - noise)


def print_budget(budgets: Sequence[Budget]) -> None:
    """Print the plans for a person."""
    for budget in budgets:
        probe, width = budget.probe, budget.wish.half_width
        about = f", known to ±{probe.uncertainty:.0%}" if probe.uncertainty else ""
        print(f"{probe.task}: {probe.problems:,} problems, variance within problems "
              f"{probe.within:.3f}{about}, between {probe.between:.3f}")  # fmt: skip
        if probe.within_is_bound:
            print("  one sample a problem: all variance is taken as within, an upper bound; probe "
                  "with --samples 2 or more to tell them apart")  # fmt: skip
        print(f"  another run within ±{width:g}: {_described(budget.same_questions)}")
        new = budget.new_questions
        best = f"±{budget.best_half_width:.1f} at best; it takes {new.problems:,} or more"
        reached = new.samples_per_problem is not None
        print(f"  new questions within ±{width:g}: "
              f"{_described(new) if reached else f'not with these problems ({best})'}")  # fmt: skip
        known = "measured"
        if budget.correlation is not None:
            known = f"correlation {budget.correlation:g} assumed"
        table = ", ".join(f"{d:.1f} with {k}" for k, d in budget.detectable.items())
        print(
            f"  a paired comparison detects, 80 times in 100 ({known}): {table} samples a problem"
        )


def _described(need: Need) -> str:
    cost = f"{need.samples_per_problem:,} samples a problem, {need.samples:,} in all"
    if need.tokens is not None:
        millions = need.tokens / 1e6
        cost += f", {f'{millions:,.1f} M' if millions >= 1 else f'{need.tokens:,.0f}'} tokens"
    if need.hours is not None:
        time = f"{need.hours:,.1f} h" if need.hours >= 1 else f"{60 * need.hours:,.1f} min"
        cost += f", {time} at the probe's speed"
    return cost
