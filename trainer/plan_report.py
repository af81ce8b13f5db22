"""`cascade-train plan RECIPE`: prints what a recipe will need before anything is started."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from cascade.errors import ConfigError
from cascade.trainer.plan import DEVICES, Assumptions, Plan, make_plan

__all__ = ["main", "print_plan"]


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns 0, or 3 if a stage does not fit the device."""
    from cascade.trainer.cascade import Cascade
    from cascade.trainer.models import require
    from cascade.trainer.recipe import recipe_of, run_recipe_file
    from cascade.trainer.settings import override

    parser = _parser()
    args = parser.parse_args(arguments)
    require("torch", "transformers")
    made: Any = run_recipe_file(args.recipe)
    if isinstance(made, Cascade):
        recipe = override(made, args.assignments).in_a_row()
    else:
        recipe = override(recipe_of(made, args.recipe), args.assignments)
    plan = make_plan(
        recipe, device=args.device, devices=args.devices, assumptions=_assumptions(args.assume)
    )
    if args.json:
        print(json.dumps({**asdict(plan), "fits": plan.fits}))
    else:
        print_plan(plan)
    return 0 if plan.fits else 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cascade-train plan",
        description="Predict peak memory and time of a recipe from its settings alone.",
        epilog="exit codes: 0 it fits; 2 cannot be planned; 3 a stage does not fit the device",
        allow_abbrev=False,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a Python file that defines recipe()")
    parser.add_argument("--device", default="h100-80gb", help=f"one of {', '.join(DEVICES)}")
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="that train together")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="assignments",
        help="change a setting; may be given several times",
    )  # fmt: skip
    names = ", ".join(f"{f.name} ({f.default})" for f in fields(Assumptions))
    parser.add_argument(
        "--assume", action="append", default=[], metavar="NAME=NUMBER",
        help=f"change an assumption: {names}",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _assumptions(given: Sequence[str]) -> Assumptions:
    from cascade.envs.options import named_values

    values: dict[str, Any] = named_values(given, "--assume")
    known = {f.name for f in fields(Assumptions)}
    for name, value in values.items():
        if name not in known or not isinstance(value, (int, float)) or value <= 0:
            raise ConfigError(
                f"--assume {name}={value}: give a number above 0 for one of {', '.join(known)}"
            )
    return replace(Assumptions(), **values)


def print_plan(plan: Plan) -> None:
    """Print a plan as text."""
    facts, card = plan.model, DEVICES[plan.device]
    print(
        f"{plan.recipe}: {_count(facts.parameters)} parameters, "
        f"{_count(facts.active_parameters)} active a token, on {plan.devices} × {plan.device}"
    )
    for stage in plan.stages:
        print(f"\n{stage.name}, {stage.steps} steps")
        for phase, parts in stage.memory.items():
            told = ", ".join(f"{name} {_size(size)}" for name, size in parts.items() if size > 5e6)
            total = sum(parts.values())
            mark = "" if total <= card.memory_bytes else "  DOES NOT FIT"
            print(f"  memory, {phase:8} {_size(total):>8} of {_size(card.memory_bytes)}{mark}")
            print(f"    {told}")
        whole = sum(stage.seconds.values())
        told = ", ".join(f"{name} {_time(s)}" for name, s in stage.seconds.items())
        print(f"  time of a step {_time(whole)}: {told}; all steps {_time(whole * stage.steps)}")
    told = ", ".join(f"{name} {value:g}" for name, value in asdict(plan.assumptions).items())
    print(f"\nassumed: {told}")
    print("Memory was checked against measured updates on a CPU; times are a budget.")


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e9:.3f} GB"


def _count(number: float) -> str:
    return f"{number / 1e9:.2f} B" if number >= 1e9 else f"{number / 1e6:.2f} M"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
