"""Arena-Hard: bounds, style counts and scores of the official board and of two forks of it."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cascade.envs.pairwise.sources import answer_of
from cascade.evals import arena_board, ratings
from cascade.evals.setmetrics import percentiles
from cascade.evals.verify import Expected, GoldenSet

_OFFICIAL = "lmarena/arena-hard-auto at 196f6b8"
_KOREAN = "qwopqwop200/ko-arena-hard-auto at 9d13932"
_BASELINE = "claude-3.7-sonnet"
_SKLEARN = {"ridge": 1 / (2 * np.log(10) ** 2), "style_ridge": 0.5}
"""The penalty of a logistic regression with C = 1 on doubled games and odds to the base of 10."""


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _bounds(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Percentiles of the published bootstrap draws against the published bounds."""
    rows = list(_rows(files[0]))
    found = [percentiles(row["results"]) for row in rows]
    equal = sum(
        abs(low - row["lower"]) < 1e-9 and abs(high - row["upper"]) < 1e-9
        for (low, high), row in zip(found, rows, strict=True)
    )
    return {"models": len(rows), "equal": equal}


def _style_counts(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Markup counted in the answers against the counts published beside them."""
    total = equal = 0
    for path in files:
        for row in _rows(path):
            published = row.get("metadata") or row["conv_metadata"]
            ours = arena_board.style_of(answer_of(row))
            theirs = arena_board.Style.of_metadata(published)
            total += 1
            equal += (ours.headers, ours.lists, ours.bold) == (
                theirs.headers, theirs.lists, theirs.bold
            )  # fmt: skip
    return {"answers": total, "equal": equal}


def _local(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Scores of nine models from battles that are written out as often as they count."""
    rows = list(_rows(files[0]))
    names = sorted({row["model_a"] for row in rows} | {row["model_b"] for row in rows})
    questions = {name: i for i, name in enumerate(sorted({row["question_id"] for row in rows}))}
    outcome = {"model_a": 1.0, "model_b": 0.0}
    battles = ratings.Battles(
        tuple(names),
        np.array([names.index(row["model_a"]) for row in rows]),
        np.array([names.index(row["model_b"]) for row in rows]),
        np.array([outcome.get(row["winner"], 0.5) for row in rows]),
        np.ones(len(rows)),
        np.array([questions[row["question_id"]] for row in rows]),
    )
    board = arena_board.board(battles, "Phi-3-medium-128k-instruct", rounds=20)
    return {row.model: row.score for row in board}


def _judged(path: Path) -> list[arena_board.Judged]:
    return [arena_board.judged_of_row(row, missing="repeat") for row in _rows(path)]


def _published(path: Path) -> dict[str, float]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["model"]: float(row["score"]) for row in csv.DictReader(file)}


