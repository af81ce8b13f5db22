"""Rescoring stored outputs: what is read, what is refused, what is counted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ANSWERS = [{"id": "a", "answer": "12"}, {"id": "b", "answer": "\\frac{1}{2}"}]


def _write(path: Path, rows: Sequence[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.fixture
def rescored(eval_main: Any, tmp_path: Path) -> Any:
    """Rescore rows against `ANSWERS` with --json; returns (exit code, object or stderr)."""

    def run(rows: Sequence[Any], *options: str | Path, answers: Sequence[Any] = ANSWERS) -> Any:
        outputs = _write(tmp_path / "outputs.jsonl", rows)
        gold = _write(tmp_path / "answers.jsonl", answers)
        code, out, errors = eval_main(
            "rescore", "--task", "math", "--answers", gold, "--outputs", outputs, "--json", *options
        )
        return code, json.loads(out) if out else errors

    return run


def test_json_is_exactly_one_object_with_the_promised_fields(rescored: Any) -> None:
    code, result = rescored(
        [{"id": "a", "response": "\\boxed{12}"}, {"id": "b", "response": "\\boxed{0.25}"}]
    )
    assert code == 0
    assert (result["task"], result["problems"], result["samples"]) == ("math", 2, 2)
    assert result["score"] == 50.0
    assert result["standard_error"] == 50.0
    assert result["metrics"] == {"avg@1": 50.0, "maj@1": 50.0, "pass@1": 50.0}
    assert (result["counts"]["correct"], result["counts"]["wrong"]) == (1, 1)
    assert result["complete"] is True


def test_every_verdict_is_a_line_with_its_reason(rescored: Any) -> None:
    _, result = rescored(
        [{"id": "a", "response": "It is \\boxed{13}."}, {"id": "b", "response": "<think>so"}]
    )
    rows = [json.loads(line) for line in Path(result["verdicts"]).read_text().splitlines()]
    assert [(row["id"], row["status"], row["extracted"]) for row in rows] == [
        ("a", "wrong", "13"),
        ("b", "no_answer", None),
    ]
    assert all(row["reason"] for row in rows)


def test_rows_of_one_id_are_samples(rescored: Any) -> None:
    code, result = rescored(
        [
            {"id": "a", "response": "\\boxed{12}"},
            {"id": "b", "response": "\\boxed{1}"},
            {"id": "a", "response": "\\boxed{5}"},
            {"id": "b", "response": "\\boxed{1/2}"},
        ]
    )
    assert (code, result["score"], result["samples"]) == (0, 50.0, 4)
    assert result["metrics"]["pass@2"] == 100.0


def test_several_files_hold_further_samples(eval_main: Any, tmp_path: Path) -> None:
    gold = _write(tmp_path / "gold.jsonl", ANSWERS)
    files = [
        _write(tmp_path / f"{i}.jsonl", [{"id": n, "response": "\\boxed{12}"} for n in "ab"])
        for i in range(3)
    ]
    code, out, _ = eval_main(
        "rescore", "--task", "math", "--answers", gold, "--outputs", *files, "--json"
    )
    result = json.loads(out)
    assert (code, result["samples"], result["counts"]["identical_samples"]) == (0, 6, 4)


@pytest.mark.parametrize(
    "row", [{"id": "a", "output": "12"}, {"task_id": "a", "text": "12"}, {"id": "a", "response": "12", "text": "12"}],  # noqa: E501
)  # fmt: skip
def test_aliases_are_accepted_where_they_are_unambiguous(
    rescored: Any, row: dict[str, str]
) -> None:
    _, result = rescored([row])
    assert result["counts"]["correct"] == 1


def test_problems_without_output_are_counted_and_named(rescored: Any) -> None:
    """A missing output is not a wrong one; the score is called incomplete."""
    code, result = rescored([{"id": "a", "response": "\\boxed{12}"}])
    assert code == 0
    assert result["score"] == 100.0
    assert result["complete"] is False
    assert (result["problems"], result["expected_problems"]) == (1, 2)
    assert result["missing_ids"] == ["b"]
    assert result["counts"]["missing_problems"] == 1


def test_outputs_without_answer_are_counted_and_named(rescored: Any) -> None:
    _, result = rescored(
        [{"id": "a", "response": "\\boxed{12}"}, {"id": "zz", "response": "\\boxed{12}"}]
    )
    assert result["samples"] == 1
    assert result["unknown_ids"] == ["zz"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a", "response": "1"}, "{broken"], "line 2: not JSON"),
        ([{"id": "a", "response": "1"}, "", "[1]"], "line 3: a row must be an object"),
        ([{"id": "a", "response": "1"}, "", {"id": "b"}], "line 3: field 'response' is missing"),
        ([{"response": "1"}], "line 1: field 'id' is missing"),
        ([{"id": "a", "response": 5}], "line 1: field 'response' must be text, got int"),
        ([{"id": ["a"], "response": "1"}], "line 1: field 'id' must be text or a whole number"),
        ([{"id": "a", "response": "1", "text": "2"}], "fields response and text differ"),
        ([{"id": "a", "response": "1", "sample": "x"}], "field 'sample' must be a whole number"),
        ([{"id": "a", "response": "1", "sample": 0}] * 2, "sample 0 of 'a' occurs twice"),
        ([{"id": "a", "response": "1", "sample": 0}, {"id": "a", "response": "1"}], "all or none"),
        ([{"id": "q", "response": "1"}], "none of the 1 outputs has an id of"),
        ([], "no rows"),
    ],
)
def test_a_malformed_row_stops_everything_with_file_line_and_field(
    rescored: Any, rows: list[Any], message: str, tmp_path: Path
) -> None:
    """Nothing is half-loaded: no verdict file, exit code 2, one line."""
    code, errors = rescored(rows)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.glob("*.verdicts.jsonl"))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([{"id": "a"}], "answers.jsonl, line 1: field 'answer' is missing"),
        ([{"answer": "5"}], "answers.jsonl, line 1: field 'id' is missing"),
        ([{"id": "a", "answer": "1"}, {"id": "a", "answer": "2"}], "'a' occurs twice"),
    ],
)
def test_malformed_answers_are_refused(rescored: Any, answers: list[Any], message: str) -> None:
    code, errors = rescored([{"id": "a", "response": "1"}], answers=answers)
    assert code == 2
    assert message in errors


def test_hostile_outputs_neither_hang_nor_crash(rescored: Any) -> None:
    """Towers of powers, deep nesting and lone surrogates end as verdicts within the deadline."""
    responses = [
        "\\boxed{9^{9^{9^{9}}}}", "\\boxed{" + "(" * 50_000, "x" * 1_000_000,
        "\\boxed{1e999999999}",
        "\udcff\\boxed{12}", "\\boxed{\\sqrt{12}^{2}}", "\x00\\boxed{12}", "",
    ]  # fmt: skip
    code, result = rescored(
        [{"id": "b", "response": text} for text in responses], "--max-empty-share", "1",
        "--max-no-answer-share", "1", "--max-unparsable-share", "1", "--max-fault-share", "1",
    )  # fmt: skip
    assert code == 0
    assert result["samples"] == len(responses)
    assert result["counts"]["correct"] == 0


def test_limits_turn_the_exit_code(rescored: Any) -> None:
    """Two empty responses of three: somebody's reasoning parser swallowed the answers."""
    rows = [{"id": "a", "response": ""}] * 2 + [{"id": "b", "response": "\\boxed{1/2}"}]
    code, result = rescored(rows)
    assert code == 3
    assert "empty in 2 of 3" in result["limits_exceeded"][0]
    assert rescored(rows, "--max-empty-share", "1", "--max-no-answer-share", "1")[0] == 0


