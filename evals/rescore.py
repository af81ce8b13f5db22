"""`cascade-eval rescore`: verdicts and score of stored outputs, without any model."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cascade.envs.base import SingleTurnEnv, TextEnv
from cascade.envs.registry import make_env
from cascade.envs.tasksets import TaskSet
from cascade.errors import ConfigError, DataError, DataNotFoundError
from cascade.evals.formats import Format, Output
from cascade.evals.outputs import (
    named_by_prompt,
    numbered,
    own_problems,
    read_answers,
    read_outputs,
)
from cascade.evals.plan import groups_of
from cascade.evals.progress import judging_bar
from cascade.evals.records import Record, answer_key, is_unparsable
from cascade.evals.summary import Limits, Summary, summarise
from cascade.evals.task import EvalTask, Protocol, find_task
from cascade.evals.where import Condition, chosen_by
from cascade.types import Verdict
from cascade.verifiers import math as math_verifier
from cascade.verifiers.policy import Policy

__all__ = ["RescoreConfig", "Rescored", "print_rescored", "rescore"]

_GENERIC = {
    "math": "cascade/Math-v0",
    "choice": "cascade/MultipleChoice-v0",
    "instructions": "cascade/InstructionFollowing-v0",
    "structured_output": "cascade/StructuredOutput-v0",
    "tool_calling": "cascade/ToolCalling-v0",
}
_COUNTED = "counted"
"""The task that stands for any problems whose published verdicts are counted."""
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreConfig:
    """What to judge, and against what."""

    task: str
    """A task's name, or one of `_GENERIC` (`math`, `choice`, …) for other problems."""
    outputs: Sequence[Path]
    """Files of outputs; with several, each holds further samples."""
    answers: Path | None = None
    """Gold answers: rows {id, answer[, options]}."""
    format: str | None = None
    """Form of the outputs; None: our own, told apart by their first row."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """For `math`: fields of `cascade.verifiers.policy.Policy`; for the others of `_GENERIC`:
    options of the environment."""
    data_dir: Path | None = None
    out: Path | None = None
    """Where verdicts go; None: beside the first file of outputs, else a new temporary folder."""
    limits: Limits = field(default_factory=Limits)
    where: tuple[Condition, ...] = ()
    """Conditions on the problems, on top of the task's own."""
    problems: int | None = None
    """How many problems there are, where neither the task nor the files say so."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """The result."""

    summary: Summary
    verdicts: Path
    """One JSON line a sample."""
    unknown_ids: tuple[str, ...]
    """Outputs of no problem that has an answer: not judged."""
    missing_ids: tuple[str, ...]
    """Problems without an output."""
    other_tasks: int
    """Rows of a trajectory file that belong to other tasks."""
    identical: int
    """Samples whose text equals an earlier one of the same problem."""
    agreement: Mapping[str, int] | None
    """Against the publisher's verdicts, where the outputs carry them: `same`, `ours_only` (we say
    right, they wrong), `theirs_only`."""
    problems: tuple[str, ...]
    """Limits that were exceeded."""
    absent: int = 0
    """Further problems that must exist by the task's size; their ids are not known here."""

    @property
    def complete(self) -> bool:
        """Whether every problem has all of its samples."""
        return not self.missing_ids and not self.absent and self.summary.complete

    def as_json(self) -> dict[str, Any]:
        """Return the one object that `--json` prints."""
        s = self.summary
        counts = {**s.counts, "missing_problems": len(self.missing_ids) + self.absent,
                  "unknown_ids": len(self.unknown_ids), "identical_samples": self.identical,
                  "other_tasks": self.other_tasks}  # fmt: skip
        return {
            "task": s.task,
            "problems": s.problems,
            "samples": s.samples,
            "score": s.score,
            "standard_error": s.standard_error,
            "metrics": s.metrics,
            "counts": counts,
            "verdicts": str(self.verdicts),
            "complete": self.complete,
            "groups": s.groups,
            "headline": s.headline,
            "interval": list(s.interval) if s.interval else None,
            "run_noise": s.run_noise,
            "expected_problems": s.expected_problems,
            "missing_samples": s.missing,
            "missing_ids": list(self.missing_ids[:100]),
            "unknown_ids": list(self.unknown_ids[:100]),
            "agreement": dict(self.agreement) if self.agreement is not None else None,
            "published": [comparison.as_json() for comparison in s.published],
            "limits_exceeded": list(self.problems),
        }


