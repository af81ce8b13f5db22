"""`cascade-train`: the command line. Parsing only; the work is in modules loaded when needed."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cascade import __version__
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.trainer.cascade import Cascade
    from cascade.trainer.distributed import Ranks
    from cascade.trainer.recipe import Recipe

__all__ = ["build_parser", "main"]

_EPILOG = """\
examples:
  cascade-train recipes/tiny_math.py --run-dir runs/tiny
  cascade-train recipes/tiny_math.py --run-dir runs/tiny --resume
  cascade-train recipes/tiny_math.py --run-dir runs/b --set seed=1 --set grpo.learning_rate=1e-4
  cascade-train recipes/tiny_cascade.py    a cascade: the same command goes on where it was
  torchrun --nproc-per-node=2 -m cascade.trainer.cli recipes/tiny_math.py    several processes
  cascade-train plan recipes/tiny_math.py --device cpu    memory and time, nothing is started
  cascade-train order recipes/tiny_cascade.py    which order of stages forgets least

--set takes top-level fields (steps, checkpoint_every, seed, …) and fields of a stage by its name.
exit codes: 0 done; 2 could not run, or stopped with an error; 130 interrupted (--resume goes on)
"""
_COULD_NOT_RUN, _INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["order"]:
            from cascade.trainer.order import main as order

            return order(words[1:])
        if words[:1] == ["plan"]:
            from cascade.trainer.plan_report import main as plan

            return plan(words[1:])
        return _run(build_parser().parse_args(words))
    except (CascadeError, KeyboardInterrupt) as error:
        return _ended(error)


def _ended(error: BaseException) -> int:
    """Say in one line why the run ends; return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        if os.environ.get("RANK", "0") == "0":  # torchrun interrupts every rank
            line = "cascade-train: interrupted; the same command with --resume goes on"
            print(line, file=sys.stderr)
        return _INTERRUPTED
    print(f"cascade-train: {error}", file=sys.stderr)
    return _COULD_NOT_RUN


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported for it."""
    parser = argparse.ArgumentParser(
        prog="cascade-train",
        description="Train a model by a recipe: SFT, GRPO, MOPD, stage after stage.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cascade-train {__version__}")
    parser.add_argument("recipe", metavar="RECIPE", help="a Python file that defines recipe()")
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help="of this run (default runs/RECIPE)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    parser.add_argument(
        "--rerun", action="store_true",
        help="cascades: set stages aside whose settings were edited, and train them again",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="assignments",
        help="change a setting; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--log", action="append", default=[], metavar="NAME",
        help="also send metrics to tensorboard or wandb",
    )  # fmt: skip
    parser.add_argument(
        "--log-every", type=int, default=1, metavar="N",
        help="without a terminal, steps between lines (default 1)",
    )  # fmt: skip
    return parser


def _run(args: argparse.Namespace) -> int:
    from cascade.trainer.cascade import Cascade
    from cascade.trainer.models import require
    from cascade.trainer.recipe import recipe_of, run_recipe_file
    from cascade.trainer.settings import override

    made = run_recipe_file(args.recipe)
    require("torch", "transformers")
    args.run_dir = args.run_dir or Path("runs") / Path(args.recipe).stem
    if isinstance(made, Cascade):
        return _run_cascade(override(made, args.assignments), args)
    return _run_recipe(override(recipe_of(made, args.recipe), args.assignments), args)


def _run_cascade(cascade: Cascade, args: argparse.Namespace) -> int:
    from cascade.trainer.cascade_run import run_cascade
    from cascade.trainer.distributed import joined

    with joined(cascade.model.device, cascade.deadline_seconds) as ranks:
        try:
            asyncio.run(
                run_cascade(
                    cascade, args.run_dir, rerun=args.rerun, every=args.log_every, ranks=ranks
                )
            )
        except (CascadeError, KeyboardInterrupt) as error:
            return ranks.tell_once(error, partial(_ended, error))
    if ranks.rank == 0:
        print(f"what each stage did to each domain is in {args.run_dir / 'index.html'}")
    return 0


def _run_recipe(recipe: Recipe, args: argparse.Namespace) -> int:
    from cascade.trainer.distributed import joined

    with joined(recipe.model.device, recipe.deadline_seconds) as ranks:
        try:
            return _train(recipe, args, ranks)
        except (CascadeError, KeyboardInterrupt) as error:
            return ranks.tell_once(error, partial(_ended, error))


def _train(recipe: Recipe, args: argparse.Namespace, ranks: Ranks) -> int:
    from cascade.trainer.console import Watch
    from cascade.trainer.loop import train
    from cascade.trainer.metrics import open_sink

    watch = Watch(recipe.name, recipe.total_steps, every=max(1, args.log_every))
    names = args.log if ranks.rank == 0 else []
    sinks = [open_sink(name, args.run_dir, recipe.name) for name in names]
    final = asyncio.run(
        train(recipe, args.run_dir, resume=args.resume, watch=watch, sinks=sinks, ranks=ranks)
    )
    if ranks.rank == 0:
        print(f"the trained model is in {final}; the curves are in {args.run_dir / 'index.html'}")
    return 0


def _leave(code: int) -> NoReturn:
    """End the process; under torchrun without taking the interpreter down.

    There a thread of torch that wakes up while Python shuts down ends the process by SIGABRT
    ("terminate called without an active exception"), and a run that is whole counts as failed.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
