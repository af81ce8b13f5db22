"""Published outputs in, published numbers out; every row that differs is known and judged.

The tests run where the folder of real data is (see `data_dir`). Nothing of the data is copied here:
rows are named by model and number.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade.envs.rows import read_rows
from cascade.evals.plan import Overrides, plan_tasks
from cascade.evals.verify import GoldenSet, Outcome, golden_sets, replay
from cascade.verifiers.choice import extract_letter


@pytest.mark.parametrize("golden", golden_sets(), ids=lambda golden: golden.name)
def test_the_published_number_comes_out(golden: GoldenSet, data_dir: Path) -> None:
    """Every set of `cascade-eval verify`; one whose data is missing skips, nothing else does."""
    results = replay(golden, data_dir)
    if results[0].outcome is Outcome.NO_DATA:
        pytest.skip(results[0].reason)
    assert [r for r in results if r.outcome is not Outcome.AS_EXPECTED] == []


def test_mmlu_pro_letters_of_a_local_model(data_dir: Path) -> None:
    """The letter itself, on 12,032 of 12,032 rows."""
    rows = read_rows(data_dir / "mmlu_pro" / "Meta-Llama-3-70B.jsonl.gz")
    letters = [extract_letter(row["output"] or "", "answer_is") for row in rows]
    assert letters == [row["pred"] for row in rows]


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
