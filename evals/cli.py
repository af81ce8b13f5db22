"""`cascade-eval`: the command line. Parsing only; the work is in modules loaded when needed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade import __version__
from cascade.errors import CascadeError, ConfigError
from cascade.evals.commands import add_commands, add_data_dir, data_dir_of
from cascade.evals.exits import Exit

if TYPE_CHECKING:
    from cascade.evals.plan import Overrides
    from cascade.evals.run import EngineChoice
    from cascade.evals.summary import Limits

__all__ = ["build_parser", "main"]

_EPILOG = """\
examples:
  cascade-eval --suite reasoning --mini                      try everything, with a toy
  cascade-eval --suite reasoning --base-url http://host:8000/v1 --model NAME
  cascade-eval --task aime25 --model PATH_OR_HUB_ID --engine vllm --samples 8
  cascade-eval --resume --out runs/FOLDER                    finish an interrupted run
  cascade-eval rescore --task aime25 --outputs FILE.jsonl --json
  cascade-eval compare runs/A runs/B
  cascade-eval view runs/A runs/B                            pages for a browser
  cascade-eval verify                                        published outputs, published numbers

exit codes: 0 ran; 2 could not run; 3 ran with faults, missing samples or a limit exceeded;
130 interrupted (what is done is kept: --resume finishes it)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else "--help"
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        given.insert(0, "run")
    parser = build_parser()
    args = parser.parse_args(given or ["--help"])
    args.arguments = given[1:] if given[0] == "run" else given
    try:
        code: int = args.handler(args)
        sys.stdout.flush()
        return code
    except CascadeError as error:
        print(f"cascade-eval: {error}", file=sys.stderr)
        return Exit.COULD_NOT_RUN
    except KeyboardInterrupt:
        print("cascade-eval: interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.RAN


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported for it."""
    parser = argparse.ArgumentParser(
        prog="cascade-eval",
        description="Evaluate language models on tasks that a program can check.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cascade-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands.add_parser("run", help="run tasks (the default)", allow_abbrev=False))
    _add_rescore(
        commands.add_parser(
            "rescore", help="recompute verdicts and score of stored outputs", allow_abbrev=False
        )
    )
    compare = commands.add_parser(
        "compare", help="compare two runs problem by problem", allow_abbrev=False
    )
    compare.add_argument("a", type=Path, help="run folder or verdict file")
    compare.add_argument("b", type=Path, help="run folder or verdict file")
    compare.add_argument(
        "--common", action="store_true", help="compare the problems that both have"
    )
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    compare.set_defaults(handler=_compare)
    listing = commands.add_parser("list", help="list suites and tasks")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(handler=_list)
    show = commands.add_parser("show", help="print all there is to know about a task")
    show.add_argument("task", metavar="TASK")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(handler=_show)
    add_commands(commands)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what")
    what.add_argument("--suite", action="append", default=[], metavar="NAME")
    what.add_argument("--task", action="append", default=[], metavar="NAME")
    what.add_argument("--mini", action="store_true", help="toy tasks in place of the real ones")
    what.add_argument("--limit", type=int, metavar="N", help="first N problems of each task only")
    what.add_argument(
        "--where", action="append", default=[], metavar="FIELD=VALUE",
        help="problems with that metadata only; also != < <= > >=, as in contest_date>=2024-08-01",
    )  # fmt: skip
    what.add_argument(
        "--skip-missing", action="store_true",
        help="leave out tasks whose data or judge cannot be had",
    )  # fmt: skip
    add_data_dir(what)
    model = parser.add_argument_group("model")
    model.add_argument("--model", metavar="NAME|PATH|HUB_ID")
    model.add_argument("--base-url", metavar="URL", help="of an OpenAI-compatible server")
    model.add_argument(
        "--api-key-env", metavar="VARIABLE",
        help="environment variable with the server's key (default OPENAI_API_KEY)",
    )  # fmt: skip
    model.add_argument("--engine", metavar="KIND", help="http, torch, vllm, tiny, …")
    model.add_argument(
        "--engine-option", action="append", default=[], metavar="NAME=VALUE",
        help="option of the engine; VALUE is JSON or text",
    )  # fmt: skip
    _add_judge(parser)
    protocol = parser.add_argument_group("protocol (default: as published, see `show TASK`)")
    protocol.add_argument("--samples", type=int, metavar="K", help="samples per problem")
    protocol.add_argument("--temperature", type=float)
    protocol.add_argument("--top-p", type=float)
    protocol.add_argument("--top-k", type=int)
    protocol.add_argument("--max-tokens", type=int)
    protocol.add_argument("--stop", action="append", metavar="TEXT")
    protocol.add_argument("--thinking", choices=("on", "off", "default"))
    protocol.add_argument("--system", metavar="TEXT", help="system message")
    protocol.add_argument("--prompt", metavar="TEXT", help="with {problem} (and {options})")
    protocol.add_argument("--sampling-extra", metavar="JSON", help="the server's own fields")
    how = parser.add_argument_group("how")
    how.add_argument("--seed", type=int, default=0)
    how.add_argument("--out", type=Path, metavar="DIR", help="run folder (default runs/…)")
    how.add_argument("--resume", action="store_true", help="finish the run in --out")
    how.add_argument("--concurrency", type=int, metavar="N", help="samples in flight")
    how.add_argument("--retries", type=int, default=2, metavar="N", help="of a faulty sample")
    how.add_argument("--keep-tokens", action="store_true", help="store token ids")
    how.add_argument("--json", action="store_true", help="print report.json instead of a table")
    _add_limits(parser)
    parser.set_defaults(handler=_run)


def _add_judge(parser: argparse.ArgumentParser) -> None:
    judge = parser.add_argument_group("judge (a model, for tasks that no program can judge)")
    judge.add_argument("--judge-model", metavar="NAME")
    judge.add_argument("--judge-base-url", metavar="URL", help="default: OPENAI_BASE_URL")
    judge.add_argument(
        "--judge-api-key-env", metavar="VARIABLE",
        help="environment variable with its server's key (default OPENAI_API_KEY)",
    )  # fmt: skip
    judge.add_argument(
        "--judge-max-tokens", type=int, metavar="N", help="of its replies (default: as published)"
    )
    judge.add_argument("--judge-engine", metavar="KIND", help="http (the default), vllm, torch, …")
    judge.add_argument(
        "--judge-option", action="append", default=[], metavar="NAME=VALUE",
        help="option of the judge's engine; VALUE is JSON or text",
    )  # fmt: skip


def _judge(args: argparse.Namespace) -> EngineChoice | None:
    from cascade.envs.options import named_values
    from cascade.evals.run import EngineChoice, api_key

    given = (args.judge_base_url, args.judge_engine, args.judge_api_key_env, *args.judge_option)
    if args.judge_model is None:
        if any(given):
            raise ConfigError("--judge-base-url, --judge-engine … need --judge-model NAME")
        return None
    options = named_values(args.judge_option, "--judge-option")
    if args.judge_api_key_env is not None:
        options["api_key"] = api_key(args.judge_api_key_env)
    kind = args.judge_engine or "http"
    return EngineChoice.of(kind, args.judge_model, args.judge_base_url, mini=False, options=options)


def _add_rescore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task", required=True, metavar="NAME",
        help="a task, or `math` or `choice` for outputs of any other problems",
    )  # fmt: skip
    parser.add_argument(
        "--outputs", required=True, nargs="+", type=Path, metavar="FILE",
        help="rows {id, response}; with several files each holds further samples",
    )  # fmt: skip
    parser.add_argument("--answers", type=Path, metavar="FILE", help="rows {id, answer[, options]}")
    parser.add_argument(
        "--format", metavar="NAME", help="form of the outputs, if not ours: see docs/evals.md"
    )
    parser.add_argument(
        "--policy", action="append", default=[], metavar="NAME=VALUE",
        help="with --task math: what counts as equal (cascade.verifiers.policy.Policy)",
    )  # fmt: skip
    parser.add_argument(
        "--where", action="append", default=[], metavar="FIELD=VALUE",
        help="problems with that metadata only; also != < <= > >=",
    )  # fmt: skip
    parser.add_argument(
        "--problems", type=int, metavar="N", help="how many there are, with --task counted"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where verdicts are written")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_dir(parser)
    _add_limits(parser)
    parser.set_defaults(handler=_rescore)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits (shares of samples; above one the exit code is 3)")
    for name in ("fault", "empty", "truncated", "no-answer", "unparsable", "refused"):
        group.add_argument(f"--max-{name}-share", type=float, metavar="SHARE")


def _limits(args: argparse.Namespace) -> Limits:
    from cascade.evals.summary import Limits

    names = ("fault", "empty", "truncated", "no_answer", "unparsable", "refused")
    given = {name: getattr(args, f"max_{name}_share") for name in names}
    return Limits(**{name: value for name, value in given.items() if value is not None})


def _overrides(args: argparse.Namespace) -> Overrides:
    from cascade.evals.plan import Overrides
    from cascade.evals.where import condition_of

    sampling: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("temperature", "top_p", "top_k", "max_tokens")
        if getattr(args, name) is not None
    }
    if args.stop is not None:
        sampling["stop"] = tuple(args.stop)
    if args.thinking is not None:
        sampling["thinking"] = {"on": True, "off": False, "default": None}[args.thinking]
    if args.sampling_extra is not None:
        sampling["extra"] = _json_object(args.sampling_extra, "--sampling-extra")
    where = tuple(condition_of(text) for text in args.where)
    return Overrides(
        args.samples, args.prompt, args.system, sampling, args.limit, where, args.judge_max_tokens
    )


def _json_object(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{option} must be a JSON object, got {text!r} ({error.msg})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{option} must be a JSON object, got {text!r}")
    return value


def _engine_options(args: argparse.Namespace, is_http: bool) -> dict[str, Any]:
    from cascade.envs.options import named_values
    from cascade.evals.run import api_key

    options: dict[str, Any] = {}
    if is_http:
        if args.api_key_env is not None:
            options["api_key"] = api_key(args.api_key_env)
        if args.concurrency is not None:
            options["concurrency"] = args.concurrency
    return {**options, **named_values(args.engine_option, "--engine-option")}


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from cascade.evals.report import print_report
    from cascade.evals.run import EngineChoice, RunConfig, run
    from cascade.evals.runner import RunnerConfig

    _check_run(args)
    is_http = args.base_url is not None or args.engine == "http"
    config = RunConfig(
        suites=args.suite,
        tasks=args.task,
        mini=args.mini,
        engine=EngineChoice.of(
            args.engine, args.model, args.base_url, mini=args.mini,
            options=_engine_options(args, is_http),
        ),
        overrides=_overrides(args),
        data_dir=data_dir_of(args),
        out=args.out,
        resume=args.resume,
        skip_missing=args.skip_missing,
        judge=_judge(args),
        runner=RunnerConfig(
            seed=args.seed, concurrency=args.concurrency, retries=args.retries,
            keep_tokens=args.keep_tokens,
        ),
        limits=_limits(args),
        arguments=args.arguments,
    )  # fmt: skip
    report, folder, code = run(config, Console(stderr=True))
    if args.json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        print_report(report, Console())
        print(f"report: {folder / 'report.json'}")
    if code == Exit.INTERRUPTED:
        print(f"cascade-eval: interrupted; finish it with --resume --out {folder}", file=sys.stderr)
    return code


def _check_run(args: argparse.Namespace) -> None:
    if args.concurrency is not None and args.concurrency < 1:
        raise ConfigError(f"--concurrency must be 1 or more, got {args.concurrency}")
    if args.retries < 0:
        raise ConfigError(f"--retries must be 0 or more, got {args.retries}")
    if args.resume and args.out is None:
        raise ConfigError("--resume needs --out DIR: the folder of the run to finish")


def _rescore(args: argparse.Namespace) -> int:
    from cascade.envs.options import named_values
    from cascade.evals.rescore import RescoreConfig, print_rescored, rescore
    from cascade.evals.where import condition_of

    config = RescoreConfig(
        task=args.task, outputs=args.outputs, answers=args.answers, format=args.format,
        policy=named_values(args.policy, "--policy"), data_dir=data_dir_of(args), out=args.out,
        limits=_limits(args), where=tuple(condition_of(text) for text in args.where),
        problems=args.problems,
    )  # fmt: skip
    result = rescore(config)
    if args.json:
        print(json.dumps(result.as_json(), ensure_ascii=False))
    else:
        print_rescored(result)
    return Exit.FAULTS if result.problems or result.absent else Exit.RAN


def _compare(args: argparse.Namespace) -> int:
    from cascade.evals.compare import compare, print_comparison

    comparisons = compare(args.a, args.b, common=args.common)
    if args.json:
        print(json.dumps({"tasks": [c.as_json() for c in comparisons]}, ensure_ascii=False))
    else:
        print_comparison(comparisons, str(args.a), str(args.b))
    return Exit.RAN


def _list(args: argparse.Namespace) -> int:
    from cascade.evals.listing import list_tasks

    list_tasks(as_json=args.json)
    return Exit.RAN


def _show(args: argparse.Namespace) -> int:
    from cascade.evals.listing import show_task

    show_task(args.task, as_json=args.json)
    return Exit.RAN


if __name__ == "__main__":
    sys.exit(main())
