"""The functions of a world: declared, checked, called; and the reward for what they did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade.envs.toolworld.declaration import declare
from cascade.envs.toolworld.tables import Tables
from cascade.errors import DataError, UnknownNameError
from cascade.types import Verdict
from cascade.verifiers.schema.compiled import CompiledSchema, compile_schema
from cascade.verifiers.schema.limits import DEFAULT_LIMITS, Undecided
from cascade.verifiers.tools import Call

__all__ = ["ToolError", "ToolResult", "Toolbox", "judge"]


class ToolError(Exception):
    """A function cannot do what it was asked: the model sees the message."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gives back to the model."""

    text: str
    """JSON: the value, or ``{"error": …}``."""
    failed: bool = False
    """Whether the call did nothing."""


@dataclass(frozen=True, slots=True)
class _Tool:
    function: Callable[..., Any]
    declaration: Mapping[str, Any]
    arguments: CompiledSchema


class Toolbox:
    """Functions by name. Any number of episodes may share one.

    Args:
        functions: their first parameter is the world (`Tables`, or any other state); the others are
            what the model gives.

    Raises:
        ConfigError: a function's signature or docstring cannot be declared.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        self._tools: dict[str, _Tool] = {}
        for function in functions:
            made = declare(function)
            arguments = compile_schema(
                made["function"]["parameters"], strict=False, formats=True, limits=DEFAULT_LIMITS
            )
            self._tools[function.__name__] = _Tool(function, made, arguments)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all functions, in the order they were given."""
        return tuple(self._tools)

    def declarations(self, names: Iterable[str] | None = None) -> tuple[Mapping[str, Any], ...]:
        """Return the declarations of the functions called `names`, by default of all.

        Raises:
            UnknownNameError: there is no function of that name.
        """
        wanted = self.names if names is None else tuple(names)
        for name in wanted:
            if name not in self._tools:
                raise UnknownNameError.near("tool", name, self._tools)
        return tuple(self._tools[name].declaration for name in wanted)

    def call(self, tables: Any, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a function on a world; whatever is wrong with the call is the result."""
        tool = self._tools.get(name)
        if tool is None:
            return _failure(f"there is no tool called {name[:80]!r}")
        try:
            problem = tool.arguments.problem(dict(arguments))
            if problem is not None:
                return _failure(problem)
            value = tool.function(tables, **arguments)
        except (ToolError, Undecided) as error:
            return _failure(str(error))
        return ToolResult(json.dumps(value, ensure_ascii=False))


def _failure(message: str) -> ToolResult:
    return ToolResult(json.dumps({"error": message}, ensure_ascii=False), failed=True)


def judge(toolbox: Toolbox, start: Tables, end: Tables, gold: Sequence[Call]) -> Verdict:
    """Return whether `end` is what `start` becomes by the gold calls.

    How the model came there does not count: other calls, another order, failed attempts.

    Raises:
        DataError: a gold call fails, so that nothing could be right.
    """
    wanted = start.copy()
    for call in gold:
        result = toolbox.call(wanted, call.name, call.arguments)
        if result.failed:
            raise DataError(f"the gold call of {call.name!r} fails: {result.text}")
    difference = end.difference(wanted)
    if difference is not None:
        return Verdict.wrong(reason=difference)
    return Verdict.correct(reason="the tables end as they should")