def rescore(config: RescoreConfig) -> Rescored:
    """Judge stored outputs and compute their score.

    Everything is read before anything is judged: a malformed row is an error, and nothing is
    half-loaded. Rows of the same id are samples, numbered in the order of files and rows unless
    they carry a number; the same number twice is an error. Outputs whose id has no answer are
    counted and named, and so are problems without an output; neither counts as wrong.

    Raises:
        UnknownNameError: an unknown task or format.
        ConfigError: settings that do not fit together.
        DataError: a file or row that cannot be read, with file, line and field.
    """
    generic = config.task in (*_GENERIC, _COUNTED)
    form, outputs, other = read_outputs(
        config.outputs, config.format, None if generic else config.task
    )
    task = _task(config, form, outputs)
    answers, expected = _answers(config, task, form, outputs)
    if form.is_by_prompt:
        outputs = named_by_prompt(outputs, answers)
    samples = numbered(outputs)
    chosen = chosen_by(answers, (*task.where, *config.where))
    known = [item for item in samples if chosen.get(item[0].id) is not None]
    unknown = tuple(dict.fromkeys(o.id for o, _ in samples if answers.get(o.id) is None))
    if not known:
        raise DataError(
            f"none of the {len(samples):,} outputs has an id of {answers.name!r} (they have "
            f"{_some(unknown)}; the answers have {_some([t.id for t in chosen])})"
        )
    absent = max(0, expected - len(chosen)) if expected is not None else 0
    answers = chosen
    verdicts = _judge(config, task, answers, [output for output, _ in known], form)
    records = [_record(task.name, o, n, v) for (o, n), v in zip(known, verdicts, strict=True)]
    path = _write_verdicts(config, task.name, known, verdicts)
    present = {record.task_id for record in records}
    missing = tuple(t.id for t in answers if t.id not in present)
    most = max(Counter(record.task_id for record in records).values())
    least = min(Counter(record.task_id for record in records).values())
    votes = ("maj@k",) if any(record.answer is not None for record in records) else ()
    metrics = ("avg@k", *votes, "pass@k") + ((f"pass@{least}",) if least < most else ())
    protocol = Protocol(
        source="rescored", samples=most, metrics=metrics, set_metrics=task.protocol.set_metrics
    )
    summary = summarise(
        task.name, protocol, [t.id for t in answers], records,
        () if missing or absent or config.where else task.published, groups_of(task, answers),
    )  # fmt: skip
    return Rescored(
        summary, path, unknown, missing, other, _identical(known),
        _agreement(known, verdicts), tuple(config.limits.exceeded(summary)), absent,
    )  # fmt: skip


def _answers(
    config: RescoreConfig, task: EvalTask, form: Format, outputs: Sequence[Output]
) -> tuple[TaskSet, int | None]:
    """The problems with what they are judged by, and how many there must be, if known.

    Outputs that bring their verdicts need no answers: where the task's data is not at hand, their
    own problems are taken, and the task's size tells how many are missing.
    """
    counted = all(output.verdict is not None or output.fault for output in outputs)
    if counted and config.answers is None:
        if task.name not in (*_GENERIC, _COUNTED):
            with contextlib.suppress(DataNotFoundError):
                return task.source.load(config.data_dir), None
        size = config.problems
        if size is None and task.name != _COUNTED and not config.where:
            size = task.num_problems
        return own_problems(outputs), size
    if task.name == _COUNTED:
        raise ConfigError(f"--task {_COUNTED} counts published verdicts: this form brings none")
    if task.name in _GENERIC or form.has_gold or config.answers is not None:
        options = 10 if task.env == _GENERIC["choice"] else None
        return read_answers(config.answers, outputs, options), config.problems
    return task.source.load(config.data_dir), config.problems


