"""Forms in which other harnesses and leaderboards store results, with their own verdicts.

Where the verdict needs what is not published (hidden tests, a judge), the publisher's own is
counted: that shows whether a score follows from its verdicts, and over which problems.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.envs.pairwise.env import verdict_of_games
from cascade.envs.pairwise.protocols import find_pair_protocol
from cascade.envs.rows import Row, read_rows
from cascade.errors import ConfigError, DataError
from cascade.evals.arena_board import judged_of_row
from cascade.evals.stored import Format, Output, field_of
from cascade.types import Verdict, VerdictStatus

__all__ = ["FOREIGN"]


def _counted(reward: float, reason: str) -> Verdict:
    """Return a publisher's verdict as one of ours."""
    if not 0.0 <= reward <= 1.0:
        raise DataError(f"a verdict must lie in [0, 1], got {reward!r}")
    statuses = {0.0: VerdictStatus.WRONG, 1.0: VerdictStatus.CORRECT}
    return Verdict(reward, statuses.get(reward, VerdictStatus.PARTIAL), reason=reason)


_LCB_FIELDS = ("platform", "contest_id", "contest_date", "difficulty")


def _livecodebench(row: Row, index: int, argument: str) -> Iterator[Output]:
    """A submission's ``eval_all`` file: `code_list` is judged, or with `graded` what it says."""
    if argument not in ("", "graded"):
        raise ConfigError(
            f"--format livecodebench takes no argument, or `graded`; got {argument!r}"
        )
    name = str(field_of(row, "question_id"))
    codes = field_of(row, "code_list")
    grades = row.get("graded_list")
    if not isinstance(codes, list) or (grades is not None and len(grades) != len(codes)):
        raise DataError("fields 'code_list' and 'graded_list' must be lists of one length")
    if argument and grades is None:
        raise DataError("field 'graded_list' is missing: there is no verdict to count")
    about = {field: row[field] for field in _LCB_FIELDS if row.get(field) is not None}
    for number, code in enumerate(codes):
        grade = None if grades is None else float(bool(grades[number]))
        counted = _counted(grade, "as published") if argument and grade is not None else None
        text = str(code)
        yield Output(
            name,
            f"{_fence(text)}python\n{text}\n{_fence(text)}" if text.strip() else None,
            number,
            published=grade,
            empty=not text.strip(),
            verdict=counted,
            metadata=about,
        )


def _livecodebench_pro(row: Row, index: int, argument: str) -> Iterator[Output]:
    """A row of the toolkit's ``benchmark_result.json``; what its judge says is counted."""
    name, said = str(field_of(row, "problem_id")), str(field_of(row, "judge_result"))
    about = {key: str(row[key]).lower() for key in ("difficulty", "platform") if row.get(key)}
    text = str(row.get("text_response") or "")
    if said in _PRO_FAULTS and row.get("code"):
        yield Output(name, None, fault=f"the publisher's judge: {said}", metadata=about)
        return
    verdict = _counted(float(said == "Accepted"), said)
    yield Output(name, text, empty=not text.strip(), verdict=verdict, metadata=about)


_PRO_FAULTS = ("Judge Failed", "Judging")
"""Words of the toolkit's judge that say nothing of a program (of a missing one they do)."""


def _fence(text: str) -> str:
    """Return a fence that is longer than any in the program."""
    fence = "```"
    while fence in text:
        fence += "`"
    return fence


def _arena_hard(row: Row, index: int, argument: str) -> Iterator[Output]:
    """Rows {uid, model, games}; the argument names the model where a file holds several."""
    judged = judged_of_row(row, missing="drop")
    if argument and judged.model != argument:
        return
    about = {"category": judged.category} if judged.category else {}
    if judged.first is None or judged.second is None:
        yield Output(judged.question, None, 0, fault="the judge gave no verdict", metadata=about)
        return
    won, games = find_pair_protocol("arena_hard").won(judged.first, judged.second)
    labels = f"{judged.first}, {judged.second}"
    yield Output(
        judged.question, labels, 0, verdict=verdict_of_games(won, games, labels), metadata=about
    )


