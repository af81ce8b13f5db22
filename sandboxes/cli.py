"""`cascade-sandbox`: what this machine can isolate, the image, and what a run costs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from cascade.errors import CascadeError, SandboxError
from cascade.sandboxes.bench import bench, median_ms
from cascade.sandboxes.docker import IMAGE
from cascade.sandboxes.image import DEFAULT_LANGUAGES, FULL_LANGUAGES, build_image
from cascade.sandboxes.local import best_level
from cascade.sandboxes.opening import open_sandbox
from cascade.sandboxes.probes import run_probes
from cascade.sandboxes.programs import Case, Program
from cascade.sandboxes.verdicts import Status

__all__ = ["main"]

KINDS = ("docker", "local")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(argv)
    command = {"doctor": _doctor, "build": _build, "bench": _bench}[options.command]
    try:
        return command(options)
    except CascadeError as error:
        print(f"cascade-sandbox: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cascade-sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="prove each limit on this machine")
    doctor.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    doctor.add_argument("--runtime", help='Docker runtime, for example "runsc"')
    build = commands.add_parser("build", help="build the Docker image")
    build.add_argument(
        "--languages",
        default=",".join(DEFAULT_LANGUAGES),
        help='comma-separated, or "all"; default: %(default)s',
    )
    build.add_argument(
        "--packages",
        default="",
        help="further Debian packages, comma-separated, for example python3-pandas",
    )
    build.add_argument(
        "--numpy", action=argparse.BooleanOptionalAction, default=True, help="include NumPy"
    )
    build.add_argument("--tag", default=IMAGE)
    build.add_argument("--method", choices=("auto", "dockerfile", "debootstrap"), default="auto")
    times = commands.add_parser("bench", help="time a run beside other ways to run it")
    times.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    times.add_argument("--rounds", type=int, default=5, help="the best of them counts")
    return parser


def _kinds(choice: str) -> tuple[str, ...]:
    return KINDS if choice == "all" else (choice,)


def _doctor(options: argparse.Namespace) -> int:
    """Prove each limit, and say what is missing. Exit code 1 if no back end holds all."""
    level, reasons = best_level()
    print(f"local level: {level}" + "".join(f"\n  {reason}" for reason in reasons))
    sound = False
    for kind in _kinds(options.kind):
        print(f"\n{kind}:")
        settings = {"runtime": options.runtime} if kind == "docker" and options.runtime else {}
        try:
            sound |= _examine(kind, settings)
        except SandboxError as error:
            print(f"  not available: {error}")
    return 0 if sound else 1


def _examine(kind: str, settings: dict[str, Any]) -> bool:
    held = True
    with open_sandbox(kind, workers=1, spare=False, **settings) as box:
        print(f"  isolation: {box.isolation()}")
        print(f"  languages: {', '.join(box.languages())}")
        for probe, status, reason in run_probes(box):
            good = status in probe.shows
            held &= good
            found = "holds" if good else f"DOES NOT HOLD: {status.value} {reason}"
            print(f"  {probe.limit:<24} {found}")
        program = Program("python", "print(input())")
        cost = median_ms(lambda: box.judge(program, [Case("x", "x")]), 100)
        print(f"  a Python run costs {cost:.2f} ms")
        held &= box.judge(program, [Case("x", "x")]).status is Status.ACCEPTED
    return held


def _build(options: argparse.Namespace) -> int:
    """Build the image."""
    names = FULL_LANGUAGES if options.languages == "all" else options.languages.split(",")
    extra = [name for name in options.packages.split(",") if name]
    ident = build_image(
        names, extra=extra, numpy=options.numpy, tag=options.tag, method=options.method
    )
    print(f"{options.tag} is {ident}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    """Measure, print, and count the targets that were reached."""
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before", flush=True)
    rows = []
    for row in bench(_kinds(options.kind), options.rounds):
        print(row, flush=True)
        rows.append(row)
    wanted = [row for row in rows if row.reached is not None]
    reached = sum(row.reached is True for row in wanted)
    print(f"{reached} of {len(wanted)} targets reached; load {os.getloadavg()[0]:.1f} after")
    return 0


if __name__ == "__main__":
    sys.exit(main())