def _task(config: RescoreConfig, form: Format, outputs: Sequence[Output]) -> EvalTask:
    """The registered task, or one made up for problems of no registered task."""
    if config.task == _COUNTED:
        return EvalTask(
            name=_COUNTED, description="published verdicts", env=_GENERIC["math"], tasks="math",
            protocol=Protocol(source="counted"),
        )  # fmt: skip
    if config.task not in _GENERIC:
        if config.policy:
            raise ConfigError(f"task {config.task!r} has its own policy: leave out --policy")
        return find_task(config.task)
    if config.answers is None and all(output.gold is None for output in outputs):
        raise ConfigError(
            f"--task {config.task} needs --answers FILE with rows {{id, answer}}: outputs of the "
            f"form {form.name!r} carry none"
        )
    return EvalTask(
        name=config.task,
        description="stored outputs",
        env=_GENERIC[config.task],
        env_options=_env_options(config),
        tasks=config.task,
        protocol=Protocol(source="rescored"),
    )


def _env_options(config: RescoreConfig) -> dict[str, Any]:
    if config.task == "math":
        return {"policy": Policy(**config.policy)} if config.policy else {}
    if config.task == "instructions":
        return {"standard": "published", **config.policy}
    return dict(config.policy)


def _judge(
    config: RescoreConfig,
    task: EvalTask,
    answers: TaskSet,
    outputs: Sequence[Output],
    form: Format,
) -> list[Verdict]:
    """Judge every output; mathematics in parallel worker processes that can be killed."""
    verdicts: list[Verdict | None] = [output.verdict for output in outputs]
    asked: list[tuple[int, Output]] = []
    for index, output in enumerate(outputs):
        if output.verdict is not None:
            continue
        if output.fault is not None:
            verdicts[index] = Verdict.fault(output.fault)
        elif output.response is None:
            verdicts[index] = Verdict.no_answer("no answer in the output")
        else:
            asked.append((index, output))
    if not asked:
        return [verdict for verdict in verdicts if verdict is not None]
    env = make_env(task.env, tasks=answers, data_dir=config.data_dir, **task.env_options)
    with judging_bar(len(asked)) as advance:
        if isinstance(env, SingleTurnEnv) and isinstance(env.verifier, math_verifier.MathVerifier):
            policy = env.verifier.policy
            if form.is_answer:
                policy = replace(policy, extraction="whole", reasoning="keep")
            references = {task.id: env.reference(task) for task in answers}
            judged = math_verifier.verify_many(
                [(output.response or "", references[output.id]) for _, output in asked],
                policy=policy,
                timeout_seconds=env.verifier.timeout_seconds,
                progress=advance,
            )
        else:
            judged = []
            for _, output in asked:
                judged.append(_judged_alone(env, output, form))
                advance(len(judged), len(asked))
    for (index, _), verdict in zip(asked, judged, strict=True):
        verdicts[index] = verdict
    return [verdict for verdict in verdicts if verdict is not None]


def _judged_alone(env: TextEnv, output: Output, form: Format) -> Verdict:
    """Judge one output as an episode of the environment."""
    if output.messages and not isinstance(env, SingleTurnEnv):
        return env.judge_stored(output.id, output.messages)
    response = output.response or ""
    env.reset(seed=0, options={"task": output.id})
    env.message_cut_off = output.truncated
    turn = env.respond(f"\\boxed{{{response}}}" if form.is_answer else response)
    if turn.verdict is None:
        raise ConfigError(
            f"an episode of {type(env).__name__} has several messages, and an output of the form "
            f"{form.name!r} holds one: rescore its trajectories"
        )
    return turn.verdict


def _record(task: str, output: Output, number: int, verdict: Verdict) -> Record:
    return Record(
        task, output.id, number, verdict.reward, verdict.status, answer_key(verdict.extracted),
        output.truncated, output.empty, is_unparsable(verdict.status, verdict.reason),
        output.num_tokens, verdict.parts,
    )  # fmt: skip


