"""The commands of `cascade-eval` around runs and data. Parsing only, like `cascade.evals.cli`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from cascade.errors import DataNotFoundError
from cascade.evals.exits import Exit

__all__ = ["add_commands", "add_data_dir", "data_dir_of"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of these commands."""
    _add_verify(
        commands.add_parser(
            "verify", help="re-score published outputs: do the published numbers come out?",
            allow_abbrev=False,
        )
    )  # fmt: skip


def add_data_dir(parser: argparse._ActionsContainer) -> None:
    """Add the option `--data-dir`."""
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR",
        help="where task sets are looked for before the hub (default: CASCADE_DATA)",
    )  # fmt: skip


def data_dir_of(args: argparse.Namespace) -> Path | None:
    """Return the folder of `--data-dir`, else of CASCADE_DATA."""
    if args.data_dir is not None:
        folder: Path = args.data_dir
        return folder
    given = os.environ.get("CASCADE_DATA")
    return Path(given) if given else None


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sets", nargs="*", metavar="SET", help="names, folders of them, or patterns with *"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_dir(parser)
    parser.set_defaults(handler=_verify)


def _verify(args: argparse.Namespace) -> int:
    from cascade.evals.verify import Outcome, find_sets, print_replayed, replay_all

    sets = find_sets(args.sets)
    widths = max(len(s.name) for s in sets), max(len(e.name) for s in sets for e in s.expected)
    if not args.json:
        print(f"{'set':{widths[0]}}  {'number':{widths[1]}} expected      got within status")
    results: list[dict[str, Any]] = []
    for rows in replay_all(sets, data_dir_of(args)):
        results.extend(row.as_json() for row in rows)
        if not args.json:
            print_replayed(rows, widths)
    counts = {o.value: sum(r["status"] == o.value for r in results) for o in Outcome}
    if args.json:
        print(json.dumps({"numbers": results, "counts": counts}, ensure_ascii=False))
    else:
        print(f"{len(results):,} numbers of {len(sets):,} sets: "
              + ", ".join(f"{count:,} {name}" for name, count in counts.items()))  # fmt: skip
    if counts[Outcome.NO_DATA] == len(results):
        raise DataNotFoundError(f"{str(data_dir_of(args))!r} has the data of none of these sets")
    return Exit.FAULTS if counts[Outcome.MISS] or counts[Outcome.FAULT] else Exit.RAN
