"""Tool calling in one turn: which functions are called, with which arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from cascade.envs.base import SingleTurnEnv, Tasks
from cascade.types import Task
from cascade.verifiers import tools

__all__ = ["ToolCallingEnv"]


class ToolCallingEnv(SingleTurnEnv):
    """A request that is answered by calls of functions (or by none).

    A task's reference is what `cascade.verifiers.tools.verify` takes: ``calls`` or BFCL's
    ``acceptable`` answers, the declared ``tools``, ``order``, ``reward``. Where the reference
    declares no tools, the task's own are used.

    Args:
        tasks: see `TextEnv`; generated tasks if not given.
        format: how calls are written in text; "auto" recognises the formats in use.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_tool_calling"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        format: tools.CallFormat = "auto",
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.verifier = tools.ToolCallVerifier(format)

    def reference(self, task: Task) -> Mapping[str, Any]:
        """Return the expected calls and the declared functions."""
        given: Mapping[str, Any] = task.reference
        return given if given.get("tools") else {**given, "tools": list(task.tools)}

    def oracle_response(self, task: Task) -> str:
        """Return the gold calls; a refusal where none is expected."""
        if "solution" in task.metadata:
            return str(task.metadata["solution"])
        calls = tools.gold_calls(self.reference(task))
        return tools.render_calls(calls, "nemotron") if calls else "None of the functions fits."

    def wrong_response(self, task: Task) -> str:
        """Return a call of a function that is not declared."""
        return tools.render_calls([tools.Call("no_such_function", {})], "nemotron")

    def responds_quickly(self, text: str) -> bool:
        """Short calls are checked in less than a millisecond."""
        return len(text) < 2_000
