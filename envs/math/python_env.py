"""Mathematics with a Python interpreter: tool-integrated reasoning."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cascade.envs.base import Tasks, Turn
from cascade.envs.code.python_tool import NAME, TOOL, PythonTool, requested_calls
from cascade.envs.code.shared import Lease, Owned
from cascade.envs.math.env import MathEnv
from cascade.errors import ConfigError
from cascade.sandboxes import Sandbox
from cascade.types import Message, Task, Verdict
from cascade.verifiers import math
from cascade.verifiers.tools import Call, Malformed

__all__ = ["MathPythonEnv"]


class MathPythonEnv(MathEnv):
    """A problem with one final answer; the model may run Python on the way to it.

    It calls ``stateful_python_code_exec(code)`` in Nemotron's tool-call text; variables are kept
    from call to call. The first message without a call is the answer. As Nemotron-Cascade 2 was
    evaluated: at most 100 calls of 120 s each (arXiv:2603.19220, appendix A).

    Args:
        tasks, policy, timeout_seconds: see `MathEnv`.
        max_tool_calls: calls that an episode may make.
        tool_seconds: time limit of one call.
        sandbox, sandbox_settings: see `CodeEnv`.
        data_dir, render_mode: see `TextEnv`.

    Raises:
        ConfigError: no call, or no time for one.
    """

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        policy: math.Policy | None = None,
        timeout_seconds: float = 5.0,
        max_tool_calls: int = 100,
        tool_seconds: float = 120.0,
        sandbox: Sandbox | str = "auto",
        sandbox_settings: Mapping[str, Any] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            tasks, policy=policy, timeout_seconds=timeout_seconds, data_dir=data_dir,
            render_mode=render_mode,
        )  # fmt: skip
        if max_tool_calls < 1 or tool_seconds <= 0:
            raise ConfigError(
                f"max_tool_calls and tool_seconds must be positive, got {max_tool_calls!r} and "
                f"{tool_seconds!r}"
            )
        self.max_turns = max_tool_calls + 1
        self._place: Lease | Owned
        if isinstance(sandbox, Sandbox):
            self._place = Owned(sandbox)
        else:
            self._place = Lease(sandbox, sandbox_settings or {})
        weakref.finalize(self, self._place.close).atexit = False
        self._tool = PythonTool(self._place.session, max_tool_calls, tool_seconds)
        offered = tuple(replace(task, tools=(*task.tools, TOOL)) for task in self.tasks)
        self.tasks = replace(self.tasks, tasks=offered)

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Start with a fresh interpreter."""
        self._tool.close()
        self._tool.calls = 0
        return task.messages

    def respond(self, text: str) -> Turn:
        """Carry out calls, or judge the answer."""
        requested = requested_calls(text)
        if requested is None:
            self._tool.close()
            return super().respond(text)
        calls: tuple[Call | Malformed, ...] = (*requested.calls, *requested.malformed)
        return Turn(messages=tuple(self._result(call) for call in calls))

    def _result(self, call: Call | Malformed) -> Message:
        return {"role": "tool", "name": NAME, "content": self._tool.answer(call)}

    def give_up(self) -> Verdict:
        """Judge an episode that spent all turns on calls: nothing was answered."""
        self._tool.close()
        return super().give_up()

    def responds_quickly(self, text: str) -> bool:
        """Whether nothing has to run."""
        return "<tool_call" not in text and super().responds_quickly(text)

    def close(self) -> None:
        """End the interpreter and give the sandbox back."""
        self._tool.close()
        self._place.close()
        super().close()
