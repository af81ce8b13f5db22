"""Which order of stages forgets least: ``cascade-train order RECIPE``.

Every stage is run for a few steps from one checkpoint, and all domains are measured before and
after: what training one does to the others' domains is the interference matrix. Of all orders that
keep fixed stages (SFT, MOPD) in their places, the one is suggested that loses least; among orders
that lose about the same, the one nearest to the recipe's, which for a published recipe holds its
rules of thumb. The report (Nemotron-Cascade 2, sections 4.1 and 4.2) chose its order by such
measurements: RL on instructions hurt preferences, but not the other way round.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cascade.errors import ConfigError
from cascade.trainer.cascade import Cascade, CascadeStage
from cascade.trainer.cascade_run import CascadeFolder, run_cascade
from cascade.trainer.recipe import Pretrained, run_recipe_file
from cascade.trainer.scores import Score, change

__all__ = ["Interference", "main", "measure_interference", "suggest_order"]

_MOST_MOVABLE = 8
_NEGLIGIBLE = 0.002
"""Losses are compared in steps of a fifth of a point: less is noise."""


@dataclass(frozen=True, slots=True)
class Interference:
    """What a short run of each stage did to each domain, from one checkpoint."""

    before: Mapping[str, Score]
    """Scores of the checkpoint."""
    after: Mapping[str, Mapping[str, Score]]
    """Stage -> scores after its short run."""
    learns: Mapping[str, tuple[str, ...]]
    """Stage -> domains that it trains."""

    def effect(self, stage: str, domain: str) -> tuple[float, float, float]:
        """Return the change of a domain by a stage, and its 95 % interval."""
        return change(self.before[domain], self.after[stage][domain])

    def loss(self, later: str, earlier: str) -> float:
        """Return what `later` takes from the domains of `earlier`, where that is significant."""
        total = 0.0
        for domain in self.learns[earlier]:
            if domain in self.learns[later]:
                continue
            mean, _, high = self.effect(later, domain)
            total += -mean if high < 0 else 0.0
        return total

    def cost(self, order: Sequence[str]) -> float:
        """Return what an order loses: the sum over its pairs."""
        return sum(self.loss(later, earlier) for earlier, later in itertools.combinations(order, 2))


async def measure_interference(
    cascade: Cascade, folder: Path, *, steps: int, first: int = 1
) -> Interference:
    """Train the first `first` stages, then each later one for `steps` from that checkpoint.

    Finished runs in `folder` are not repeated.

    Raises:
        ConfigError: no stage is left to compare.
    """
    base, others = cascade.stages[:first], _movable(cascade, first)
    if len(others) < 2:
        raise ConfigError(
            f"cascade {cascade.name!r} has {len(others)} stages that learn domains after its first "
            f"{first}: at least two are needed to compare orders"
        )
    begun = replace(cascade, stages=base, keep="all")
    before = (await run_cascade(begun, folder / "base"))[-1]
    weights = CascadeFolder(folder / "base").final(before.name)
    after: dict[str, Mapping[str, Score]] = {}
    for stage in others:
        short = replace(stage.stage, steps=min(steps, stage.stage.steps))  # type: ignore[type-var]
        alone = replace(
            cascade,
            model=_from(cascade, weights),
            stages=(CascadeStage(stage=short, learns=stage.learns),),
        )
        after[stage.name] = (await run_cascade(alone, folder / stage.name))[-1].scores
    learns = {stage.name: stage.learns for stage in others}
    return Interference(before.scores, after, learns)


def _movable(cascade: Cascade, first: int) -> list[CascadeStage]:
    """Stages that an order may move: those that learn domains without a registry of teachers."""
    return [
        stage
        for stage in cascade.stages[first:]
        if stage.learns and not hasattr(stage.stage, "registry")
    ]


def _from(cascade: Cascade, weights: Path) -> Pretrained:
    return Pretrained(str(weights), dtype=cascade.model.dtype, device=cascade.model.device)


def suggest_order(measured: Interference, prior: Sequence[str]) -> tuple[list[str], float]:
    """Return the order that loses least, and what it loses (sum over pairs, in rewards).

    Args:
        measured: see `measure_interference`.
        prior: the recipe's order, which decides between orders that lose the same.

    Raises:
        ConfigError: too many stages to try all orders.
    """
    names = list(prior)
    if len(names) > _MOST_MOVABLE:
        raise ConfigError(f"at most {_MOST_MOVABLE} stages can be ordered, got {len(names)}")

    def swaps(order: Sequence[str]) -> int:
        places = [names.index(name) for name in order]
        return sum(a > b for a, b in itertools.combinations(places, 2))

    best = min(
        itertools.permutations(names),
        key=lambda order: (math.floor(measured.cost(order) / _NEGLIGIBLE + 0.5), swaps(order)),
    )
    return list(best), measured.cost(best)


def report(measured: Interference, prior: Sequence[str]) -> str:
    """Return the matrix and the suggestion as text."""
    domains = list(measured.before)
    width = max(map(len, measured.after), default=5) + 2
    lines = [" " * width + "  ".join(f"{domain[:14]:>14}" for domain in domains)]
    for stage in measured.after:
        cells = []
        for domain in domains:
            mean, low, high = (100 * x for x in measured.effect(stage, domain))
            mark = "*" if low > 0 or high < 0 else " "
            cells.append(f"{mean:+13.1f}{mark}")
        lines.append(f"{stage:<{width}}" + "  ".join(cells))
    order, cost = suggest_order(measured, prior)
    lines += [
        "points of held-out reward; * significant (paired, 5 %)",
        f"recipe's order loses   {100 * measured.cost(prior):.1f} points: {' -> '.join(prior)}",
        f"suggested order loses  {100 * cost:.1f} points: {' -> '.join(order)}",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run ``cascade-train order``."""
    parser = argparse.ArgumentParser(
        prog="cascade-train order", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a Python file that makes a Cascade")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="default runs/RECIPE-order")
    parser.add_argument("--steps", type=int, default=10, help="of each short run (default 10)")
    parser.add_argument(
        "--first", type=int, default=1, help="stages that make the checkpoint (default 1)"
    )
    args = parser.parse_args(arguments)
    if args.steps < 1 or args.first < 1:
        raise ConfigError("--steps and --first must be 1 or more")
    made = run_recipe_file(args.recipe)
    if not isinstance(made, Cascade):
        raise ConfigError(f"{args.recipe} makes no Cascade: there is no order to choose")
    folder = args.run_dir or Path("runs") / f"{Path(args.recipe).stem}-order"
    measured = asyncio.run(measure_interference(made, folder, steps=args.steps, first=args.first))
    sys.stdout.write(report(measured, list(measured.after)) + "\n")
    return 0
