"""NVIDIA: NeMo-Skills' metrics from its evaluation fixtures, and rewards of NeMo-Gym's rollouts."""

import gzip
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.evals import stats
from cascade.evals.verify import Expected, GoldenSet, Measure, Rescore

_SKILLS = "NVIDIA/NeMo-Skills at 0b012df, tests/data"
_GYM = "NVIDIA-NeMo/Gym at 07d6b0d, resources_servers/{}/data/example_rollouts.jsonl"
_GYM_REWARDS = {"mcqa": "choice", "math_with_judge": "math"}


def _metrics(right: Callable[[Mapping[str, Any]], bool]) -> Measure:
    """Return a measure of a benchmark's avg@k, pass@k, maj@k and spread of runs, one file a run."""

    def measure(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
        runs = [[json.loads(line) for line in f.read_text().splitlines() if line] for f in files]
        problems = list(zip(*runs, strict=True))
        scores = [[float(right(row)) for row in problem] for problem in problems]
        votes = [
            [(row.get("predicted_answer"), float(right(row))) for row in problem]
            for problem in problems
        ]
        k = len(files)
        return {
            "avg": 100 * stats.avg_at_k(scores, k),
            "pass": 100 * stats.pass_at_k(scores, k),
            "maj": 100 * stats.maj_at_k(votes, k),
            "spread": 100 * stats.run_statistics(scores, k).std_dev_across_runs,
        }

    return measure


def _generations(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Judge the generations; their names end in .test.gz, which says nothing of the form."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [Path(folder) / f"{number}.jsonl" for number in range(len(files))]
        for row, file in zip(rows, files, strict=True):
            row.write_bytes(gzip.decompress(file.read_bytes()))
        return _BOXED(data_dir, rows)


_BOXED = Rescore(
    task="math",
    format="nemo_skills",
    policy={"extraction": "boxed"},
    # Ours alone right: a number with its unit (737), \fbox (7086), an empty box after the answer
    # (635, 918). Theirs alone: 7!/16 (2178) is not a final answer.
    differing=frozenset(
        {
            "train/algebra/2178.json", "train/prealgebra/737.json", "train/algebra/635.json",
            "train/number_theory/7086.json", "train/number_theory/918.json",
        }
    ),
)  # fmt: skip


def _fixture(
    name: str, runs: int, right: Callable[[Mapping[str, Any]], bool], **expected: float
) -> GoldenSet:
    return GoldenSet(
        name=f"nemo_skills_fixtures/{name}",
        source=f"{_SKILLS}/eval_outputs/eval-results/metrics.json-test",
        files=tuple(
            f"nemo_skills_fixtures/eval-results/{name}/output-rs{run}.jsonl-test"
            for run in range(runs)
        ),
        measure=_metrics(right),
        expected=tuple(Expected(key, value, 1e-6) for key, value in expected.items()),
    )


SETS = (
    _fixture(
        "gpqa", 4, lambda row: row["symbolic_correct"],
        **{"avg": 50.0, "pass": 75.0, "maj": 50.0, "spread": 20.4124145},
    ),
    _fixture(
        "hendrycks_math", 3, lambda row: row["symbolic_correct"],
        **{"avg": 71.4285714, "pass": 85.7142857, "maj": 76.1904762, "spread": 14.2857143},
    ),
    _fixture(
        "human-eval", 2, lambda row: row["is_correct-plus"],
        **{"avg": 62.5, "pass": 75.0, "spread": 17.6776695},
    ),
    _fixture(
        "minif2f", 4, lambda row: row["proof_status"] == "completed",
        **{"avg": 33.3333333, "pass": 100.0, "spread": 27.2165527},
    ),
    GoldenSet(
        name="nemo_skills_fixtures/generations",
        source=f"{_SKILLS}/output-rs*.test, symbolic_correct",
        files=tuple(f"nemo_skills_fixtures/output-rs{run}.test.gz" for run in range(3)),
        measure=_generations,
        expected=(Expected("samples", 150), Expected("unexplained", 0)),
    ),
    *(
        GoldenSet(
            name=f"nemo_gym_rollouts/{name}",
            source=_GYM.format(name),
            files=(f"nemo_gym_rollouts/{name}.jsonl.gz",),
            measure=Rescore(task=task, format="nemo_gym"),
            expected=(Expected("same", 5),),
        )
        for name, task in _GYM_REWARDS.items()
    ),
)  # fmt: skip