_INSPECT_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


def _inspect_rows(path: Path) -> list[Row]:
    """Read the samples of a log of inspect_ai: an ``.eval`` archive, or its JSON form."""
    if path.suffix != ".eval":
        try:
            log = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: not a log of inspect_ai: {error}") from error
        samples = log.get("samples") if isinstance(log, Mapping) else None
        if not isinstance(samples, list):
            raise DataError(f"{path}: field 'samples' is missing: not a log of inspect_ai")
        return samples
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.startswith("samples/")]
            return [json.loads(archive.read(name)) for name in sorted(names)]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{path}: the log cannot be read ({error}); `inspect log convert --to json` makes one "
            f"that can"
        ) from error


def _inspect(row: Row, index: int, argument: str) -> Iterator[Output]:
    """A sample's last message; with `graded` (or `graded/SCORER`) the score that the log holds."""
    mode, _, scorer = argument.partition("/")
    if mode not in ("", "graded"):
        raise ConfigError(f"--format inspect takes no argument, or `graded[/SCORER]`: {argument!r}")
    name, epoch = str(field_of(row, "id")), int(row.get("epoch") or 1)
    try:
        choices = (row.get("output") or {}).get("choices") or []
        content = choices[0]["message"]["content"] if choices else ""
        text = content if isinstance(content, str) else "".join(p.get("text", "") for p in content)
    except (LookupError, TypeError, AttributeError) as error:
        raise DataError(f"field 'output' is not a model's output: {error!r}") from error
    value = _inspect_score(row.get("scores") or {}, scorer)
    failed = row.get("error")
    yield Output(
        name,
        text,
        epoch - 1,
        gold=row.get("target"),
        published=value,
        truncated=bool(choices) and choices[0].get("stop_reason") in ("max_tokens", "model_length"),
        empty=not text.strip(),
        fault=str(failed.get("message", failed))[:200] if isinstance(failed, Mapping) else None,
        verdict=_counted(value, "as the log has it") if mode and value is not None else None,
        metadata=row.get("metadata") or {},
    )


def _inspect_score(scores: Mapping[str, Any], scorer: str) -> float | None:
    if scorer and scorer not in scores:
        raise DataError(
            f"no scorer {scorer!r}; the sample has {', '.join(sorted(scores)) or 'none'}"
        )
    if not scores:
        return None
    if not scorer and len(scores) > 1:
        raise ConfigError(
            f"which score? Give inspect:graded/SCORER, of {', '.join(sorted(scores))}"
        )
    value = scores[scorer or next(iter(scores))].get("value")
    if isinstance(value, bool | int | float):
        return float(value)
    return _INSPECT_LETTERS.get(str(value))


def _lm_eval(row: Row, index: int, argument: str) -> Iterator[Output]:
    """Rows of ``--log_samples``; argument ``[FILTER][/METRIC]`` counts that metric instead.

    A file repeats each document for every filter, so one must be named where there are several.
    """
    wanted, _, metric = argument.partition("/")
    found = str(row.get("filter") or "none")
    if wanted and found != wanted:
        return
    responses = field_of(row, "resps")
    name = str(field_of(row, "doc_id"))
    metrics = [m for m in row.get("metrics") or [] if isinstance(row.get(m), int | float)]
    if metric and metric not in metrics:
        raise DataError(f"no metric {metric!r}; the row has {', '.join(metrics) or 'none'}")
    chosen = metric or (metrics[0] if len(metrics) == 1 else "")
    value = float(row[chosen]) if chosen else None
    texts = responses[0] if isinstance(responses, list) and responses else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError("field 'resps' must be a list of lists of texts (of a task that generates)")
    for number, text in enumerate(texts):
        yield Output(
            name,
            text,
            number,
            gold=row.get("target"),
            published=value if len(texts) == 1 else None,
            empty=not text.strip(),
            verdict=_counted(value, f"{chosen}, {found}") if metric and value is not None else None,
        )


