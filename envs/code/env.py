"""Programming: a problem, a program, judged by `cascade.verifiers.code` in a sandbox."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from cascade.envs.base import Tasks, TextEnv, Turn
from cascade.envs.code.feedback import feedback_of
from cascade.envs.code.python_tool import NAME, TOOL, PythonTool, requested_calls
from cascade.envs.code.responses import accepted_response, rejected_response
from cascade.envs.code.shared import Lease, Owned
from cascade.envs.code.tasks import code_task
from cascade.envs.tasksets import TaskSet, load_file
from cascade.errors import ConfigError
from cascade.sandboxes import Sandbox
from cascade.types import Message, Task, Verdict
from cascade.verifiers.code import NO_PROGRAM, CodeVerifier, Scoring, find_program, problem_of
from cascade.verifiers.tools import Call, Malformed

__all__ = ["CodeEnv"]


class CodeEnv(TextEnv):
    """A programming problem; the last code block of the answer is the program that is judged.

    By default one answer decides. With `feedback_turns` the program is first run on the problem's
    public tests, and their failures are shown for another attempt. With `max_tool_calls` the model
    may call ``stateful_python_code_exec(code)`` (in Nemotron's tool-call text), which runs in an
    interpreter that lives until the first attempt; a message with a call is no answer.

    A task's reference is any form that `cascade.verifiers.code.problem_of` reads.

    Args:
        tasks: see `TextEnv`; a file may hold rows of any form of code problem. Generated tasks if
            not given.
        sandbox: "auto", "docker" or "local": opened at the first program, shared by all
            environments of the process with the same settings, closed with the last of them. Or
            an open `Sandbox`, which stays the caller's.
        sandbox_settings: fields of `cascade.sandboxes.SandboxConfig` for a sandbox that is opened.
        scoring: what the tests are worth; None: all must pass.
        time_factor: see `CodeVerifier`.
        feedback_turns: attempts after the first that execution feedback is given for.
        max_tool_calls: calls of the Python tool that an episode may make; 0 offers no tool.
        tool_seconds: time limit of one call.
        data_dir, render_mode: see `TextEnv`.

    Raises:
        ConfigError: a negative number of turns or calls, or no time for a call.
    """

    default_tasks: ClassVar[Tasks] = "mini_code"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        sandbox: Sandbox | str = "auto",
        sandbox_settings: Mapping[str, Any] | None = None,
        scoring: Scoring | None = None,
        time_factor: float = 1.0,
        feedback_turns: int = 0,
        max_tool_calls: int = 0,
        tool_seconds: float = 120.0,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        for name, value in (("feedback_turns", feedback_turns), ("max_tool_calls", max_tool_calls)):
            if value < 0:
                raise ConfigError(f"{name} must be 0 or more, got {value!r}")
        if tool_seconds <= 0:
            raise ConfigError(f"tool_seconds must be positive, got {tool_seconds!r}")
        turns = 1 + feedback_turns + max_tool_calls
        super().__init__(tasks, data_dir=data_dir, max_turns=turns, render_mode=render_mode)
        self.feedback_turns = feedback_turns
        self.max_tool_calls = max_tool_calls
        self._scoring = scoring
        self._time_factor = time_factor
        self._place: Lease | Owned
        if isinstance(sandbox, Sandbox):
            self._place = Owned(sandbox)
        else:
            self._place = Lease(sandbox, sandbox_settings or {})
        # An environment that nobody closes gives its share back when it is collected.
        weakref.finalize(self, self._place.close).atexit = False
        self._verifier: CodeVerifier | None = None
        self._tool = PythonTool(self._place.session, max_tool_calls, tool_seconds)
        self._attempts = 0
        if max_tool_calls:
            offered = tuple(replace(task, tools=(*task.tools, TOOL)) for task in self.tasks)
            self.tasks = replace(self.tasks, tasks=offered)

    @staticmethod
    def _load(tasks: Tasks, data_dir: str | os.PathLike[str] | None) -> TaskSet:
        if not isinstance(tasks, TaskSet) and Path(tasks).is_file():
            return load_file(Path(tasks), row=code_task)
        return TextEnv._load(tasks, data_dir)

    @property
    def verifier(self) -> CodeVerifier:
        """The verifier, on the sandbox that is opened by the first use.

        Raises:
            SandboxError: no sandbox can be opened here; the message says what to do.
        """
        if self._verifier is None:
            options: dict[str, Any] = {} if self._scoring is None else {"scoring": self._scoring}
            self._verifier = CodeVerifier(
                self._place.sandbox(), time_factor=self._time_factor, **options
            )
        return self._verifier

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Start with a fresh interpreter; the tools on offer are the task's."""
        self._tool.close()
        self._tool.calls = 0
        self._attempts = 0
        return task.messages

    def respond(self, text: str) -> Turn:
        """Carry out tool calls, show what an attempt fails at, or judge the program."""
        requested = requested_calls(text) if self.max_tool_calls else None
        if requested is not None:
            calls: tuple[Call | Malformed, ...] = (*requested.calls, *requested.malformed)
            return Turn(messages=tuple(self._tool_message(call) for call in calls))
        self._tool.close()  # with a caller's sandbox it would hold a slot that the judge may need
        problem = problem_of(self.task.reference)
        found = find_program(text, problem.languages)
        if found is None:
            return Turn(verdict=Verdict.no_answer(NO_PROGRAM))
        if self._attempts < self.feedback_turns and problem.public_tests:
            self._attempts += 1
            shown = problem.only(problem.public_tests)
            report = self.verifier.report(shown, found)
            if not report.accepted and not report.status.is_fault:
                return Turn(messages=(feedback_of(shown, report),))
        return Turn(verdict=self.verifier.judge(problem, found))

    def _tool_message(self, call: Call | Malformed) -> Message:
        return {"role": "tool", "name": NAME, "content": self._tool.answer(call)}

    def give_up(self) -> Verdict:
        """Judge an episode that spent all turns on calls: nothing was answered."""
        self._tool.close()
        return super().give_up()

    def responds_quickly(self, text: str) -> bool:
        """Whether no program has to run."""
        return not any(mark in text for mark in ("```", "~~~", "<tool_call"))

    def close(self) -> None:
        """End the interpreter and give the sandbox back."""
        self._tool.close()
        self._verifier = None
        self._place.close()
        super().close()

    def oracle_response(self, task: Task) -> str | None:
        """Return an accepted submission, if the problem came with one."""
        return accepted_response(problem_of(task.reference))

    def wrong_response(self, task: Task) -> str:
        """Return a program that fails every test."""
        return rejected_response(problem_of(task.reference))
