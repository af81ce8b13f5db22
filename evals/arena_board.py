"""Leaderboards from stored judgments, in the form that Arena-Hard publishes them.

A file of judgments holds rows ``{uid, model, games: [{score}, {score}]}``: in game 1 the baseline
is A, in game 2 the model is. A strong verdict (>>) counts three times, a tie half a win for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cascade.envs.pairwise.protocols import find_pair_protocol, swapped_label
from cascade.envs.rows import Row, first_field
from cascade.errors import DataError
from cascade.evals import ratings
from cascade.evals.setmetrics import percentiles

__all__ = [
    "BoardRow",
    "Judged",
    "Style",
    "battles_of",
    "board",
    "count_words",
    "judged_of_row",
    "length_control",
    "style_of",
]

_IDS = ("uid", "question_id")
Missing = Literal["drop", "repeat"]
_OPPOSITE = {"<": ">", ">": "<", "=": "="}


@dataclass(frozen=True, slots=True)
class Judged:
    """The two verdicts on one answer: in `first` the baseline is A, in `second` the model is."""

    question: str
    model: str
    first: str | None
    """A label of Arena-Hard's; None where the judge gave none."""
    second: str | None
    category: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether both games have a verdict."""
        return self.first is not None and self.second is not None


def judged_of_row(row: Row, missing: Missing = "drop") -> Judged:
    """Read one row of a judgment file.

    Args:
        row: in the form of v0.1 or v2.0.
        missing: a row with one game only counts it twice ("repeat", as the Korean fork does), or
            leaves the second game open ("drop").

    Raises:
        DataError: a field is missing, or a verdict is no label.
    """
    games = row.get("games")
    if not isinstance(games, list) or not 1 <= len(games) <= 2:
        raise DataError("field 'games' must be a list of one or two games")
    labels = [_label(game) for game in games]
    if len(labels) == 1:
        labels.append(labels[0] if missing == "repeat" else None)
    return Judged(
        str(first_field(row, _IDS, "uid")),
        str(first_field(row, ("model",), "model")),
        labels[0],
        labels[1],
        str(row.get("category") or ""),
    )


def _label(game: Any) -> str | None:
    """Return a label in the direction A>B; ``B<A`` says the same as ``A>B``."""
    score = game.get("score") if isinstance(game, Mapping) else None
    if score is None:
        return None
    match = re.fullmatch(r"([AB])(<<|<|=|>|>>)([AB])", str(score))
    if match is None or match[1] == match[3]:
        raise DataError(f"verdict {score!r} is none of A>>B, A>B, A=B, B>A, B>>A")
    left, sign, right = match.groups()
    if sign[0] == "<" or (sign == "=" and left == "B"):
        left, right, sign = right, left, "".join(_OPPOSITE[mark] for mark in sign)
    return f"{left}{sign}{right}"


@dataclass(frozen=True, slots=True)
class Style:
    """What of an answer's style may sway a judge."""

    length: int
    """Tokens, or words: any unit, the same for all answers."""
    headers: int
    lists: int
    bold: int

    @classmethod
    def of_metadata(cls, data: Mapping[str, Any]) -> Style:
        """Read the published metadata of an answer (`token_len`, `header_count`, …).

        Raises:
            DataError: a field is missing.
        """
        try:
            return cls(
                int(data["token_len"]),
                sum(data["header_count"].values()),
                sum(data["list_count"].values()),
                sum(data["bold_count"].values()),
            )
        except (KeyError, AttributeError, TypeError) as error:
            raise DataError(f"not the style of an answer: {error!r}") from error


_CODE_BLOCK = re.compile(r"```([^`]*)```")
_HEADER = re.compile(r"^#{1,6}\s", re.MULTILINE)
_LISTS = (re.compile(r"^\s*\d+\.\s", re.MULTILINE), re.compile(r"^\s*[-*+]\s", re.MULTILINE))
_BOLD = (re.compile(r"\*\*[^*\n]+\*\*"), re.compile(r"__[^_\n]+__"))