def test_a_policy_can_be_chosen(rescored: Any) -> None:
    rows = [{"id": "a", "response": "\\boxed{3*4}"}]
    assert rescored(rows)[1]["score"] == 0.0
    assert rescored(rows, "--policy", "final_form=any")[1]["score"] == 100.0
    code, errors = rescored(rows, "--policy", "final_form=maybe")
    assert code == 2
    assert "final_form" in errors


def test_math_needs_answers(eval_main: Any, tmp_path: Path) -> None:
    outputs = _write(tmp_path / "o.jsonl", [{"id": "a", "response": "1"}])
    code, _, errors = eval_main("rescore", "--task", "math", "--outputs", outputs)
    assert code == 2
    assert "--answers FILE" in errors


def test_choices_are_judged_against_letters(eval_main: Any, tmp_path: Path) -> None:
    gold = _write(tmp_path / "g.jsonl", [{"id": 1, "answer": "C", "options": ["w", "x", "y", "z"]}])
    outputs = _write(
        tmp_path / "o.jsonl", [{"id": "1", "response": f"\\boxed{{{letter}}}"} for letter in "CDE"]
    )
    code, out, _ = eval_main(
        "rescore", "--task", "choice", "--answers", gold, "--outputs", outputs, "--json"
    )
    result = json.loads(out)
    assert code == 0
    assert (result["counts"]["correct"], result["counts"]["wrong"]) == (1, 2)


