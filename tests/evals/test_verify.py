"""`cascade-eval verify`: a number that does not come out is a miss, and never goes unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import SandboxError
from cascade.evals.golden.aime2025_matharena import SETS
from cascade.evals.verify import Expected, GoldenSet, Outcome, find_sets, golden_sets, replay

AIME = SETS[0]
MODELS = [e.name for e in AIME.expected if not e.name.startswith("R1")]


@pytest.fixture
def all_right(tmp_path: Path) -> Path:
    """A data folder in which every model got everything right."""
    file = tmp_path / AIME.files[0]
    file.parent.mkdir(parents=True)
    rows = [{**dict.fromkeys(MODELS, 100.0), "question": number} for number in range(1, 16)]
    file.write_text(json.dumps(rows))
    return tmp_path


def test_a_changed_number_is_a_miss_and_exit_code_3(eval_main: Any, all_right: Path) -> None:
    code, out, _ = eval_main("verify", "aime2025_matharena", "--data-dir", all_right)
    assert code == 3
    (line,) = [line for line in out.splitlines() if "DeepSeek-R1 " in line]
    assert line.split() == [
        "aime2025_matharena/avg@4", "DeepSeek-R1", "65", "100", "±0.005", "MISS"
    ]  # fmt: skip
    assert "18 numbers of 1 sets: 0 as expected, 18 MISS" in out


def test_a_set_without_data_is_said_as_such(eval_main: Any, all_right: Path) -> None:
    code, out, _ = eval_main("verify", "--data-dir", all_right, "--json")
    assert code == 3
    result = json.loads(out)
    absent = [row for row in result["numbers"] if row["set"] == "gsm8k_tora/tora-70b-v1.0"]
    assert absent[0]["status"] == "no data"
    assert absent[0]["got"] is None
    assert "gsm8k_tora/tora-70b-v1.0.jsonl.gz" in absent[0]["reason"]
    assert result["counts"]["no data"] == len(result["numbers"]) - len(AIME.expected)


def test_nothing_to_verify_is_exit_code_2(
    eval_main: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CASCADE_DATA", raising=False)
    assert eval_main("verify")[0] == 2
    assert eval_main("verify", "--data-dir", tmp_path / "none")[0] == 2
    code, out, errors = eval_main("verify", "--data-dir", tmp_path)
    assert (code, errors.count("\n")) == (2, 1)
    assert " 0 as expected" in out


def test_sets_are_chosen_by_name_folder_or_pattern(eval_main: Any) -> None:
    assert [s.name for s in find_sets(["aime2025_matharena"])] == [AIME.name]
    assert {s.name.partition("/")[0] for s in find_sets(["*/gsm/*"])} == {"zeroeval"}
    assert find_sets([]) == golden_sets()
    code, _, errors = eval_main("verify", "zeroevla")
    assert code == 2
    assert "did you mean 'zeroeval'" in errors


@pytest.mark.parametrize(
    ("numbers", "outcome"),
    [
        ({"score": 50.0}, Outcome.AS_EXPECTED),
        ({"score": 50.1}, Outcome.AS_EXPECTED),
        ({"score": 50.2}, Outcome.MISS),
        ({"score": float("nan")}, Outcome.MISS),
        ({"other": 50.0}, Outcome.MISS),
        ({"score": 50.0, "fault": 1}, Outcome.FAULT),
    ],
)
def test_outcomes(tmp_path: Path, numbers: dict[str, float], outcome: Outcome) -> None:
    """A judge that failed shows nothing, whatever the number is."""
    golden = GoldenSet(
        name="x/y", source="", files=(), measure=lambda data_dir, files: numbers,
        expected=(Expected("score", 50.0, 0.1),),
    )  # fmt: skip
    assert [r.outcome for r in replay(golden, tmp_path)] == [outcome]


def test_a_sandbox_that_fails_is_a_fault_not_a_miss(tmp_path: Path) -> None:
    def measure(data_dir: Path, files: Any) -> dict[str, float]:
        raise SandboxError("no sandbox here")

    golden = GoldenSet(
        name="x/y", source="", files=(), measure=measure, expected=(Expected("score", 1.0),)
    )
    (result,) = replay(golden, tmp_path)
    assert (result.outcome, result.reason) == (Outcome.FAULT, "no sandbox here")


def test_every_set_states_its_source_and_checks_something() -> None:
    for golden in golden_sets():
        assert "/" in golden.name, golden.name
        assert len(golden.source) > 10, golden.name
        assert golden.files, golden.name
        assert golden.expected, golden.name
        assert all(e.why for e in golden.expected if e.published is not None), golden.name
