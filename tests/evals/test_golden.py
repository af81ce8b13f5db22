"""Published outputs in, published numbers out; every row that differs is known and judged.

The tests run where the folder of real data is (see `data_dir`). Nothing of the data is copied here:
rows are named by model and number.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.rows import read_rows
from cascade.evals.plan import Overrides, plan_tasks
from cascade.verifiers.choice import extract_letter

MATH_L5_FALSE_ACCEPTS: dict[str, frozenset[str]] = {
    # The reference compares the first number in each text; in all of these it is wrong and we are
    # right: several answers where one was asked for (184, 378, 698), a complex number for a real
    # one (132), a surd for an integer (257).
    "Qwen2-7B-Instruct": frozenset({"132", "184", "257"}),
    "Qwen2.5-72B-Instruct": frozenset({"257", "698"}),
    "claude-3-5-sonnet-20241022": frozenset({"378"}),
    "gemma-2-2b-it": frozenset(),
    "gpt-4o-2024-08-06": frozenset({"698"}),
    "gpt-4o-mini-2024-07-18": frozenset({"184", "698"}),
    "o1-mini-2024-09-12": frozenset({"257", "378", "698"}),
    "o1-preview-2024-09-12": frozenset(),
}


@pytest.fixture
def rescored(eval_main: Any, data_dir: Path, tmp_path: Path) -> Any:
    """Rescore a file of the data folder; returns the object that --json prints."""

    def run(task: str, file: str, form: str, *options: str | Path) -> dict[str, Any]:
        code, out, errors = eval_main(
            "rescore", "--task", task, "--outputs", data_dir / file, "--format", form, "--json",
            "--data-dir", data_dir, "--out", tmp_path / "verdicts.jsonl", *options,
        )  # fmt: skip
        assert code in (0, 3), errors
        result: dict[str, Any] = json.loads(out)
        assert result["counts"]["fault"] == 0
        assert result["complete"]
        return result

    return run


def _summary(data_dir: Path, name: str, model: str) -> float:
    rows = json.loads((data_dir / "zeroeval" / f"{name}.summary.json").read_text())
    return next(float(row["Acc"]) for row in rows if row["Model"] == model)


@pytest.mark.parametrize("model", sorted(MATH_L5_FALSE_ACCEPTS))
def test_zeroeval_math_level_5(rescored: Any, data_dir: Path, tmp_path: Path, model: str) -> None:
    """721 problems; our score is the published one less the reference's false accepts."""
    result = rescored(
        "math", f"zeroeval/math-l5/{model}.jsonl.gz", "zeroeval",
        "--answers", data_dir / "zeroeval" / "math-l5.problems.jsonl.gz",
        "--policy", "percent=sign_optional",
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    different = {row["id"] for row in rows if row["reward"] != row["published"]}
    assert different == MATH_L5_FALSE_ACCEPTS[model]
    published = _summary(data_dir, "math-l5", model)
    expected = published - 100 * len(different) / 721
    assert result["score"] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    "model",
    ["claude-3-5-sonnet-20241022", "gpt-4o-2024-08-06", "o1-mini-2024-09-12",
     "gpt-4o-mini-2024-07-18", "Qwen2-7B-Instruct", "gemma-2-2b-it"],
)  # fmt: skip
def test_zeroeval_gsm8k(rescored: Any, data_dir: Path, model: str) -> None:
    """1,319 problems of the registered task; every verdict equals the reference's."""
    result = rescored("gsm8k", f"zeroeval/gsm/{model}.jsonl.gz", "zeroeval")
    assert result["score"] == pytest.approx(_summary(data_dir, "gsm", model), abs=0.005)
    assert result["agreement"] == {"same": 1319, "ours_only": 0, "theirs_only": 0}


@pytest.mark.parametrize(
    ("system", "score"),
    [("6b_finetuning", 21.68), ("6b_verification", 39.04), ("175b_finetuning", 34.72),
     ("175b_verification", 56.25)],
)  # fmt: skip
def test_gsm8k_solutions_of_its_publishers(rescored: Any, system: str, score: float) -> None:
    """Exact: all 5,276 flags."""
    file = "gsm8k_openai/example_model_solutions.jsonl.gz"
    result = rescored("gsm8k", file, f"gsm8k_openai:{system}")
    assert round(result["score"], 2) == pytest.approx(score, abs=0.006)
    assert result["agreement"] == {"same": 1319, "ours_only": 0, "theirs_only": 0}


@pytest.mark.parametrize(
    ("model", "score"), [("tora-70b-v1.0", 84.3), ("tora-code-34b-v1.0", 80.7)]
)
def test_tool_integrated_gsm8k_solutions(rescored: Any, model: str, score: float) -> None:
    result = rescored("gsm8k", f"gsm8k_tora/{model}.jsonl.gz", "gsm8k_tora")
    assert result["score"] == pytest.approx(score, abs=0.3)