def test_a_read_only_folder_stays_as_it_is(eval_main: Any, tmp_path: Path) -> None:
    """Verdicts then go to a temporary folder, also where root could write beside the outputs."""
    folder = tmp_path / "kept"
    folder.mkdir()
    outputs = _write(folder / "o.jsonl", [{"id": "a", "response": "\\boxed{12}"}])
    gold = _write(tmp_path / "g.jsonl", ANSWERS)
    folder.chmod(0o555)
    try:
        _, out, _ = eval_main(
            "rescore", "--task", "math", "--answers", gold, "--outputs", outputs, "--json"
        )
        assert os.listdir(folder) == ["o.jsonl"]
        assert Path(json.loads(out)["verdicts"]).exists()
    finally:
        folder.chmod(0o755)


def test_unknown_tasks_and_formats_are_answered_with_near_names(
    eval_main: Any, tmp_path: Path
) -> None:
    outputs = _write(tmp_path / "o.jsonl", [{"id": "1", "response": "x"}])
    code, _, errors = eval_main("rescore", "--task", "aime_25", "--outputs", outputs)
    assert (code, "did you mean 'aime25'" in errors) == (2, True)
    code, _, errors = eval_main(
        "rescore", "--task", "math", "--outputs", outputs, "--format", "zeroevil"
    )
    assert (code, "did you mean 'zeroeval'" in errors) == (2, True)


def test_a_run_of_ours_rescores_to_its_own_score(
    eval_main: Any, server: Any, tmp_path: Path
) -> None:
    """The report and the rescored trajectories agree; other tasks' rows are set aside."""
    eval_main(
        "--suite", "reasoning", "--mini", "--base-url", server.base_url, "--model", "mock",
        "--out", tmp_path / "run", "--limit", 20,
    )  # fmt: skip
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    code, out, _ = eval_main(
        "rescore", "--task", "mini_arithmetic", "--outputs", tmp_path / "run/trajectories.jsonl",
        "--json",
    )  # fmt: skip
    result = json.loads(out)
    assert code == 0
    assert result["score"] == report["tasks"]["mini_arithmetic"]["score"] > 0
    assert result["agreement"] == {"same": 80, "ours_only": 0, "theirs_only": 0}
    assert result["counts"]["other_tasks"] == 240
    assert result["counts"]["missing_problems"] == 30  # the run was limited to 20 of 50


def test_the_plain_output_says_what_is_missing(eval_main: Any, tmp_path: Path) -> None:
    gold = _write(tmp_path / "g.jsonl", ANSWERS)
    outputs = _write(tmp_path / "o.jsonl", [{"id": "a", "response": "\\boxed{12}"}])
    _, out, _ = eval_main("rescore", "--task", "math", "--answers", gold, "--outputs", outputs)
    assert "100.00 (incomplete)" in out
    assert "missing: 1 problems without an output: 'b'" in out