def _write_verdicts(
    config: RescoreConfig,
    task: str,
    known: Sequence[tuple[Output, int]],
    verdicts: Sequence[Verdict],
) -> Path:
    lines = []
    for (output, number), verdict in zip(known, verdicts, strict=True):
        row: dict[str, Any] = {
            "task": task,
            "id": output.id,
            "sample": number,
            "status": verdict.status.value,
            "reward": verdict.reward,
            "extracted": verdict.extracted,
            "reason": verdict.reason,
        }
        if output.published is not None:
            row["published"] = output.published
        lines.append(json.dumps(row) + "\n")
    text = "".join(lines)
    for path in _places(config):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return path
        except OSError as error:
            if config.out is not None:
                raise ConfigError(f"--out {str(path)!r} cannot be written: {error}") from error
    raise ConfigError("no place to write the verdicts to: give --out FILE")


def _places(config: RescoreConfig) -> Iterator[Path]:
    if config.out is not None:
        yield config.out
        return
    first = config.outputs[0]
    stem = first.name
    for suffix in (".gz", ".jsonl", ".json", ".csv", ".parquet"):
        stem = stem.removesuffix(suffix)
    name = f"{stem}.{config.task}.verdicts.jsonl"
    # A folder that is marked read-only stays as it is, even where root could write to it.
    if first.resolve().parent.stat().st_mode & 0o222:
        yield first.parent / name
    yield Path(tempfile.mkdtemp(prefix="cascade-rescore-")) / name


def _identical(known: Sequence[tuple[Output, int]]) -> int:
    different = {(output.id, output.response) for output, _ in known}
    return len(known) - len(different)


def _agreement(
    known: Sequence[tuple[Output, int]], verdicts: Sequence[Verdict]
) -> dict[str, int] | None:
    pairs = [
        (verdict.reward, output.published)
        for (output, _), verdict in zip(known, verdicts, strict=True)
        if output.published is not None and not verdict.is_fault
    ]
    if not pairs:
        return None
    return {
        "same": sum(ours == theirs for ours, theirs in pairs),
        "ours_only": sum(ours > theirs for ours, theirs in pairs),
        "theirs_only": sum(ours < theirs for ours, theirs in pairs),
    }


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:_NAMED])
    return f"{shown}, … ({len(names):,} in all)" if len(names) > _NAMED else shown or "none"


def print_rescored(result: Rescored) -> None:
    """Print the result for a person."""
    s = result.summary
    bounds = f", 95 % interval {s.interval[0]:.1f} to {s.interval[1]:.1f}" if s.interval else ""
    noise = f", run noise ±{s.run_noise:.1f}" if s.run_noise is not None else ""
    score = "-" if s.score is None else f"{s.score:.2f}"
    mark = "" if result.complete else " (incomplete)"
    print(f"{s.task} {s.headline}: {score}{mark}{bounds}{noise}")
    print(f"{s.problems:,} problems, {s.samples:,} samples")
    for name, value in s.metrics.items():
        print(f"  {name}: {'-' if value is None else f'{value:.2f}'}")
    print("  " + ", ".join(f"{name} {count:,}" for name, count in s.counts.items()))
    if result.agreement is not None:
        same, total = result.agreement["same"], sum(result.agreement.values())
        print(
            f"  verdicts equal to the published ones: {same:,} of {total:,} "
            f"(right only here {result.agreement['ours_only']:,}, only there "
            f"{result.agreement['theirs_only']:,})"
        )
    for name, group in s.groups.items():
        print(f"  {name}: {group['score']:.2f} of {group['problems']:,.0f} problems")
    for comparison in s.published:
        print(f"  {comparison.published.model}: {comparison.published.score} {comparison.sentence}")
    if result.missing_ids:
        print(f"missing: {len(result.missing_ids):,} problems without an output: "
              f"{_some(result.missing_ids)}")  # fmt: skip
    if result.absent:
        print(f"missing: {result.absent:,} problems that the task has and the outputs have not")
    if s.missing and not result.missing_ids:
        print(f"missing: {s.missing:,} samples of {s.expected_samples:,}")
    if result.unknown_ids:
        print(f"not judged: {len(result.unknown_ids):,} ids without an answer: "
              f"{_some(result.unknown_ids)}")  # fmt: skip
    for problem in result.problems:
        print(f"attention: {problem}")
    print(f"verdicts: {result.verdicts}")