def _korean(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Scores of all models, and the bar of the best by questions."""
    board = arena_board.board(
        arena_board.battles_of(_judged(files[0]), _BASELINE), _BASELINE, rounds=200
    )
    published = _published(files[1])
    best = next(row for row in board if row.model == "o3-high")
    return {
        "models": len(board),
        "within 0.01": sum(abs(row.score - published[row.model]) <= 0.0101 for row in board),
        "o3-high": best.score,
        "o3-high, down": best.low - best.score,
        "o3-high, up": best.high - best.score,
    }


def _korean_style(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Scores with style controlled, of the models whose answers are at hand."""
    styles = {
        (row["model"], row["question_id"]): arena_board.Style.of_metadata(row["conv_metadata"])
        for row in _rows(files[2])
    }
    have = {model for model, _ in styles}
    battles = arena_board.battles_of(
        (item for item in _judged(files[0]) if item.model in have), _BASELINE, styles=styles
    )
    fitted = ratings.fit(battles, **_SKLEARN)
    scores = 100.0 * ratings.win_rates(fitted.strength_M, battles.index(_BASELINE))
    published = _published(files[1])
    apart = [abs(s - published[m]) for m, s in zip(battles.models, scores, strict=True)]
    theirs = [published[model] for model in battles.models]
    ranks = np.array([np.argsort(np.argsort(values)) for values in (scores, np.array(theirs))])
    return {
        "models": len(apart),
        "largest difference": max(apart),
        "mean difference": float(np.mean(apart)),
        "rank correlation": float(np.corrcoef(ranks)[0, 1]),
    }


_RUSSIAN = {
    "Llama-3-Instruct-8B-SimPO": 83.8, "SELM-Llama-3-8B-Instruct-iter-3": 78.8,
    "suzume-llama-3-8B-multilingual-orpo-borda-half": 71.8, "Meta-Llama-3-8B-Instruct-f16": 69.8,
    "suzume-llama-3-8B-multilingual": 54.0, "aya-23-8B": 50.4, "Phi-3-medium-128k-instruct": 50.0,
    "Vikhr-7B-instruct_0.5": 14.2, "alpindale_gemma-2b-it": 7.9,
}  # fmt: skip
_ABSENT = "four models' answers are absent; their style moves what the other 72 are compared with"

SETS = (
    GoldenSet(
        name="arena_hard_official/bounds",
        source=f"{_OFFICIAL}, notebook: bounds of 1,000 bootstrap draws of 28 models",
        files=("arena_hard_official/bootstrap_stats_arena_hard.jsonl.gz",),
        measure=_bounds,
        expected=(Expected("models", 28), Expected("equal", 28)),
    ),
    GoldenSet(
        name="arena_hard_official/style",
        source=f"{_OFFICIAL}, metadata of the answers",
        files=("arena_hard_official/model_answer_v2.0/o3-mini-2025-01-31.jsonl.gz",),
        measure=_style_counts,
        expected=(Expected("answers", 750), Expected("equal", 750)),
    ),
    GoldenSet(
        name="ko_arena_hard/style counts",
        source=f"{_KOREAN}, metadata of the answers",
        files=tuple(f"ko_arena_hard/model_answer/{model}.jsonl.gz" for model in
                    ("claude-3.7-sonnet", "gpt-4.1-2025-04-14", "gpt-4o-mini")),
        measure=_style_counts,
        expected=(Expected("answers", 1500), Expected("equal", 1500)),
    ),
    GoldenSet(
        name="arena_hard_local_ru/scores",
        source="r4dm/arena-hard-local at f9be4e9, README at ef7d226",
        files=("arena_hard_local_ru/arena_hard_battles.jsonl.gz",),
        measure=_local,
        expected=tuple(Expected(model, score, 0.1) for model, score in _RUSSIAN.items()),
    ),
    GoldenSet(
        name="ko_arena_hard/scores",
        source=f"{_KOREAN}, leaderboard of 2025-04-23, no_control.csv",
        files=("ko_arena_hard/judgments_ensemble.jsonl.gz",
               "ko_arena_hard/leaderboard_20250423/no_control.csv"),
        measure=_korean,
        expected=(
            Expected("models", 76),
            Expected("within 0.01", 76),
            Expected("o3-high", 87.29, 0.01),
            Expected("o3-high, down", -2.54, 0.4, -0.69, "games are no independent draws"),
            Expected("o3-high, up", 2.38, 0.4, 1.19, "games are no independent draws"),
        ),
    ),
    GoldenSet(
        name="ko_arena_hard/style",
        source=f"{_KOREAN}, leaderboard of 2025-04-23, style_control.csv",
        files=("ko_arena_hard/judgments_ensemble.jsonl.gz",
               "ko_arena_hard/leaderboard_20250423/style_control.csv",
               "ko_arena_hard/answer_metadata.jsonl.gz"),
        measure=_korean_style,
        expected=(
            Expected("models", 72),
            Expected("largest difference", 2.07, 0.1, 0.0, _ABSENT),
            Expected("mean difference", 0.62, 0.1, 0.0, _ABSENT),
            Expected("rank correlation", 1.0, 0.001),
        ),
    ),
)  # fmt: skip
