"""Conditions on problems: `--where difficulty=hard`, `--where contest_date>=2024-08-01`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade.envs.tasksets import TaskSet
from cascade.errors import ConfigError
from cascade.types import Task

__all__ = ["Condition", "chosen_by", "condition_of"]

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_FORM = re.compile(r"(\w+)\s*(<=|>=|!=|=|<|>)\s*(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison with a field of the problems' metadata.

    Dates in ISO form compare as text; a date (`2024-08-01`) stands for the first moment of its day.

    Raises:
        ConfigError: an unknown operator.
    """

    field: str
    operator: str
    value: str

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if self.operator not in _OPERATORS:
            raise ConfigError(f"a condition has one of {' '.join(_OPERATORS)}, not {self.operator}")

    def holds(self, task: Task) -> bool:
        """Whether the task meets it.

        Raises:
            ConfigError: the task has no such field.
        """
        if self.field not in task.metadata:
            known = ", ".join(sorted(task.metadata)) or "none"
            raise ConfigError(f"--where {self}: problem {task.id!r} has the fields {known}")
        found = task.metadata[self.field]
        if isinstance(found, int | float) and not isinstance(found, bool):
            try:
                return _OPERATORS[self.operator](float(found), float(self.value))
            except ValueError:
                raise ConfigError(f"--where {self}: {self.field} is a number") from None
        return _OPERATORS[self.operator](str(found), self.value)

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return f"{self.field}{self.operator}{self.value}"

    def as_json(self) -> str:
        """Return it as plain data."""
        return str(self)


def condition_of(text: str) -> Condition:
    """Read FIELD=VALUE, or with !=, <, <=, >, >=.

    Raises:
        ConfigError: another form.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"--where needs FIELD=VALUE (or != < <= > >=), got {text!r}")
    return Condition(match[1], match[2], match[3])


def chosen_by(tasks: TaskSet, conditions: Sequence[Condition]) -> TaskSet:
    """Keep the tasks that meet all conditions.

    Raises:
        ConfigError: no task does, or one has no such field.
    """
    if not conditions:
        return tasks
    chosen = tasks.filter(lambda task: all(condition.holds(task) for condition in conditions))
    if not chosen:
        said = " and ".join(map(str, conditions))
        raise ConfigError(f"none of the {len(tasks):,} problems of {tasks.name!r} has {said}")
    return chosen
