"""`cascade-train`: the command line. Parsing only; the work is in modules loaded when needed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from cascade import __version__
from cascade.errors import CascadeError

__all__ = ["build_parser", "main"]

_EPILOG = """\
examples:
  cascade-train recipes/tiny_math.py --run-dir runs/tiny
  cascade-train recipes/tiny_math.py --run-dir runs/tiny --resume
  cascade-train recipes/tiny_math.py --run-dir runs/b --set seed=1 --set grpo.learning_rate=1e-4

--set takes top-level fields (steps, checkpoint_every, seed, …) and fields of a stage by its name.
exit codes: 0 done; 2 could not run, or stopped with an error; 130 interrupted (--resume goes on)
"""
_COULD_NOT_RUN, _INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one line on standard error."""
    args = build_parser().parse_args(arguments)
    try:
        return _run(args)
    except CascadeError as error:
        print(f"cascade-train: {error}", file=sys.stderr)
        return _COULD_NOT_RUN
    except KeyboardInterrupt:
        print("cascade-train: interrupted; the same command with --resume goes on", file=sys.stderr)
        return _INTERRUPTED


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
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="of this run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
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
    from cascade.trainer.console import Watch
    from cascade.trainer.loop import train
    from cascade.trainer.metrics import open_sink
    from cascade.trainer.models import require
    from cascade.trainer.recipe import load_recipe
    from cascade.trainer.settings import override

    recipe = override(load_recipe(args.recipe), args.assignments)
    require("torch", "transformers")
    watch = Watch(recipe.name, recipe.total_steps, every=max(1, args.log_every))
    sinks = [open_sink(name, args.run_dir, recipe.name) for name in args.log]
    final = asyncio.run(train(recipe, args.run_dir, resume=args.resume, watch=watch, sinks=sinks))
    print(f"the trained model is in {final}; the curves are in {args.run_dir / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
