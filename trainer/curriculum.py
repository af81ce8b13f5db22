"""Which task comes next: filters by pass rate, orders, and a cursor that a checkpoint can hold.

A pass rate is the mean reward of a task's samples, in [0, 1]: measured beforehand by
`cascade-env profile`, and observed again while training. A group whose rewards are all equal has no
gradient under a group baseline, so tasks that are always or never solved cost samples for nothing.

The rules are those of the published recipes: dropping and re-admitting by epoch (Nemotron-Cascade,
arXiv 2512.13607, section 4.5.2), a Gaussian over pass rates whose mean slides from easy to hard
(Nemotron 3 Nano technical report, section 3.2.2), fixed shares of the domains.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cascade.errors import ConfigError, DataError, UnknownNameError

__all__ = [
    "Domain",
    "Draw",
    "Order",
    "Readmission",
    "Selection",
    "Shuffled",
    "SlidingGaussian",
    "TaskStream",
]


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} must lie in [0, 1], got {value!r}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which profiled tasks are trained on at all.

    The defaults drop what is always solved and keep a tenth of what never is, as published for
    software tasks (arXiv 2603.19220, section 4.8.2).
    """

    lowest: float = 0.0
    """Tasks with a pass rate at or below it count as too hard."""
    highest: float = 1.0
    """Tasks with a pass rate at or above it count as too easy."""
    hard_kept: float = 0.1
    """Probability with which a task that is too hard is kept all the same."""
    easy_kept: float = 0.0
    """The same for tasks that are too easy."""
    seed: int = 0
    """Decides, with the task's id alone, which of those are kept."""

    def __post_init__(self) -> None:
        """Refuse what no selection can satisfy."""
        for name in ("lowest", "highest", "hard_kept", "easy_kept"):
            _check_share(name, getattr(self, name))
        if self.lowest > self.highest:
            raise ConfigError(
                f"lowest must not be above highest, got {self.lowest!r} and {self.highest!r}"
            )

    def __call__(self, task_ids: Sequence[str], pass_rates: Mapping[str, float]) -> list[str]:
        """Return the tasks that are kept, in their order.

        Raises:
            DataError: a task has no pass rate, or none is kept.
        """
        _check_profiled(task_ids, pass_rates)
        kept = [task for task in task_ids if self._keeps(task, pass_rates[task])]
        if not kept:
            raise DataError(
                f"none of {len(task_ids)} tasks is kept by {self}: profile other tasks, or widen it"
            )
        return kept

    def _keeps(self, task_id: str, rate: float) -> bool:
        share = 1.0
        if rate >= self.highest:
            share = self.easy_kept
        elif rate <= self.lowest:
            share = self.hard_kept
        return random.Random(f"select/{self.seed}/{task_id}").random() < share


class Order(Protocol):
    """The order of a domain's tasks; a frozen dataclass, so that a recipe can name it."""

    def __call__(
        self,
        task_ids: Sequence[str],
        pass_rates: Mapping[str, float],
        *,
        drawn: int,
        rng: random.Random,
    ) -> list[str]:
        """Return the next epoch: each task at most once.

        Args:
            task_ids: all tasks of the domain.
            pass_rates: what is known so far; may lack tasks.
            drawn: how many draws of the domain came before this epoch.
            rng: the only source of chance.

        Raises:
            DataError: nothing is left to draw, or pass rates that are needed are missing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Every task once an epoch, each epoch in a new order."""

    def __call__(
        self,
        task_ids: Sequence[str],
        pass_rates: Mapping[str, float],
        *,
        drawn: int,
        rng: random.Random,
    ) -> list[str]:
        """See `Order`."""
        return rng.sample(task_ids, len(task_ids))