_SWE_DONE, _SWE_NOT = ("resolved_ids", "ids_resolved"), ("unresolved_ids", "ids_unresolved")


def _swebench_rows(path: Path) -> list[Row]:
    """Read a report of SWE-bench's harness, of a run or of instances, or rows of instances."""
    if ".json" not in path.suffixes or ".jsonl" in path.suffixes or ".gz" in path.suffixes:
        return read_rows(path)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if isinstance(report, list):
        return report
    if not isinstance(report, Mapping):
        raise DataError(f"{path}: not a report of SWE-bench")
    if "resolved" in report and isinstance(report.get("tests_status"), Mapping):
        return [{"instance_id": path.parent.name, **report}]  # one instance, named by its folder
    if any(key in report for key in (*_SWE_DONE, *_SWE_NOT)) or "resolved" in report:
        return list(_of_run(report, path))
    return [{"instance_id": name, **about} for name, about in report.items()]


def _of_run(report: Mapping[str, Any], path: Path) -> Iterator[Row]:
    """A report of a whole run; its lists are checked against its totals."""
    done = _list_of(report, (*_SWE_DONE, "resolved"))
    others = _list_of(report, _SWE_NOT)
    others += [n for key in ("error_ids", "empty_patch_ids", "no_generation", "no_logs")
               for n in _list_of(report, (key,)) if n not in others]  # fmt: skip
    if both := sorted({*done} & {*others}):
        raise DataError(f"{path}: {both[0]!r} is both resolved and not")
    total = report.get("total", report.get("total_instances"))
    submitted = report.get("submitted_instances", total)
    if isinstance(submitted, int) and len(done) + len(others) > max(submitted, total or 0):
        raise DataError(f"{path}: {len(done) + len(others)} instances are listed of {submitted}")
    for name in done:
        yield {"instance_id": name, "resolved": True}
    for name in others:
        yield {"instance_id": name, "resolved": False}


def _list_of(report: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    lists = (report[name] for name in names if isinstance(report.get(name), list))
    return [str(item) for item in next(lists, ())]


def _swebench(row: Row, index: int, argument: str) -> Iterator[Output]:
    """`resolved` is counted as it stands."""
    name, resolved = str(field_of(row, "instance_id")), row.get("resolved")
    if not isinstance(resolved, bool):
        raise DataError(f"field 'resolved' of {name!r} must be true or false, got {resolved!r:.40}")
    yield Output(name, "", 0, verdict=_counted(float(resolved), "as reported"))


FOREIGN: tuple[Format, ...] = (
    Format(
        "livecodebench",
        "LiveCodeBench/submissions: {question_id, code_list, graded_list}; livecodebench:graded "
        "counts the published grades",
        _livecodebench,
    ),
    Format(
        "livecodebench_pro",
        "LiveCodeBench-Pro's benchmark_result.json: {problem_id, code, judge_result}, counted",
        _livecodebench_pro,
    ),
    Format(
        "arena_hard",
        "lmarena/arena-hard-auto judgments: {uid, model, games}; arena_hard:MODEL of a file of "
        "several",
        _arena_hard,
    ),
    Format(
        "inspect",
        "UKGovernmentBEIS/inspect_ai logs (.eval or .json); inspect:graded[/SCORER] counts scores",
        _inspect,
        load=_inspect_rows,
    ),
    Format(
        "lm_eval",
        "EleutherAI/lm-evaluation-harness --log_samples; lm_eval:FILTER[/METRIC]",
        _lm_eval,
    ),
    Format("swebench", "SWE-bench reports: resolved instances", _swebench, load=_swebench_rows),
)
