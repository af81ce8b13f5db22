"""MMLU-Pro: outputs of a model behind an API and of a local one; stored letters of 29 models."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

from cascade.evals.verify import Expected, GoldenSet, Rescore

_SOURCE = "TIGER-AI-Lab/MMLU-Pro at f418b11"


def _from_letters(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Accuracy of every model from its extracted letters; a missing letter is not right."""
    labels, table = files
    with gzip.open(labels) as file:
        letters = json.load(file)
    accuracies = {row["model"]: row["stored_acc"] for row in json.loads(table.read_text())}
    equal = 0
    for model, rows in letters.items():
        score = 100 * sum(gold == letter for _, gold, letter in rows) / len(rows)
        equal += abs(score - accuracies[model]) <= 0.0051
    return {"models": len(letters), "equal": equal}


SETS = (
    GoldenSet(
        name="mmlu_pro/gemini-1.5-flash-002",
        source=f"{_SOURCE}, README",
        files=("mmlu_pro/gemini-1.5-flash-002.jsonl.gz",),
        measure=Rescore(task="choice", format="mmlu_pro:api"),
        expected=(Expected("score", 64.09, 0.01), Expected("same", 12_012)),
    ),
    GoldenSet(
        name="mmlu_pro/Meta-Llama-3-70B",
        source=f"{_SOURCE}, README and stored letters",
        files=("mmlu_pro/Meta-Llama-3-70B.jsonl.gz",),
        measure=Rescore(task="choice", format="mmlu_pro"),
        expected=(
            Expected("score", 52.01, 0.01, 52.78, "a random letter for each missing answer"),
            Expected("no_answer", 814),
            Expected("same", 12_032),
        ),
    ),
    GoldenSet(
        name="mmlu_pro/letters-of-29-models",
        source=f"{_SOURCE}, eval_results",
        files=("mmlu_pro/labels_all_models.json.gz", "mmlu_pro/accuracy_table.json"),
        measure=_from_letters,
        expected=(Expected("models", 29), Expected("equal", 29)),
    ),
)
