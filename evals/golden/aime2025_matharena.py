"""AIME 2025 I: sixteen models, four runs each, as MathArena counted them."""

import json
from collections.abc import Sequence
from pathlib import Path

from cascade.evals import stats
from cascade.evals.verify import Expected, GoldenSet

_RUNS = 4
_AVERAGES = {
    "o3-mini (high)": 80.0,
    "o1 (medium)": 78.33,
    "o3-mini (medium)": 73.33,
    "DeepSeek-R1": 65.0,
    "o3-mini (low)": 53.33,
    "DeepSeek-R1-Distill-Qwen-32B": 53.33,
    "gemini-2.0-flash-thinking": 51.67,
    "DeepSeek-R1-Distill-Qwen-14B": 50.0,
    "DeepSeek-R1-Distill-Llama-70B": 50.0,
    "QwQ-32B-Preview": 36.67,
    "gemini-2.0-flash": 30.0,
    "DeepSeek-V3": 28.33,
    "gemini-2.0-pro": 26.67,
    "DeepSeek-R1-Distill-Qwen-1.5B": 25.0,
    "gpt-4o": 13.33,
    "claude-3.5-sonnet": 3.33,
}


def _averages(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """avg@4 of every model from the percentages of its cells, and the error bars of DeepSeek-R1."""
    rows = [row for row in json.loads(files[0].read_text()) if isinstance(row["question"], int)]
    numbers = {m: 100 * stats.avg_at_k(_scores(rows, m), _RUNS) for m in _AVERAGES}
    scores = _scores(rows, "DeepSeek-R1")
    clustered, noise = stats.standard_error(scores), stats.run_noise(scores)
    assert clustered is not None
    assert noise is not None
    return {**numbers, "R1 standard error": 100 * clustered, "R1 run noise": 100 * noise}


def _scores(rows: list[dict[str, float]], model: str) -> list[list[float]]:
    right = [round(row[model] * _RUNS / 100) for row in rows]
    return [[1.0] * count + [0.0] * (_RUNS - count) for count in right]


SETS = (
    GoldenSet(
        name="aime2025_matharena/avg@4",
        source="eth-sri/matharena.ai at 8fdd9ab, static/js/table_data.js, row Avg",
        files=("aime2025_matharena/aime2025_I_per_question.json",),
        measure=_averages,
        expected=(
            *(Expected(model, score, 0.005) for model, score in _AVERAGES.items()),
            Expected("R1 standard error", 11.1, 0.05),
            Expected("R1 run noise", 3.5, 0.05),
        ),
    ),
)
