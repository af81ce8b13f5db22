"""`cascade-eval board`: from files of judgments and answers to a rated board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cascade.envs.pairwise.sources import answer_of
from cascade.envs.rows import first_field, read_rows
from cascade.envs.trajectories import read_trajectories
from cascade.errors import ConfigError, DataError
from cascade.evals.arena_board import (
    BoardRow,
    Covariates,
    Judged,
    Style,
    battles_of,
    board,
    judged_of_row,
    length_control,
    markdown_control,
    style_control,
    style_of,
)
from cascade.evals.folder import read_manifest
from cascade.evals.outputs import line_of

__all__ = ["Board", "BoardConfig", "make_board", "print_board"]

Control = Literal["style", "length", "markdown"]
_CONTROLS: dict[str, Covariates] = {
    "style": style_control, "length": length_control, "markdown": markdown_control,
}  # fmt: skip
_IDS = ("uid", "question_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfig:
    """What to rate."""

    judgments: Sequence[Path]
    """Files of rows {uid, model, games}, or run folders of ours."""
    baseline: str
    answers: Sequence[Path] = ()
    """Files of answers, the baseline's among them; needed to control style."""
    control: Control | None = None
    category: str | None = None
    rounds: int = 100
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Board:
    """The result."""

    rows: tuple[BoardRow, ...]
    config: BoardConfig
    open_judgments: int
    """Judgments without a verdict in both games: left out."""
    problems: tuple[str, ...]
    """Why the board is incomplete."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "baseline": self.config.baseline,
            "control": self.config.control,
            "rounds": self.config.rounds,
            "level": self.config.level,
            "open_judgments": self.open_judgments,
            "problems": list(self.problems),
            "models": [asdict(row) for row in self.rows],
        }


def make_board(config: BoardConfig) -> Board:
    """Read the files and rate every model in them.

    Raises:
        ConfigError: `control` without answers, or an unknown baseline.
        DataError: a row that cannot be read, two judgments of one answer, an answer without style.
    """
    if config.control is not None and not config.answers:
        raise ConfigError(f"--control {config.control} needs --answers: files of all answers")
    judged = [item for path in config.judgments for item in _read(path)]
    if config.category is not None:
        judged = [item for item in judged if item.category == config.category]
    if not judged:
        raise DataError(f"no judgment of category {config.category!r}")
    styles = _styles(config.answers) if config.control is not None else None
    battles = battles_of(
        judged, config.baseline, styles=styles,
        covariates=_CONTROLS[config.control or "style"],
    )  # fmt: skip
    rows = board(battles, config.baseline, rounds=config.rounds, level=config.level)
    whole = [item for item in judged if item.is_whole]
    return Board(tuple(rows), config, len(judged) - len(whole), tuple(_problems(judged, whole)))


def _problems(judged: Sequence[Judged], whole: Sequence[Judged]) -> Iterator[str]:
    """Name models that were not judged on every question of the others."""
    questions = {item.question for item in judged}
    counts = Counter(item.model for item in whole)
    for model in dict.fromkeys(item.model for item in judged):
        if counts[model] < len(questions):
            yield (
                f"{model}: judged on {counts[model]:,} of {len(questions):,} questions: its score "
                f"is incomplete"
            )


def _read(path: Path) -> Iterator[Judged]:
    if path.is_dir():
        yield from _of_run(path)
        return
    for index, row in enumerate(read_rows(path)):
        try:
            yield judged_of_row(row)
        except DataError as error:
            raise DataError(f"{path}, line {line_of(path, index)}: {error}") from error


def _of_run(folder: Path) -> Iterator[Judged]:
    """The labels of a run's samples; a second sample of a question is another model's name."""
    model = str(read_manifest(folder)["model"])
    for episode in read_trajectories(folder / "trajectories.jsonl"):
        labels = (episode.verdict.extracted or "").split(", ")
        if "games" in episode.verdict.parts or episode.verdict.is_fault:
            first, second = labels if len(labels) == 2 else (None, None)
            name = model if episode.sample == 0 else f"{model}#{episode.sample + 1}"
            category = str(episode.task_metadata.get("category") or "")
            yield Judged(episode.task_id, name, first, second, category)


def _styles(paths: Sequence[Path]) -> dict[tuple[str, str], Style]:
    styles: dict[tuple[str, str], Style] = {}
    for path in paths:
        for index, row in enumerate(read_rows(path)):
            try:
                model = str(first_field(row, ("model", "model_id"), "model"))
                key = (model, str(first_field(row, _IDS, "uid")))
                if key in styles:
                    raise DataError(f"a second answer of {model!r} to {key[1]!r}")
                styles[key] = style_of(answer_of(row))
            except DataError as error:
                raise DataError(f"{path}, line {line_of(path, index)}: {error}") from error
    return styles


def print_board(made: Board) -> None:
    """Print the board for a person."""
    width = max(len(row.model) for row in made.rows)
    control = made.config.control or "nothing"
    bars = f"{made.config.level:.0%} intervals from {made.config.rounds} draws of the questions"
    print(f"win rate against {made.config.baseline}, {control} controlled; {bars}")
    for row in made.rows:
        low, high = row.low - row.score, row.high - row.score
        bars = f"({low:+.2f} / {high:+.2f})"
        print(f"{row.model:{width}}  {row.score:6.2f}  {bars}  {row.questions:,} questions")
    if made.open_judgments:
        print(f"left out: {made.open_judgments:,} judgments without a verdict in both games")
    for problem in made.problems:
        print(f"attention: {problem}")
