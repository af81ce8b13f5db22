"""Olympiad proofs: sums of human grades, the automatic grades beside them, and gold answers."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import correlation
from typing import Any

from cascade.envs.graded.sources import IMO_ANSWERBENCH, IMO_PROOFBENCH
from cascade.evals.verify import Expected, GoldenSet, Measure
from cascade.verifiers import math as math_verifier

_DEEPSEEK = "deepseek-ai/DeepSeek-Math-V2 at 665c840, outputs and README"
_IMO_BENCH = "google-deepmind/superhuman at a02069e, imobench"


def _grades(points: int) -> Measure:
    """Return a measure of the human grades of proofs worth `points` each."""

    def measure(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
        rows = [_prediction(row) for row in _rows(files[0])]
        human = [float(row["human_rating"]) for row in rows]
        automatic = [float(row["average_automatic_rating"]) for row in rows]
        return {
            "points": sum(human),
            "of": points * len(rows),
            "score": 100 * sum(human) / (points * len(rows)),
            "solved": sum(grade == points for grade in human),
            "accepted by the judge, worth nothing": sum(
                a == 1.0 and h == 0 for a, h in zip(automatic, human, strict=True)
            ),
            "correlation with the judge": correlation(human, automatic)
            if len({*human}) > 1 and len({*automatic}) > 1
            else 0.0,
        }

    return measure


def _rows(path: Path) -> list[Mapping[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _prediction(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row["model_prediction"]
    return found


def _gold(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Sizes, and how many gold answers the verifier accepts as an answer to themselves."""
    answers = IMO_ANSWERBENCH.load(data_dir)
    golds = [str(task.reference) for task in answers]
    verdicts = math_verifier.verify_many([(f"\\boxed{{{gold}}}", gold) for gold in golds])
    return {
        "answers": len(answers),
        "proofs": len(IMO_PROOFBENCH.load(data_dir)),
        "gold accepted": sum(verdict.reward == 1.0 for verdict in verdicts),
    }


_SETS: dict[str, tuple[int, int, int]] = {
    "IMO2025": (7, 35, 42),
    "CMO2024": (21, 93, 126),
    "Putnam2024": (10, 118, 120),
    "IMO-ProofBench-Basic": (7, 208, 210),
    "IMO-ProofBench-Advanced": (7, 130, 210),
}

_EXTRA = {
    "IMO2025": (
        Expected("solved", 5),
        Expected("accepted by the judge, worth nothing", 1),
    ),
    "CMO2024": (Expected("correlation with the judge", 0.57, 0.005),),
    "IMO-ProofBench-Advanced": (Expected("correlation with the judge", 0.71, 0.005),),
}

SETS = (
    *(
        GoldenSet(
            name=f"deepseekmath_v2_proofs/{name}",
            source=_DEEPSEEK,
            files=(f"deepseekmath_v2_proofs/{name}.jsonl.gz",),
            measure=_grades(points),
            expected=(Expected("points", total), Expected("of", most), *_EXTRA.get(name, ())),
        )
        for name, (points, total, most) in _SETS.items()
    ),
    GoldenSet(
        name="imo_bench/gold",
        source=_IMO_BENCH,
        files=("imo_bench/answerbench_v2.csv", "imo_bench/proofbench_v2.csv"),
        measure=_gold,
        expected=(
            Expected("answers", 399, 0, 400, "the file lost the answer of imo-bench-algebra-036"),
            Expected("proofs", 60),
            Expected("gold accepted", 399),
        ),
    ),
)  # fmt: skip
