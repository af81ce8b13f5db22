"""`cascade-eval elo`: a run rated by the standings of the contests whose problems it tried.

Standings come in two forms: ours, ``{"contest", "icpc", "problems": {ID: POINTS}, "humans":
[{"rating", "points", "penalty"}]}``, one or a list of them in a file; or a folder with what
Codeforces' API answers, ``N.standings.json`` (method contest.standings) beside
``N.ratingChanges.json`` (contest.ratingChanges). Source of those fields: codeforces.com/apiHelp.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cascade.errors import DataError, DataNotFoundError
from cascade.evals.elo import Human, Tries, average_rating, contest_rating
from cascade.evals.judged import Judged
from cascade.types import VerdictStatus

__all__ = ["Contest", "Rated", "print_rated", "rate", "read_contests"]


@dataclass(frozen=True, slots=True)
class Contest:
    """One contest and how people did in it."""

    name: str
    problems: Mapping[str, float]
    """Id of a problem, as the run names it -> what it is worth at once (1 in ICPC style)."""
    humans: tuple[Human, ...]
    icpc: bool = False


@dataclass(frozen=True, slots=True)
class RatedContest:
    """What one contest says of a model."""

    name: str
    rating: float
    problems: int
    tries: int
    """Of all problems together."""
    solved: int
    """Problems with a success among the tries."""


@dataclass(frozen=True, slots=True)
class Rated:
    """A model's rating."""

    rating: float | None
    """Mean of the contests' ratings; None if no contest is whole."""
    contests: tuple[RatedContest, ...]
    problems: tuple[str, ...]
    """Why the rating is incomplete."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def rate(judged: Sequence[Judged], contests: Sequence[Contest]) -> Rated:
    """Rate the samples of a run.

    Each sample of a problem is a try; a FAULT is none. A contest with a problem that was not tried
    is left out and named: its points would be too few.

    Raises:
        DataError: no contest, or one of no problems or no people.
    """
    if not contests:
        raise DataError("no contest to rate by")
    tries: dict[str, list[bool]] = {}
    for sample in judged:
        if sample.status is not VerdictStatus.FAULT:
            tries.setdefault(sample.task_id, []).append(sample.reward >= 1.0)
    rated, problems = [], []
    for contest in contests:
        missing = [name for name in contest.problems if name not in tries]
        if missing:
            problems.append(
                f"contest {contest.name} is left out: {len(missing)} of {len(contest.problems)} "
                f"problems were not tried ({', '.join(missing[:5])})"
            )
            continue
        given = [
            Tries(points, len(tries[name]), sum(tries[name]))
            for name, points in contest.problems.items()
        ]
        rated.append(
            RatedContest(
                contest.name, contest_rating(given, contest.humans, icpc=contest.icpc),
                len(given), sum(t.tries for t in given), sum(t.solved > 0 for t in given),
            )
        )  # fmt: skip
    mean = average_rating([contest.rating for contest in rated]) if rated else None
    return Rated(mean, tuple(rated), tuple(problems))


def read_contests(paths: Sequence[Path]) -> list[Contest]:
    """Read standings.

    Raises:
        DataNotFoundError: a file is missing, or a folder holds no standings.
        DataError: a file that cannot be read, or two contests of one name.
    """
    contests = [contest for path in paths for contest in _read(path)]
    names = [contest.name for contest in contests]
    if len({*names}) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise DataError(f"there are two contests called {double!r}")
    return contests


def _read(path: Path) -> Iterator[Contest]:
    if path.is_dir():
        files = sorted(path.glob("*.standings.json"))
        if not files:
            raise DataNotFoundError(f"{path} holds no N.standings.json")
        for file in files:
            changes = file.with_name(file.name.replace(".standings.", ".ratingChanges."))
            yield _of_api(_result(file), _result(changes), file)
        return
    content = _json(path)
    for number, item in enumerate(content if isinstance(content, list) else [content]):
        try:
            humans = tuple(
                Human(float(h["rating"]), float(h["points"]), float(h.get("penalty", 0.0)))
                for h in item["humans"]
            )
            worth = {str(name): float(points) for name, points in item["problems"].items()}
            yield Contest(str(item["contest"]), worth, humans, bool(item.get("icpc", False)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}, contest {number + 1}: not standings ({error!r})") from error


def _of_api(standings: Any, changes: Any, path: Path) -> Contest:
    """Join the places of a contest with the ratings that its people had before it."""
    try:
        before = {row["handle"]: float(row["oldRating"]) for row in changes}
        icpc = standings["contest"].get("type") == "ICPC"
        worth = {
            f"{problem.get('contestId', standings['contest']['id'])}{problem['index']}": float(
                1.0 if icpc else problem["points"]
            )
            for problem in standings["problems"]
        }
        humans = tuple(
            Human(before[handle], float(row["points"]), float(row.get("penalty", 0.0)))
            for row in standings["rows"]
            if len(row["party"]["members"]) == 1
            and (handle := row["party"]["members"][0]["handle"]) in before
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not an answer of Codeforces' API ({error!r})") from error
    return Contest(str(standings["contest"]["id"]), worth, humans, icpc)


def _result(path: Path) -> Any:
    content = _json(path)
    if isinstance(content, Mapping) and content.get("status") == "FAILED":
        raise DataError(f"{path}: the API's answer is a failure: {content.get('comment')}")
    return content.get("result", content) if isinstance(content, Mapping) else content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataNotFoundError(f"there is no file {str(path)!r}") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def print_rated(rated: Rated) -> None:
    """Print the rating for a person."""
    for contest in rated.contests:
        print(
            f"{contest.name}: {contest.rating:.0f}  ({contest.solved} of {contest.problems} "
            f"problems solved in {contest.tries} tries)"
        )
    shown = "-" if rated.rating is None else f"{rated.rating:.0f}"
    print(f"rating: {shown}, the mean of {len(rated.contests)} contests")
    for problem in rated.problems:
        print(f"attention: {problem}")
