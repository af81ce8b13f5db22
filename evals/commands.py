"""The commands of `cascade-eval` around runs and data. Parsing only, like `cascade.evals.cli`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, DataNotFoundError
from cascade.evals.exits import Exit

if TYPE_CHECKING:
    from cascade.evals.downloads import Download

__all__ = ["add_commands", "add_data_dir", "data_dir_of"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of these commands."""
    for name, text, add in (
        ("view", "write a run as static pages for a browser", _add_view),
        ("diff", "which verdicts differ between two verifiers or runs", _add_diff),
        ("plot", "pictures of runs for papers", _add_plot),
        ("board", "rate models by stored judgments against a baseline", _add_board),
        ("elo", "rate a run by the standings of the contests that it tried", _add_elo),
        ("plan", "samples that a wished interval needs, and their cost", _add_plan),
        ("contamination", "problems that occur in training data", _add_contamination),
        ("verify", "do the published numbers come out of published outputs?", _add_verify),
    ):
        add(commands.add_parser(name, help=text, allow_abbrev=False))


def _add_board(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "judgments", nargs="+", type=Path, metavar="FILE|RUN",
        help="files of Arena-Hard's judgments, or run folders of ours",
    )  # fmt: skip
    parser.add_argument("--baseline", required=True, metavar="MODEL")
    parser.add_argument(
        "--answers", nargs="+", type=Path, default=[], metavar="FILE",
        help="answers of all models and the baseline, for --control",
    )  # fmt: skip
    parser.add_argument("--control", choices=("style", "length", "markdown"))
    parser.add_argument("--category", metavar="NAME", help="judgments of one category only")
    parser.add_argument("--rounds", type=int, default=100, help="bootstraps over questions")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_board)


def _board(args: argparse.Namespace) -> int:
    from cascade.evals.board_files import BoardConfig, make_board, print_board

    made = make_board(
        BoardConfig(
            judgments=args.judgments, baseline=args.baseline, answers=args.answers,
            control=args.control, category=args.category, rounds=args.rounds, level=args.level,
        )
    )  # fmt: skip
    if args.json:
        print(json.dumps(made.as_json(), ensure_ascii=False))
    else:
        print_board(made)
    return Exit.FAULTS if made.problems else Exit.RAN


def _add_elo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder or verdict file")
    parser.add_argument(
        "--standings", nargs="+", type=Path, required=True, metavar="FILE|FOLDER",
        help="standings with ratings, in our form or as Codeforces' API answers",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_elo)


def _elo(args: argparse.Namespace) -> int:
    from cascade.evals.judged import read_judged
    from cascade.evals.standings import print_rated, rate, read_contests

    rated = rate(list(read_judged(args.run).values()), read_contests(args.standings))
    if args.json:
        print(json.dumps(rated.as_json(), ensure_ascii=False))
    else:
        print_rated(rated)
    return Exit.FAULTS if rated.problems else Exit.RAN


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder or trajectory file")
    parser.add_argument(
        "other", type=Path, nargs="?", metavar="RUN_B", help="a second run, beside the first"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where the pages go (default: RUN/view)"
    )
    parser.set_defaults(handler=_view)