@dataclass(frozen=True, slots=True)
class Readmission:
    """After each epoch, leave out what was always or never solved, but for a few of them.

    Cheaper than resampling every batch; the published shares kept 90 % of the samples useful.
    """

    hard: float = 0.10
    """Probability that a task that was never solved comes again in an epoch."""
    easy: float = 0.01
    """The same for a task that was always solved."""

    def __post_init__(self) -> None:
        """Refuse what is not a probability."""
        _check_share("hard", self.hard)
        _check_share("easy", self.easy)

    def __call__(
        self,
        task_ids: Sequence[str],
        pass_rates: Mapping[str, float],
        *,
        drawn: int,
        rng: random.Random,
    ) -> list[str]:
        """See `Order`; tasks without a pass rate come."""
        chance = {0.0: self.hard, 1.0: self.easy}
        epoch = [t for t in task_ids if rng.random() < chance.get(pass_rates.get(t, 0.5), 1.0)]
        if not epoch:
            raise DataError(
                f"all {len(task_ids)} tasks are always or never solved, and chance re-admitted "
                "none: end the stage here, or give it other tasks"
            )
        rng.shuffle(epoch)
        return epoch


@dataclass(frozen=True, slots=True)
class SlidingGaussian:
    """Draw pass rates from a Gaussian whose mean slides linearly from easy to hard.

    Within an epoch a task comes at most once; near its end, what is left comes.
    """

    draws: int
    """Draws of the domain after which the mean has arrived at `last_mean` and stays there."""
    first_mean: float = 0.9
    last_mean: float = 0.1
    deviation: float = 0.2
    """Standard deviation, in units of the pass rate."""
    bins: int = 16
    """Pass rates are rounded to this many steps; all tasks of a bin are equally likely."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        _check_share("first_mean", self.first_mean)
        _check_share("last_mean", self.last_mean)
        if self.deviation <= 0:
            raise ConfigError(f"deviation must be above 0, got {self.deviation!r}")
        for name in ("draws", "bins"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)!r}")

    def mean(self, drawn: int) -> float:
        """Mean of the Gaussian after `drawn` draws."""
        done = min(1.0, drawn / self.draws)
        return self.first_mean + done * (self.last_mean - self.first_mean)

    def __call__(
        self,
        task_ids: Sequence[str],
        pass_rates: Mapping[str, float],
        *,
        drawn: int,
        rng: random.Random,
    ) -> list[str]:
        """See `Order`; every task needs a pass rate."""
        _check_profiled(task_ids, pass_rates)
        bins: dict[int, list[str]] = {}
        for task in rng.sample(task_ids, len(task_ids)):
            bins.setdefault(round(pass_rates[task] * self.bins), []).append(task)
        epoch: list[str] = []
        while bins:
            mean = self.mean(drawn + len(epoch))
            places = sorted(bins)
            # Logarithms relative to the likeliest bin: one far away still has a weight above 0.
            logs = [-0.5 * ((place / self.bins - mean) / self.deviation) ** 2 for place in places]
            weights = [math.exp(log - max(logs)) for log in logs]
            place = rng.choices(places, weights)[0]
            epoch.append(bins[place].pop())
            if not bins[place]:
                del bins[place]
        return epoch


@dataclass(frozen=True, slots=True)
class Domain:
    """The tasks of one domain."""

    name: str
    """What groups carry: the environment's id, or a label."""
    task_ids: tuple[str, ...]
    order: Order = field(default_factory=Shuffled)
    share: float = 1.0
    """Weight among the domains of the stream; the shares hold at any time, to one draw."""
    pass_rates: Mapping[str, float] = field(default_factory=dict)
    """Task id -> pass rate in [0, 1], as profiled."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if not self.task_ids:
            raise ConfigError(f"domain {self.name!r} has no tasks")
        if not (math.isfinite(self.share) and self.share > 0):
            raise ConfigError(f"share of domain {self.name!r} must be above 0, got {self.share!r}")


@dataclass(frozen=True, slots=True)
class Draw:
    """The next task to sample a group of rollouts for."""

    number: int
    """Running number in the stream, from 0: names the group and seeds its rollouts."""
    domain: str
    task_id: str


@dataclass(slots=True)
class _Cursor:
    """Where a domain is."""

    domain: Domain
    pass_rates: dict[str, float]
    epoch: int = -1
    drawn: int = 0
    left: list[str] = field(default_factory=list)
    """What is still to come of the epoch, the next one last."""


class TaskStream:
    """An endless order of tasks: a function of its domains, the seed and the reported pass rates.

    Everything that decides the next draw is in `state()`, plain JSON data; a stream that has loaded
    it goes on exactly as the other would have.
    """

    def __init__(self, domains: Sequence[Domain], *, seed: int = 0) -> None:
        """Begin.

        Raises:
            ConfigError: no domain, or two of one name.
        """
        names = [domain.name for domain in domains]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"a task stream needs domains with different names, got {names}")
        self._seed = seed
        self._cursors = {d.name: _Cursor(d, dict(d.pass_rates)) for d in domains}

    def next_group(self) -> Draw:
        """Return the next task and move on.

        Raises:
            DataError: a domain has nothing left to draw.
        """
        number = sum(cursor.drawn for cursor in self._cursors.values())
        cursor = max(self._cursors.values(), key=lambda c: self._lag(c, number))
        if not cursor.left:
            cursor.epoch += 1
            rng = random.Random(f"{self._seed}/{cursor.domain.name}/{cursor.epoch}")
            epoch = cursor.domain.order(
                cursor.domain.task_ids, cursor.pass_rates, drawn=cursor.drawn, rng=rng
            )
            cursor.left = epoch[::-1]
        cursor.drawn += 1
        return Draw(number, cursor.domain.name, cursor.left.pop())

    def _lag(self, cursor: _Cursor, number: int) -> float:
        """How many draws the domain is behind its share after the next draw."""
        total = sum(c.domain.share for c in self._cursors.values())
        return cursor.domain.share / total * (number + 1) - cursor.drawn

    def report(self, domain: str, task_id: str, pass_rate: float) -> None:
        """Tell how a group went: its mean reward. Orders see it from the next epoch on.

        Raises:
            UnknownNameError: no such domain.
            ConfigError: the rate is not in [0, 1].
        """
        if domain not in self._cursors:
            raise UnknownNameError.near("domain", domain, self._cursors)
        _check_share(f"the pass rate of task {task_id!r}", pass_rate)
        self._cursors[domain].pass_rates[task_id] = pass_rate

    @property
    def epochs(self) -> dict[str, int]:
        """Epoch of each domain, from 0; -1 before its first draw."""
        return {name: cursor.epoch for name, cursor in self._cursors.items()}

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold, as plain JSON data."""
        return {
            "seed": self._seed,
            "domains": {
                name: {
                    "epoch": cursor.epoch,
                    "drawn": cursor.drawn,
                    "left": list(cursor.left),
                    "pass_rates": dict(cursor.pass_rates),
                }
                for name, cursor in self._cursors.items()
            },
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where `state()` was taken.

        Raises:
            ConfigError: it belongs to a stream with another seed, other domains or other tasks.
        """
        saved = state["domains"]
        if state["seed"] != self._seed or set(saved) != set(self._cursors):
            raise ConfigError(
                f"the saved task stream has seed {state['seed']} and domains {sorted(saved)}, this "
                f"one {self._seed} and {sorted(self._cursors)}: go on with the recipe it began with"
            )
        for name, cursor in self._cursors.items():
            unknown = sorted(set(saved[name]["left"]) - set(cursor.domain.task_ids))
            if unknown:
                raise ConfigError(
                    f"the saved task stream of domain {name!r} holds tasks that this one lacks "
                    f"({unknown[0]!r}, {len(unknown)} in all): go on with the tasks it began with"
                )
        for name, cursor in self._cursors.items():
            cursor.epoch, cursor.drawn = saved[name]["epoch"], saved[name]["drawn"]
            cursor.left = list(saved[name]["left"])
            cursor.pass_rates = dict(saved[name]["pass_rates"])


def _check_profiled(task_ids: Sequence[str], pass_rates: Mapping[str, float]) -> None:
    missing = [task for task in task_ids if task not in pass_rates]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(task_ids)} tasks have no pass rate, the first is "
            f"{missing[0]!r}: profile them with `cascade-env profile`"
        )
