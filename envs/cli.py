"""`cascade-env`: lists, shows and checks environments, and measures how hard their tasks are."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cascade import __version__
from cascade.errors import CascadeError, ConfigError, UnknownNameError

__all__ = ["build_parser", "main"]

_EPILOG = """\
examples:
  cascade-env list
  cascade-env show cascade/Math-v0 --tasks gsm8k
  cascade-env check acme/Reverse-v0
  cascade-env profile cascade/Math-v0 --tasks gsm8k --base-url http://host:8000/v1 --model NAME \\
      --samples 8 --out gsm8k.profile.jsonl         again: goes on where it stopped

exit codes: 0 done; 2 could not run; 3 the contract is broken, or tasks without a pass rate;
130 interrupted (the same command goes on)
"""
_COULD_NOT_RUN, _NOT_CLEAN, _INTERRUPTED = 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one line on standard error."""
    args = build_parser().parse_args(arguments)
    try:
        code: int = args.handler(args)
        sys.stdout.flush()
        return code
    except CascadeError as error:
        print(f"cascade-env: {error}", file=sys.stderr)
        return _COULD_NOT_RUN
    except KeyboardInterrupt:
        print("cascade-env: interrupted; the same command goes on", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported for it."""
    parser = argparse.ArgumentParser(
        prog="cascade-env",
        description="Environments with verifiable rewards: list, show, check, profile.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cascade-env {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="environments and task sets")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(handler=_list)
    show = commands.add_parser("show", help="an environment, its arguments, and a task")
    _add_env(show)
    show.set_defaults(handler=_show)
    check = commands.add_parser("check", help="whether an environment keeps the contract")
    _add_env(check)
    check.add_argument("--count", type=int, default=5, metavar="N", help="tasks tried (default 5)")
    check.add_argument("--seed", type=int, default=0, help="draws them")
    check.set_defaults(handler=_check)
    _add_profile(commands.add_parser("profile", help="pass rate of each task", allow_abbrev=False))
    return parser


def _add_env(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("env", metavar="ENV", help="id, such as cascade/Math-v0")
    parser.add_argument("--tasks", metavar="SET", help="registered set, file or hub data set")
    parser.add_argument("--data-dir", metavar="DIR", help="where task sets are looked for first")
    parser.add_argument(
        "--env-option", action="append", default=[], metavar="NAME=VALUE",
        help="argument of the environment; VALUE is JSON or text",
    )  # fmt: skip


def _add_profile(parser: argparse.ArgumentParser) -> None:
    _add_env(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a task a line")
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="default 8")
    parser.add_argument("--limit", type=int, metavar="N", help="first N tasks only")
    parser.add_argument("--model", metavar="NAME|PATH|HUB_ID")
    parser.add_argument("--base-url", metavar="URL", help="of an OpenAI-compatible server")
    parser.add_argument("--engine", metavar="KIND", help="http, torch, vllm, tiny, …")
    parser.add_argument(
        "--engine-option", action="append", default=[], metavar="NAME=VALUE",
        help="option of the engine; VALUE is JSON or text",
    )  # fmt: skip
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--max-tokens", type=int, default=131_072, metavar="N", help="of a message")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--concurrency", type=int, metavar="N", help="episodes in flight")
    parser.set_defaults(handler=_profile)


def _env_options(args: argparse.Namespace) -> dict[str, Any]:
    from cascade.envs.options import named_values
    from cascade.envs.registry import env_class

    options = named_values(args.env_option, "--env-option")
    known = inspect.signature(env_class(args.env)).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError.near(f"argument of {args.env}", name, known)
    given = {"tasks": args.tasks, "data_dir": args.data_dir}
    return {**options, **{name: value for name, value in given.items() if value is not None}}


def _list(args: argparse.Namespace) -> int:
    from cascade.envs.catalog import source_names
    from cascade.envs.registry import env_class, env_ids

    about = {env_id: _first_line(env_class(env_id)) for env_id in env_ids()}
    if args.json:
        print(json.dumps({"environments": about, "task_sets": source_names()}))
        return 0
    width = max(map(len, about))
    print("environments:")
    for env_id, line in about.items():
        print(f"  {env_id:{width}}  {line}")
    names = [name for name in source_names() if not re.fullmatch(r"mini_.+_\d", name)]
    print("\ntask sets (mini_KIND, generated, also as mini_KIND_1 to mini_KIND_5 by difficulty):")
    print(textwrap.fill(", ".join(names), 100, initial_indent="  ", subsequent_indent="  "))
    return 0


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n")[0]


def _show(args: argparse.Namespace) -> int:
    from cascade.envs.registry import env_class, make_env

    kind = env_class(args.env)
    print(f"{args.env}: {kind.__module__}.{kind.__name__}{inspect.signature(kind)}\n")
    print(inspect.getdoc(kind) or "")
    env = make_env(args.env, **_env_options(args))
    made, task = env.tasks.provenance, env.tasks[0]
    print(f"\ntask set {env.tasks.name}: {len(env.tasks):,} tasks from {made.source}")
    print(f"  licence {made.licence}, sha256 {made.sha256[:16]}…, up to {env.max_turns} messages")
    print(f"\nfirst task ({task.id}), {len(task.tools)} tools:\n")
    env.reset(options={"task": task.id})
    print(env.render())
    gold = env.oracle_response(task) or "the task holds none"
    print("\na correct response:\n\n" + (gold if isinstance(gold, str) else "\n\n".join(gold)))
    env.close()
    return 0


def _check(args: argparse.Namespace) -> int:
    from cascade.envs.check import check_env
    from cascade.envs.registry import make_env
    from cascade.errors import ContractError

    options = _env_options(args)
    try:
        check_env(lambda: make_env(args.env, **options), tasks=args.count, seed=args.seed)
    except ContractError as error:
        print(f"cascade-env: {error}", file=sys.stderr)
        return _NOT_CLEAN
    print(f"{args.env} keeps the contract ({args.count} tasks tried)")
    return 0


def _profile(args: argparse.Namespace) -> int:
    from cascade.envs.engines import open_engine
    from cascade.envs.options import named_values
    from cascade.envs.profile import ProfileConfig
    from cascade.types import SamplingParams

    kind = args.engine or ("http" if args.base_url else None)
    if kind is None or (args.model is None and kind != "tiny"):
        raise ConfigError(
            "which model? Give --base-url URL --model NAME, or --engine KIND --model M"
        )
    if args.base_url and kind != "http":
        raise ConfigError(f"--base-url belongs to --engine http, not to --engine {kind}")
    config = ProfileConfig(
        env=args.env, env_options=_env_options(args), samples=args.samples, limit=args.limit,
        params=SamplingParams(args.temperature, args.top_p, max_tokens=args.max_tokens),
        seed=args.seed, concurrency=args.concurrency,
    )  # fmt: skip
    options = named_values(args.engine_option, "--engine-option")
    if args.base_url:
        options["base_url"] = args.base_url
    if kind == "http" and args.concurrency is not None:
        options.setdefault("concurrency", args.concurrency)
    engine = open_engine(kind, args.model or "toy", **options)
    return asyncio.run(_measure(config, engine, args.out))


async def _measure(config: Any, engine: Any, out: Path) -> int:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from cascade.envs.profile import profile

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[last]}"),
    )  # fmt: skip
    failed: list[str] = []
    try:
        with Progress(*columns, console=Console(stderr=True)) as shown:
            bar = shown.add_task("tasks", total=None, last="")

            def on_task(task: Any, done: int, total: int) -> None:
                failed.extend([task.id] * (not task.samples))
                last = f"{task.id}: {task.pass_rate:.0%}"
                shown.update(bar, completed=done, total=total, last=last)

            tasks = await profile(config, engine, out, on_task)
    finally:
        await engine.aclose()
    _print_summary([task.pass_rate for task in tasks.values()], out)
    if failed:
        print(
            f"cascade-env: {len(failed)} tasks have only faults, the first is {failed[0]!r}; the "
            "same command tries them again", file=sys.stderr,
        )  # fmt: skip
    return _NOT_CLEAN if failed else 0


def _print_summary(rates: Sequence[float], out: Path) -> None:
    """Print how many tasks are never, sometimes and always solved."""
    if rates:
        never, always = sum(r == 0 for r in rates), sum(r == 1 for r in rates)
        print(f"{len(rates):,} tasks, mean pass rate {sum(rates) / len(rates):.3f}")
        print(
            f"never solved {never:,}, sometimes {len(rates) - never - always:,}, always {always:,}"
        )
    print(f"profile: {out}")


if __name__ == "__main__":
    sys.exit(main())
