"""The framework of simulated tool worlds: declarations, tables, calls, reward."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from cascade.envs.toolworld import (
    Date,
    Row,
    Tables,
    Toolbox,
    ToolError,
    declare,
    judge,
)
from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.verifiers.tools import Call


@dataclass(frozen=True, slots=True)
class Note(Row):
    """A note."""

    wording: ClassVar[frozenset[str]] = frozenset({"text"})
    prefix: ClassVar[str] = "n"
    text: str
    colour: str


def add_note(
    tables: Tables,
    text: str,
    colour: Literal["red", "blue"] = "red",
    due: Date | None = None,
    tags: list[str] | None = None,
) -> str:
    """Write a note on the wall.

    Args:
        text: What it says,
            in one line.
        colour: Its colour.
        due: When it is due.
        tags: Its tags.

    Returns:
        Not for the model.
    """
    if not text:
        raise ToolError("a note says something")
    note = Note(tables.new_id(Note), text, colour)
    tables.put(note)
    return note.id


def drop_note(tables: Tables, note_id: str) -> str:
    """Take a note off the wall.

    Args:
        note_id: Which one.
    """
    note = tables.table(Note).get(note_id)
    if note is None:
        raise ToolError("no such note")
    tables.remove(note)
    return "done"


BOX = Toolbox([add_note, drop_note])


def wall() -> Tables:
    return Tables([Note("n0001", "Buy milk", "red"), Note("n0002", "Call Ann", "blue")])


def test_a_declaration_is_the_signature_and_the_docstring() -> None:
    assert declare(add_note) == {
        "type": "function",
        "function": {
            "name": "add_note",
            "description": "Write a note on the wall.",
            "parameters": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "description": "What it says, in one line."},
                    "colour": {
                        "type": "string",
                        "enum": ["red", "blue"],
                        "description": "Its colour.",
                        "default": "red",
                    },
                    "due": {
                        "type": ["string", "null"],
                        "pattern": r"^\d{4}-\d{2}-\d{2}$",
                        "format": "date",
                        "description": "When it is due.",
                        "default": None,
                    },
                    "tags": {
                        "type": ["array", "null"],
                        "items": {"type": "string"},
                        "description": "Its tags.",
                        "default": None,
                    },
                },
                "required": ["text"],
                "additionalProperties": False,
            },
        },
    }


def test_what_cannot_be_declared_is_an_error() -> None:
    def undescribed(tables: Tables, x: int) -> None:
        """Do it."""

    def untyped(tables: Tables, x: complex) -> None:
        """Do it.

        Args:
            x: A number.
        """

    for function in (undescribed, untyped):
        with pytest.raises(
            ConfigError, match=function.__name__ if function is undescribed else "x"
        ):
            Toolbox([function])
    with pytest.raises(UnknownNameError, match="add_note"):
        BOX.declarations(["ad_note"])


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("no_tool", {}, "there is no tool called 'no_tool'"),
        ("add_note", {}, "'text' is a required property"),
        ("add_note", {"text": 3}, "3 is not of type 'string'"),
        ("add_note", {"text": "a", "size": 1}, "'size' is a property that is not allowed"),
        ("add_note", {"text": "a", "colour": "green"}, "'green' is not one of ['red', 'blue']"),
        ("add_note", {"text": "a", "due": "tomorrow"}, "'tomorrow'"),
        ("add_note", {"text": "a", "due": "2026-02-30"}, "'2026-02-30' is not a 'date'"),
        ("add_note", {"text": ""}, "a note says something"),
        ("drop_note", {"note_id": "n9"}, "no such note"),
    ],
)
def test_a_call_that_fails_is_a_result_that_the_model_sees(
    name: str, arguments: dict[str, Any], why: str
) -> None:
    tables = wall()
    result = BOX.call(tables, name, arguments)
    assert result.failed
    assert why in json.loads(result.text)["error"]
    assert tables.difference(wall()) is None


def test_copies_are_independent_whenever_they_are_made() -> None:
    one = wall()
    two = one.copy()
    BOX.call(two, "drop_note", {"note_id": "n0001"})
    three = two.copy()
    BOX.call(three, "drop_note", {"note_id": "n0002"})
    BOX.call(two, "add_note", {"text": "x"})
    assert [len(tables.table(Note)) for tables in (one, two, three)] == [2, 2, 0]
    assert list(two.table(Note)) == ["n0002", "n0003"]


def test_equal_episodes_make_equal_ids() -> None:
    first, second = wall(), wall()
    assert [BOX.call(t, "add_note", {"text": "x"}).text for t in (first, second)] == ['"n0003"'] * 2


@pytest.mark.parametrize(
    ("made", "gold", "right"),
    [
        ([("x", "red")], [("x", "red")], True),
        ([("X  y", "red")], [("x Y", "red")], True),
        ([("a", "red"), ("b", "red")], [("b", "red"), ("a", "red")], True),
        ([("x", "blue")], [("x", "red")], False),
        ([("x", "red"), ("x", "red")], [("x", "red")], False),
        ([("x", "red")], [("x", "red"), ("x", "red")], False),
        ([], [("x", "red")], False),
        ([], [], True),
    ],
)
def test_new_rows_are_compared_without_ids_and_up_to_wording(
    made: list[tuple[str, str]], gold: list[tuple[str, str]], right: bool
) -> None:
    start = wall()
    end = start.copy()
    for text, colour in made:
        BOX.call(end, "add_note", {"text": text, "colour": colour})
    calls = [Call("add_note", {"text": text, "colour": colour}) for text, colour in gold]
    verdict = judge(BOX, start, end, calls)
    assert (verdict.reward == 1) is right
    assert verdict.reason


def test_rows_from_before_are_compared_by_id() -> None:
    start = wall()
    end = start.copy()
    BOX.call(end, "drop_note", {"note_id": "n0001"})
    wrong = judge(BOX, start, end, [Call("drop_note", {"note_id": "n0002"})])
    assert wrong.reason == "Note n0001 is missing"
    undone = start.copy()
    BOX.call(undone, "drop_note", {"note_id": "n0001"})
    BOX.call(undone, "add_note", {"text": "Buy milk"})
    assert judge(BOX, start, undone, []).reward == 0


def test_a_gold_call_that_fails_is_an_error_of_the_data() -> None:
    with pytest.raises(DataError, match="no such note"):
        judge(BOX, wall(), wall(), [Call("drop_note", {"note_id": "n9"})])
