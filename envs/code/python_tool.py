"""The tool ``stateful_python_code_exec``: an interpreter in the sandbox that remembers.

As Nemotron-Cascade 2 was trained and evaluated with it: a notebook-like session, 120 s a call, at
most 100 calls (arXiv 2603.19220, appendix A). Calls come in Nemotron's text form, see
`cascade.verifiers.tools`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cascade.errors import SandboxError
from cascade.sandboxes import Session
from cascade.verifiers import tools
from cascade.verifiers.tools import Call, Malformed, ParsedCalls

__all__ = ["TOOL", "PythonTool", "requested_calls"]

NAME = "stateful_python_code_exec"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": (
            "Run Python code in a stateful interpreter, as in a notebook: variables are kept from "
            "call to call. Returns what the code prints and the value of its last expression."
        ),
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "Python code to run."}},
            "required": ["code"],
        },
    },
}


def requested_calls(text: str) -> ParsedCalls | None:
    """Return the tool calls of a message, broken ones included; None if it makes none."""
    if "<tool_call" not in text:
        return None
    parsed = tools.parse_calls(text, "nemotron", tools=(TOOL,))
    return parsed if parsed.calls or parsed.malformed else None


class PythonTool:
    """The calls of one episode. The session opens with the first and ends with `close`."""

    def __init__(
        self, open_session: Callable[[ExitStack], Session], max_calls: int, seconds: float
    ) -> None:
        self._open_session = open_session
        self._max_calls = max_calls
        self._seconds = seconds
        self._stack = ExitStack()
        self._session: Session | None = None
        self.calls = 0

    def answer(self, call: Call | Malformed) -> str:
        """Carry out a call and return what the model is shown.

        Raises:
            SandboxError: the sandbox failed; its text is never shown to a model.
        """
        if self.calls >= self._max_calls:
            return f"Error: all {self._max_calls} calls are used; give the final answer."
        self.calls += 1
        if isinstance(call, Malformed):
            return f"Error: not a tool call ({call.reason}). Call {NAME} with the parameter code."
        code = call.arguments.get("code")
        if call.name != NAME or not isinstance(code, str):
            return f"Error: the only tool is {NAME}, with the one parameter code (a string)."
        return self._run(code)

    def _run(self, code: str) -> str:
        if self._session is None:
            self._session = self._open_session(self._stack)
        try:
            done = self._session.python(code, seconds=self._seconds)
        except SandboxError:
            self.close()
            raise
        shown = done.output
        if done.truncated:
            shown += "\n[output cut off]"
        if done.state == "interrupted":
            shown += f"\n[interrupted after {self._seconds:g} s; variables are kept]"
        elif not done.variables_kept:
            shown += f"\n[the interpreter ended ({done.state}); variables are lost]"
        return shown if shown.strip() else "[no output]"

    def close(self) -> None:
        """End the session. Calling it twice is harmless; a later call starts a new one."""
        self._session = None
        self._stack.close()