def _view(args: argparse.Namespace) -> int:
    from cascade.evals.view import build_view

    print(build_view(args.run, args.other, args.out))
    return Exit.RAN


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, help="run folder, trajectory file or verdict file")
    parser.add_argument("b", type=Path, help="the other")
    parser.add_argument(
        "--outputs", nargs="+", type=Path, default=[], metavar="FILE",
        help="the responses that verdict files were computed from, to show them",
    )  # fmt: skip
    parser.add_argument("--format", metavar="NAME", help="form of the outputs, as in rescore")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="flips to print")
    parser.add_argument(
        "--characters", type=int, default=600, metavar="N", help="of each text, from its end"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write all flips as a page")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_diff)


def _diff(args: argparse.Namespace) -> int:
    from rich.console import Console

    from cascade.evals.diff import diff, print_difference, write_html

    if args.limit < 0 or args.characters < 1:
        raise ConfigError("--limit must be 0 or more, --characters 1 or more")
    result = diff(args.a, args.b, args.outputs, args.format)
    if args.html is not None:
        write_html(result, args.html, str(args.a), str(args.b))
    if args.json:
        print(json.dumps(result.as_json()))
    else:
        print_difference(result, Console(), args.limit, args.characters)
    return Exit.RAN


def _add_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder or trajectories")
    parser.add_argument(
        "--kind", action="append", choices=("scores", "pass", "length"),
        help="score bars with intervals, pass@k curves, length against accuracy (default: all "
        "that the runs have data for)",
    )  # fmt: skip
    parser.add_argument("--format", choices=("svg", "png", "pdf"), default="svg")
    parser.add_argument("--out", type=Path, default=Path("plots"), metavar="FOLDER")
    parser.set_defaults(handler=_plot)


def _plot(args: argparse.Namespace) -> int:
    from cascade.evals.plot import plot

    for file in plot(args.runs, args.out, args.kind, args.format):
        print(file)
    return Exit.RAN


def _add_contamination(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "train", nargs="+", type=Path, metavar="TRAIN",
        help="training data: .jsonl, .csv, .json, .txt (also .gz) or .parquet, any fields",
    )  # fmt: skip
    parser.add_argument("--task", action="append", default=[], metavar="NAME")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME")
    parser.add_argument(
        "--against", action="append", default=[], type=Path, metavar="FILE",
        help="any other file of problems",
    )  # fmt: skip
    parser.add_argument(
        "--ngram", type=int, default=13, metavar="N", help="words in a row that are a match"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="problems to print")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_dir(parser)
    parser.set_defaults(handler=_contamination)


def _contamination(args: argparse.Namespace) -> int:
    from cascade.evals.contamination import ProblemIndex, print_contamination, problems_of, scan
    from cascade.evals.suites import find_suite

    names = [name for suite in args.suite for name in find_suite(suite).tasks] + args.task
    sets, missing = problems_of(names, args.against, data_dir_of(args))
    result = scan(ProblemIndex(sets, args.ngram), args.train)
    if args.json:
        print(json.dumps({**result.as_json(), "left_out": missing}))
        return Exit.RAN
    print_contamination(result, args.limit)
    for name, reason in missing.items():
        print(f"left out: {name}: {reason}")
    return Exit.RAN


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="folder of a short probe")
    parser.add_argument("other", nargs="?", type=Path, metavar="RUN_B", help="of another model")
    parser.add_argument(
        "--half-width", type=float, default=2.0, metavar="POINTS", help="of the 95 %% interval"
    )
    parser.add_argument(
        "--correlation", type=float, default=0.5, metavar="R",
        help="of two models' means over problems, where there is one run",
    )  # fmt: skip
    parser.add_argument("--problems", type=int, metavar="N", help="of the whole task")
    given = parser.add_argument_group("without a probe (rewards in [0, 1])")
    given.add_argument("--within", type=float, metavar="VARIANCE", help="within problems")
    given.add_argument("--between", type=float, metavar="VARIANCE", help="of the problems' means")
    given.add_argument("--tokens", type=float, metavar="N", help="a sample")
    given.add_argument("--tokens-per-second", type=float, metavar="N", help="of the engine")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_plan)


def _plan(args: argparse.Namespace) -> int:
    from cascade.evals.budget import Probe, Wish, plan_budget, print_budget, probe_of_runs

    if args.run is not None:
        probes = probe_of_runs(args.run, args.other, args.problems)
    elif None in (args.problems, args.within, args.between):
        raise ConfigError("give the folder of a probe run, or --problems, --within and --between")
    else:
        probes = [
            Probe(
                task="given", problems=args.problems, within=args.within, between=args.between,
                tokens_per_sample=args.tokens, tokens_per_second=args.tokens_per_second,
            )
        ]  # fmt: skip
    wish = Wish(args.half_width, args.correlation)
    budgets = [plan_budget(probe, wish) for probe in probes]
    if args.json:
        print(json.dumps({"tasks": [budget.as_json() for budget in budgets]}))
    else:
        print_budget(budgets)
    return Exit.RAN


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
    parser.add_argument(
        "--download", action="store_true",
        help="fetch missing files whose licence allows it into --data-dir, checked by SHA-256",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_dir(parser)
    parser.set_defaults(handler=_verify)


def _download(downloads: list[Download], args: argparse.Namespace) -> None:
    from cascade.evals.downloads import fetch_missing

    folder = data_dir_of(args)
    if folder is None:
        raise ConfigError("--download needs --data-dir DIR (or CASCADE_DATA): where to put files")
    for file in fetch_missing(downloads, folder):
        print(f"fetched {file}", file=sys.stderr)


def _verify(args: argparse.Namespace) -> int:
    from cascade.evals.verify import Outcome, find_sets, print_replayed, replay_all

    sets = find_sets(args.sets)
    if args.download:
        _download([download for golden in sets for download in golden.downloads], args)
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
