"""A run rated by contest standings, in both forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import DataError, DataNotFoundError
from cascade.evals.elo import Human, Tries, contest_rating
from cascade.evals.standings import read_contests

PEOPLE = [{"rating": 1000 + 10 * i, "points": 10 * i, "penalty": 0} for i in range(150)]
OURS: dict[str, Any] = {
    "contest": "7", "problems": {"7A": 500, "7B": 1000}, "humans": PEOPLE,
}  # fmt: skip


def verdicts(folder: Path, tries: dict[str, list[str]]) -> Path:
    rewards = {"correct": 1.0, "wrong": 0.0, "fault": 0.0, "partial": 0.5}
    rows = [
        {"task": "t", "id": name, "sample": i, "status": status, "reward": rewards[status]}
        for name, statuses in tries.items()
        for i, status in enumerate(statuses)
    ]
    path = folder / "verdicts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def api_folder(folder: Path, kind: str = "CF") -> Path:
    """What Codeforces' API answers about contest 7; a team and an unrated person take part too."""
    problems: list[dict[str, Any]] = [
        {"contestId": 7, "index": "A", "points": 500.0}, {"contestId": 7, "index": "B"},
    ]  # fmt: skip
    if kind == "CF":
        problems[1]["points"] = 1000.0
    rows = [
        {"party": {"members": [{"handle": f"u{i}"}]}, "points": p["points"], "penalty": 0}
        for i, p in enumerate(PEOPLE)
    ]
    rows.append({"party": {"members": [{"handle": "new"}]}, "points": 9000, "penalty": 0})
    team = {"members": [{"handle": "u1"}, {"handle": "u2"}]}
    rows.append({"party": team, "points": 9000, "penalty": 0})
    standings = {"contest": {"id": 7, "type": kind}, "problems": problems, "rows": rows}
    changes = [{"handle": f"u{i}", "oldRating": p["rating"]} for i, p in enumerate(PEOPLE)]
    place = folder / "api"
    place.mkdir()
    for name, result in (("standings", standings), ("ratingChanges", changes)):
        (place / f"7.{name}.json").write_text(json.dumps({"status": "OK", "result": result}))
    return place


def test_a_run_is_rated_by_both_forms_alike(eval_main: Any, tmp_path: Path) -> None:
    """Half points are no success, and a fault is no try."""
    run = verdicts(
        tmp_path, {"7A": ["correct", "wrong", "partial", "fault"], "7B": ["wrong"], "x": ["wrong"]}
    )
    (tmp_path / "ours.json").write_text(json.dumps(OURS))
    humans = [Human(p["rating"], p["points"]) for p in PEOPLE]
    expected = contest_rating([Tries(500, 3, 1), Tries(1000, 1, 0)], humans)
    for standings in (tmp_path / "ours.json", api_folder(tmp_path)):
        code, out, errors = eval_main("elo", run, "--standings", standings, "--json")
        assert code == 0, errors
        assert json.loads(out)["rating"] == pytest.approx(expected)
        assert json.loads(out)["contests"][0]["solved"] == 1
    code, out, _ = eval_main("elo", run, "--standings", tmp_path / "ours.json")
    assert "1 of 2 problems solved in 4 tries" in out


def test_a_contest_that_was_not_tried_whole_is_left_out(eval_main: Any, tmp_path: Path) -> None:
    run = verdicts(tmp_path, {"7A": ["correct"], "7B": ["wrong"], "8A": ["fault"]})
    other = {**OURS, "contest": "8", "problems": {"8A": 500}}
    (tmp_path / "s.json").write_text(json.dumps([OURS, other]))
    code, out, _ = eval_main("elo", run, "--standings", tmp_path / "s.json", "--json")
    assert code == 3
    assert [contest["name"] for contest in json.loads(out)["contests"]] == ["7"]
    assert "contest 8 is left out: 1 of 1 problems were not tried (8A)" in out


def test_icpc_style_problems_are_worth_one(tmp_path: Path) -> None:
    [contest] = read_contests([api_folder(tmp_path, "ICPC")])
    assert (contest.icpc, contest.problems) == (True, {"7A": 1.0, "7B": 1.0})
    assert len(contest.humans) == len(PEOPLE)


def test_standings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    for content, message in (
        ("{", "not JSON"),
        (json.dumps({"contest": "7"}), "contest 1: not standings"),
        (json.dumps([OURS, OURS]), "two contests called '7'"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=message):
            read_contests([path])
    with pytest.raises(DataNotFoundError, match="no file"):
        read_contests([tmp_path / "none.json"])
    with pytest.raises(DataNotFoundError, match=r"no N\.standings\.json"):
        read_contests([tmp_path])
    place = api_folder(tmp_path)
    failed = {"status": "FAILED", "comment": "contestId: not found"}
    (place / "7.ratingChanges.json").write_text(json.dumps(failed))
    with pytest.raises(DataError, match="contestId: not found"):
        read_contests([place])