def test_mmlu_pro_of_a_model_behind_an_api(rescored: Any) -> None:
    """64.09 as published, by the longer chain; all 12,012 verdicts equal."""
    result = rescored("choice", "mmlu_pro/gemini-1.5-flash-002.jsonl.gz", "mmlu_pro:api")
    assert result["score"] == pytest.approx(64.09, abs=0.01)
    assert result["agreement"]["same"] == 12_012


def test_mmlu_pro_of_a_local_model_without_any_guess(rescored: Any) -> None:
    """52.01, not the 52.78 that random letters for 814 missing answers make of it."""
    result = rescored("choice", "mmlu_pro/Meta-Llama-3-70B.jsonl.gz", "mmlu_pro")
    assert result["score"] == pytest.approx(52.01, abs=0.01)
    assert result["counts"]["no_answer"] == 814
    assert result["agreement"]["same"] == 12_032


def test_mmlu_pro_letters_of_a_local_model(data_dir: Path) -> None:
    """The letter itself, on 12,032 of 12,032 rows."""
    rows = read_rows(data_dir / "mmlu_pro" / "Meta-Llama-3-70B.jsonl.gz")
    letters = [extract_letter(row["output"] or "", "answer_is") for row in rows]
    assert letters == [row["pred"] for row in rows]


def test_mmlu_pro_accuracies_of_29_models_follow_from_their_letters(data_dir: Path) -> None:
    """A missing letter is not right: no model gains from a guess."""
    with gzip.open(data_dir / "mmlu_pro" / "labels_all_models.json.gz") as file:
        labels = json.load(file)
    table = json.loads((data_dir / "mmlu_pro" / "accuracy_table.json").read_text())
    assert len(labels) == len(table) == 29
    for row in table:
        letters = labels[row["model"]]
        right = sum(gold == letter for _, gold, letter in letters)
        assert 100 * right / len(letters) == pytest.approx(row["stored_acc"], abs=0.01)


@pytest.mark.parametrize("task", ["aime24", "aime25"])
def test_our_aime_prompts_are_those_of_a_published_evaluation(
    data_dir: Path, tmp_path: Path, task: str
) -> None:
    """The same problem text makes the very prompt that QwQ-32B was evaluated with, 30 of 30."""
    theirs = read_rows(data_dir / "qwq_eval_prompts" / f"{task}.jsonl.gz")
    problems = [row["prompt"].rpartition("\n")[0] for row in theirs]
    rows = [{"problem": p, "answer": r["answer"]} for p, r in zip(problems, theirs, strict=True)]
    (tmp_path / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (planned,) = plan_tasks([task], Overrides(), tmp_path)
    assert [t.messages[-1]["content"] for t in planned.tasks] == [r["prompt"] for r in theirs]


@pytest.mark.parametrize("task", ["aime24", "aime25"])
def test_our_aime_answers_are_those_of_a_published_evaluation(data_dir: Path, task: str) -> None:
    """30 problems; the transcriptions of the texts differ, the answers do not."""
    theirs = read_rows(data_dir / "qwq_eval_prompts" / f"{task}.jsonl.gz")
    (planned,) = plan_tasks([task], Overrides(), data_dir)
    answers = sorted(int(t.reference) for t in planned.tasks)
    assert len(answers) == 30
    assert answers == sorted(int(row["answer"]) for row in theirs)


@pytest.mark.parametrize(("file", "task"), [("mcqa", "choice"), ("math_with_judge", "math")])
def test_nemo_gym_rewards(rescored: Any, file: str, task: str) -> None:
    """Our verdicts equal the rewards on record."""
    result = rescored(task, f"nemo_gym_rollouts/{file}.jsonl.gz", "nemo_gym")
    assert result["agreement"] == {"same": 5, "ours_only": 0, "theirs_only": 0}


def test_nemo_skills_generations(eval_main: Any, data_dir: Path, tmp_path: Path) -> None:
    r"""50 problems × 3 generations of a base model, read as NeMo-Skills reads them: boxes only.

    The stored flags differ on five: a right number with its unit (737), `\fbox` (7086), an empty
    box written after the answer (635, 918), and 7!/16, which is not a final answer (2178).
    """
    files = []
    for run in range(3):
        source = data_dir / "nemo_skills_fixtures" / f"output-rs{run}.test.gz"
        files.append(tmp_path / f"rs{run}.jsonl")
        files[-1].write_bytes(gzip.decompress(source.read_bytes()))
    code, out, _ = eval_main(
        "rescore", "--task", "math", "--outputs", *files, "--format", "nemo_skills", "--json",
        "--out", tmp_path / "v.jsonl", "--policy", "extraction=boxed",
    )  # fmt: skip
    assert code == 0
    result = json.loads(out)
    assert (result["problems"], result["samples"]) == (50, 150)
    different: dict[str, set[str]] = defaultdict(set)
    for line in (tmp_path / "v.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["reward"] != row["published"]:
            different["ours" if row["reward"] else "theirs"].add(row["id"])
    assert different == {
        "theirs": {"train/algebra/2178.json"},
        "ours": {
            "train/prealgebra/737.json", "train/number_theory/7086.json",
            "train/algebra/635.json", "train/number_theory/918.json",
        },
    }  # fmt: skip
