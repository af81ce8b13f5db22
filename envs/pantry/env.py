"""A pantry of a few goods: look, put and take, until there is as much as was asked for.

Everything about an agent is there (several turns, parallel calls, results to read, errors, reward
by the final state), in prompts and messages of a few dozen characters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cascade.envs.agent import AgentEnv
from cascade.envs.base import Observation, Tasks, Turn
from cascade.envs.toolworld import Row, Tables, Toolbox, ToolError, ToolResult, judge
from cascade.types import Task
from cascade.verifiers import tools
from cascade.verifiers.tools import Call

__all__ = ["GOODS", "PANTRY", "PantryEnv", "pantry"]

GOODS = ("beans", "corn", "eggs", "figs", "nuts", "peas", "rice", "tea")
_MOST = 99


@dataclass(frozen=True, slots=True)
class Shelf(Row):
    """How many of one good there are; the id is its name."""

    count: int


def _shelf(tables: Tables, item: str) -> Shelf:
    shelf = tables.table(Shelf).get(item)
    if shelf is None:
        raise ToolError(f"there is no {item[:20]!r} here")
    return shelf


def look(tables: Tables, item: str) -> int:
    """Count a good.

    Args:
        item: Name of the good.
    """
    return _shelf(tables, item).count


def put(tables: Tables, item: str, n: int) -> int:
    """Add to a good.

    Args:
        item: Name of the good.
        n: How many.
    """
    shelf = _shelf(tables, item)
    if not 1 <= n <= _MOST - shelf.count:
        raise ToolError(f"{n} do not fit")
    tables.put(replace(shelf, count=shelf.count + n))
    return shelf.count + n


def take(tables: Tables, item: str, n: int) -> int:
    """Take from a good.

    Args:
        item: Name of the good.
        n: How many.
    """
    shelf = _shelf(tables, item)
    if not 1 <= n <= shelf.count:
        raise ToolError(f"there are {shelf.count}")
    tables.put(replace(shelf, count=shelf.count - n))
    return shelf.count - n


PANTRY = Toolbox([look, put, take])


def pantry(counts: dict[str, int]) -> Tables:
    """Return a pantry with so many of each good."""
    return Tables(Shelf(name, count) for name, count in counts.items())


class PantryEnv(AgentEnv):
    """Bring a pantry into the state that was asked for, and say so.

    A task's reference is ``{"counts": {good: number}, "calls": [gold calls]}``; the reward is 1 if
    the counts end as they do after the gold calls.

    Args:
        tasks: see `TextEnv`; generated tasks if not given.
        max_turns: assistant messages in an episode.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_pantry"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        max_turns: int = 5,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, max_turns=max_turns, render_mode=render_mode)
        self._start = self._tables = Tables()

    def begin(self, task: Task) -> Observation:
        """Fill the pantry."""
        self._start = pantry(task.reference["counts"])
        self._tables = self._start.copy()
        return super().begin(task)

    def carry_out(self, call: Call) -> ToolResult:
        """Look, put or take."""
        return PANTRY.call(self._tables, call.name, call.arguments)

    def spoken(self, text: str) -> Turn:
        """Judge the episode: the assistant says that it is done."""
        gold = tools.gold_calls(_reference(self.task))
        return Turn(verdict=judge(PANTRY, self._start, self._tables, gold))

    def oracle_response(self, task: Task) -> tuple[str, ...]:
        """Return one message of look-ups, if they are needed, one of changes, and a last one."""
        gold = tools.gold_calls(_reference(task))
        looks = [call for call in gold if call.name == "look"]
        changes = [call for call in gold if call.name != "look"]
        written = [tools.render_calls(calls, "python") for calls in (looks, changes) if calls]
        return (*written, "Done.")

    def wrong_response(self, task: Task) -> str:
        """Return a message that claims success and did nothing."""
        return "Done."


def _reference(task: Task) -> dict[str, Any]:
    return {"calls": task.reference["calls"]}
