"""Tool calls: published rollouts and their rewards."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cascade.evals.rescore import RescoreConfig, rescore
from cascade.evals.task import find_task
from cascade.evals.verify import Expected, GoldenSet, Rescore
from cascade.verifiers import tools


def _bfcl_gold(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Rescore the gold answers as if a model had given them; refusals where none is expected."""
    rows = []
    for task in find_task("bfcl").source.load(data_dir):
        calls = tools.gold_calls(task.reference)
        text = tools.render_calls(calls, "python") if calls else "None of the functions fits."
        rows.append(json.dumps({"id": task.id, "result": text}))
    with tempfile.TemporaryDirectory(prefix="cascade-verify-") as folder:
        path = Path(folder) / "results.jsonl"
        path.write_text("\n".join(rows))
        config = RescoreConfig(
            task="bfcl", outputs=(path,), format="bfcl", data_dir=data_dir,
            out=Path(folder) / "verdicts.jsonl",
        )  # fmt: skip
        summary = rescore(config).summary
    return {"score": summary.score or 0.0, "problems": summary.problems, **summary.counts}


SETS = (
    GoldenSet(
        name="bfcl/gold",
        source="ShishirPatil/gorilla at de8307b: the possible answers, as predictions",
        files=("bfcl_v1_2024-08-11/questions/simple.jsonl.gz",),
        measure=_bfcl_gold,
        expected=(Expected("score", 100.0), Expected("problems", 1238)),
    ),
    GoldenSet(
        name="nemo_gym/next_step",
        source="NVIDIA-NeMo/Gym at 07d6b0d, single_step_tool_use_with_argument_comparison",
        files=("nemo_gym_rollouts/single_step_tool_use_with_argument_comparison.jsonl.gz",),
        measure=Rescore(task="tool_calling", format="nemo_gym"),
        expected=(Expected("problems", 5), Expected("same", 5), Expected("score", 60.0)),
    ),
    GoldenSet(
        name="tau2/retail",
        source="sierra-research/tau2-bench, submission toolorchestra_nvidia_2025-12-02: 84.2 "
        "(96 of 114), each reward computed again from calls, data base and messages",
        files=("tau2_toolorchestra/retail_1trial.json.gz",),
        measure=Rescore(task="tau2_retail", format="tau2"),
        expected=(
            Expected("correct", 96),
            Expected("problems", 114),
            Expected("same", 114),
            Expected("unexplained", 0),
        ),
    ),
    GoldenSet(
        name="tau2/airline",
        source="as tau2/retail: 56.0 (28 of 50), by the documents that the file shows",
        files=("tau2_toolorchestra/airline_1trial.json.gz",),
        measure=Rescore(task="tau2_airline", format="tau2:recorded"),
        expected=(
            Expected("correct", 28),
            Expected("problems", 50),
            Expected("same", 50),
            Expected("unexplained", 0),
        ),
    ),
    GoldenSet(
        name="tau2/retail-gpt-4.1",
        source="sierra-research/tau2-bench, src/experiments/model_training/results: mean 0.85",
        files=("tau2_toolorchestra/gpt-4.1_1trial/gpt-4.1_retail_default_gpt-4.1_1trials.json.gz",),
        measure=Rescore(task="tau2_retail", format="tau2"),
        expected=(Expected("score", 85.0), Expected("same", 40)),
    ),
    GoldenSet(
        name="tau2/airline-gpt-4.1",
        source="as tau2/retail-gpt-4.1: mean 0.5, by the documents that the file shows",
        files=(
            "tau2_toolorchestra/gpt-4.1_1trial/gpt-4.1_airline_default_gpt-4.1_1trials.json.gz",
        ),
        measure=Rescore(task="tau2_airline", format="tau2:recorded"),
        expected=(Expected("score", 50.0), Expected("same", 20)),
    ),
)