def count_words(text: str) -> int:
    """Count words and marks: a stand-in for tokens, which cancels out in relative differences."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def style_of(answer: str, count: Callable[[str], int] = count_words) -> Style:
    """Count headings, list items and bold spans outside code blocks, and the length of all.

    Source: lmarena/arena-hard-auto at 196f6b8, utils/add_markdown_info.py; there the length is
    counted with OpenAI's tokenizer, which can be given as `count`. The inside of a code block is
    removed wherever it occurs, as there.
    """
    prose = answer
    for block in _CODE_BLOCK.findall(answer):
        prose = prose.replace(block, "")
    return Style(
        count(answer),
        len(_HEADER.findall(prose)),
        sum(len(pattern.findall(prose)) for pattern in _LISTS),
        sum(len(pattern.findall(prose)) for pattern in _BOLD),
    )


Styles = Mapping[tuple[str, str], Style]
"""(model, question) -> style of that answer."""
Covariates = Callable[[Style, Style], Sequence[float]]
"""Differences between two answers, the first's minus the second's."""


def style_control(one: Style, other: Style) -> Sequence[float]:
    """Relative differences (a - b) / (a + b + 1) of length, headings, lists and bold spans."""
    pairs = ((one.length, other.length), (one.headers, other.headers),
             (one.lists, other.lists), (one.bold, other.bold))  # fmt: skip
    return [(a - b) / (a + b + 1) for a, b in pairs]


def length_control(one: Style, other: Style) -> Sequence[float]:
    """The relative difference of length alone."""
    return style_control(one, other)[:1]


def markdown_control(one: Style, other: Style) -> Sequence[float]:
    """The relative differences of the markup alone."""
    return style_control(one, other)[1:]


def battles_of(
    judged: Iterable[Judged],
    baseline: str,
    *,
    styles: Styles | None = None,
    covariates: Covariates = style_control,
) -> ratings.Battles:
    """Turn judgments into battles of the baseline with each model.

    Judgments with an open game, and the baseline's own, are left out. With `styles` the covariates
    are standardised over the games as they count.

    Raises:
        DataError: a model is judged twice on a question, an answer without style, or nothing left.
    """
    protocol = find_pair_protocol("arena_hard")
    models: dict[str, int] = {baseline: 0}
    questions: dict[str, int] = {}
    rows: list[tuple[int, float, float, int]] = []
    differences: list[Sequence[float]] = []
    seen: set[tuple[str, str]] = set()
    for item in judged:
        if item.first is None or item.second is None or item.model == baseline:
            continue
        if (item.model, item.question) in seen:
            raise DataError(f"{item.model!r} is judged twice on question {item.question!r}")
        seen.add((item.model, item.question))
        model = models.setdefault(item.model, len(models))
        question = questions.setdefault(item.question, len(questions))
        for label in (item.first, swapped_label(item.second)):
            game = protocol.game(label, model_is_b=True)
            rows.append((model, 1.0 - game.share, game.weight, question))
            if styles is not None:
                ours, theirs = (styles.get((m, item.question)) for m in (baseline, item.model))
                if ours is None or theirs is None:
                    raise DataError(f"no style of {item.model!r} on question {item.question!r}")
                differences.append(covariates(ours, theirs))
    if not rows:
        raise DataError("no judgment with both games: there is nothing to rate")
    second, outcome, weight, question_of = (np.array(column) for column in zip(*rows, strict=True))
    style = None if styles is None else _standardised(np.array(differences), weight)
    return ratings.Battles(
        tuple(models), np.zeros_like(second), second, outcome.astype(float), weight.astype(float),
        question_of, style,
    )  # fmt: skip


def _standardised(difference_NK: ratings.Floats, weight_N: ratings.Floats) -> ratings.Floats:
    """Mean 0 and deviation 1 over the games, each as often as it counts."""
    mean_K = np.average(difference_NK, axis=0, weights=weight_N)
    spread_K = np.sqrt(np.average((difference_NK - mean_K) ** 2, axis=0, weights=weight_N))
    return np.asarray((difference_NK - mean_K) / np.where(spread_K > 0, spread_K, 1.0))


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One model's line, in points."""

    model: str
    score: float
    """Chance to beat the baseline."""
    low: float
    high: float
    questions: int


def board(
    battles: ratings.Battles,
    baseline: str,
    *,
    rounds: int = 100,
    level: float = 0.95,
    seed: int = 0,
    style_ridge: float = ratings.NO_RIDGE,
    ridge: float = ratings.NO_RIDGE,
) -> list[BoardRow]:
    """Rate all models against the baseline, the best first.

    Raises:
        ConfigError: the baseline fought no battle.
        DataError: the fit does not converge.
    """
    place = battles.index(baseline)
    fitted = ratings.fit(battles, ridge=ridge, style_ridge=style_ridge)
    score_M = 100.0 * ratings.win_rates(fitted.strength_M, place)
    draw_RM = 100.0 * ratings.bootstrap_win_rates(
        battles, place, rounds=rounds, seed=seed, ridge=ridge, style_ridge=style_ridge
    )
    rows = []
    for i, model in enumerate(battles.models):
        low, high = percentiles(draw_RM[:, i].tolist(), level)
        asked = battles.question_N[(battles.first_N == i) | (battles.second_N == i)]
        rows.append(BoardRow(model, float(score_M[i]), low, high, len(np.unique(asked))))
    return sorted(rows, key=lambda row: -row.score)
