"""Results as other harnesses store them: their numbers come out, and broken files are named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cascade.evals.rescore import RescoreConfig, rescore

GRADED = "livecodebench:graded"


def lcb_row(number: int, grades: list[bool], **changes: Any) -> dict[str, Any]:
    row = {
        "question_id": f"q{number}", "contest_date": f"2024-0{1 + number % 9}-01T00:00:00",
        "difficulty": "easy", "code_list": ["print('ﬁ\u2028\u202e')"] * len(grades),
        "graded_list": grades,
    }  # fmt: skip
    return {**row, **changes}


def written(path: Path, rows: list[dict[str, Any]] | dict[str, Any]) -> Path:
    if isinstance(rows, list) and path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


@pytest.fixture
def rescored(eval_main: Any, tmp_path: Path) -> Any:
    def run(task: str, form: str, file: Path, *options: str) -> tuple[int, Any, str]:
        code, out, errors = eval_main(
            "rescore", "--task", task, "--format", form, "--outputs", file, "--json",
            "--out", tmp_path / "v.jsonl", *options,
        )  # fmt: skip
        return code, json.loads(out) if out else None, errors

    return run


def test_a_submission_with_missing_problems_is_not_complete(rescored: Any, tmp_path: Path) -> None:
    """The task has 454 problems in its window; 20 submitted ones are 434 too few."""
    rows = [lcb_row(i, [True, False], contest_date="2024-09-01T00:00:00") for i in range(20)]
    rows.append(lcb_row(99, [True, True], contest_date="2020-01-01"))
    code, result, _ = rescored("livecodebench_v6", GRADED, written(tmp_path / "s.json", rows))
    assert code == 3
    assert (result["score"], result["problems"]) == (50.0, 20)
    assert result["complete"] is False
    assert result["counts"]["missing_problems"] == 434
    assert result["published"] == []
    assert result["groups"] == {"easy": {"score": 50.0, "problems": 20}}


def test_windows_of_dates(rescored: Any, tmp_path: Path) -> None:
    rows = [lcb_row(i, [i % 2 == 0]) for i in range(18)]
    file = written(tmp_path / "s.json", rows)
    code, result, _ = rescored("counted", GRADED, file, "--where", "contest_date>=2024-08-01")
    assert (code, result["problems"]) == (0, 4)
    code, _, errors = rescored("counted", GRADED, file, "--where", "contest_date>=2031-01-01")
    assert (code, "none of the 18 problems" in errors) == (2, True)


def test_a_problem_that_occurs_twice_is_an_error(rescored: Any, tmp_path: Path) -> None:
    file = written(tmp_path / "s.json", [lcb_row(1, [True]), lcb_row(1, [False])])
    code, _, errors = rescored("counted", GRADED, file)
    assert (code, "sample 0 of 'q1' occurs twice" in errors) == (2, True)


def test_two_versions_of_one_problem_are_an_error(rescored: Any, tmp_path: Path) -> None:
    """Rows of two gradings, put together, would count problems of different dates as one."""
    rows = [lcb_row(1, [True]), lcb_row(1, [False], contest_date="2023-01-01")]
    code, _, errors = rescored("counted", GRADED, written(tmp_path / "s.json", rows))
    assert (code, "describe problem 'q1' in two ways" in errors) == (2, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"graded_list": [True, True]}, "lists of one length"), ({"code_list": "x"}, "lists of one"),
     ({"graded_list": None}, "no verdict to count"), ({"question_id": None}, "'question_id'")],
)  # fmt: skip
def test_broken_submissions_name_file_and_field(
    rescored: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = written(tmp_path / "s.json", [lcb_row(1, [True], **changes)])
    code, _, errors = rescored("counted", GRADED, file)
    assert code == 2
    assert message in errors
    assert "s.json, line 1" in errors


def test_judgments_give_the_win_rate_of_the_task(rescored: Any, tmp_path: Path) -> None:
    """One clear win of both games and one lost draw: (6 + 0.5) / (6 + 2)."""
    games = [["B>>A", "A>>B"], ["A>B", "A=B"]]
    rows: list[dict[str, Any]] = [
        {"uid": str(i), "model": "m", "category": "hard_prompt",
         "games": [{"score": score} for score in pair]}
        for i, pair in enumerate(games)
    ]  # fmt: skip
    rows.append({"uid": "2", "model": "m", "category": "hard_prompt", "games": [None, None]})
    file = written(tmp_path / "j.jsonl", rows)
    code, result, _ = rescored("arena_hard_v2_hard", "arena_hard", file)
    assert code == 3
    assert result["counts"]["fault"] == 1
    assert result["metrics"]["win rate"] == 100 * 6.5 / 8
    assert result["counts"]["missing_problems"] == 497


def inspect_sample(name: str, epoch: int, value: Any, text: str = "\\boxed{4}") -> dict[str, Any]:
    return {
        "id": name, "epoch": epoch, "input": "2+2?", "target": "4",
        "output": {"choices": [{"message": {"content": text}, "stop_reason": "stop"}]},
        "scores": {"match": {"value": value, "answer": "4"}},
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".json", ".eval"])
def test_logs_of_inspect(rescored: Any, tmp_path: Path, suffix: str) -> None:
    samples = [
        inspect_sample("a", 1, "C"), inspect_sample("a", 2, "I", "\\boxed{5}"),
        inspect_sample("b", 1, 1.0), inspect_sample("b", 2, "C", "five"),
    ]  # fmt: skip
    log = tmp_path / f"log{suffix}"
    if suffix == ".json":
        log.write_text(json.dumps({"version": 2, "samples": samples}))
    else:
        with zipfile.ZipFile(log, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", "{}")
            for s in samples:
                archive.writestr(f"samples/{s['id']}_epoch_{s['epoch']}.json", json.dumps(s))
    code, result, errors = rescored("math", "inspect", log)
    assert code == 0, errors
    assert (result["score"], result["samples"]) == (50.0, 4)
    assert result["agreement"] == {"same": 3, "ours_only": 0, "theirs_only": 1}
    code, result, _ = rescored("counted", "inspect:graded", log, "--problems", "3")
    assert (code, result["score"], result["complete"]) == (3, 75.0, False)


def lm_eval_row(doc: int, found: str, value: float, text: str = "#### 4") -> dict[str, Any]:
    return {
        "doc_id": doc, "target": "4", "resps": [[text]], "filtered_resps": ["4"], "filter": found,
        "metrics": ["exact_match"], "exact_match": value,
    }  # fmt: skip


def test_samples_of_lm_eval(rescored: Any, tmp_path: Path) -> None:
    rows = [lm_eval_row(i, f, v) for i in range(2) for f, v in (("strict", 0.0), ("loose", 1.0))]
    file = written(tmp_path / "samples_gsm8k.jsonl", rows)
    code, result, errors = rescored("counted", "lm_eval:loose/exact_match", file)
    assert (code, result["score"]) == (0, 100.0), errors
    code, result, _ = rescored(
        "math", "lm_eval:strict", file, "--policy", "extraction=marker_or_last"
    )
    if code == 0:
        assert result["agreement"]["ours_only"] == 2
    code, _, errors = rescored("counted", "lm_eval:loose/f1", file)
    assert (code, "no metric 'f1'" in errors) == (2, True)


def test_reports_of_swebench(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "swebench_grading" / "swesmith_logs" / "run_evaluation"
    result = rescore(
        RescoreConfig(task="counted", format="swebench", outputs=[folder / "report.json"],
                      out=tmp_path / "v.jsonl")
    )  # fmt: skip
    assert (result.summary.counts["correct"], result.summary.problems) == (3, 53)
    single = folder / "pandas-dev__pandas.95280573.pr_53652" / "report.json"
    result = rescore(
        RescoreConfig(task="counted", format="swebench", outputs=[single],
                      out=tmp_path / "v.jsonl", problems=500)
    )  # fmt: skip
    assert (result.summary.score, result.absent, result.complete) == (100.0, 499, False)


@pytest.mark.parametrize(
    ("report", "message"),
    [({"resolved_ids": ["a"], "unresolved_ids": ["a"]}, "both resolved and not"),
     ({"resolved_ids": ["a", "b"], "unresolved_ids": ["c"], "total_instances": 2}, "3 instances"),
     ({"x": {"resolved": "yes"}}, "must be true or false"), ("[1]", "")],
)  # fmt: skip
def test_broken_reports_are_errors(
    rescored: Any, tmp_path: Path, report: Any, message: str
) -> None:
    code, _, errors = rescored("counted", "swebench", written(tmp_path / "report.json", report))
    assert code == 2
    assert message in errors


def test_the_counted_task_needs_verdicts(rescored: Any, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", [{"id": "1", "response": "x"}])
    code, _, errors = rescored("counted", "rows", file)
    assert (code, "brings none" in errors) == (2, True)
