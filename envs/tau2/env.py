"""A customer, an agent with tools, and a policy: judged by the data base at the end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from cascade.envs.agent import AgentEnv
from cascade.envs.base import Observation, Tasks, Turn
from cascade.envs.judges import Judge
from cascade.envs.tau2.documents import Documents
from cascade.envs.tau2.domains import Domain, find_domain, open_database
from cascade.envs.tau2.judging import check_reference, judge_episode
from cascade.envs.tau2.recorded import succeeded, unseen_changes
from cascade.envs.tau2.user import User, has_ended, user_of
from cascade.envs.toolworld import ToolResult
from cascade.types import Message, Task, Verdict
from cascade.verifiers import tools
from cascade.verifiers.tools import Call

__all__ = ["GREETING", "MAX_FAILURES", "Tau2Env"]

GREETING = "Hi! How can I help you today?"
"""With which every conversation begins."""
MAX_FAILURES = 10
"""Failed calls after which an episode has failed."""


class Tau2Env(AgentEnv):
    """Helps a customer of a shop or an airline, by the rules of the house.

    A message with calls is answered by their results, one without by the customer, until the
    customer ends the conversation. The reward is 1 if the data base is then what the expected
    actions leave, and the customer was told what was to be told.

    A task's reference is ``{"domain", "actions", "communicate_info", "reward_basis", "user"}``, and
    `database` where the task brings its own tables. `user` is ``{"guidelines", "scenario"}``, or
    ``{"script": [messages]}``.

    Args:
        tasks: see `TextEnv`; generated customers who read from a script if not given.
        judge: the model that plays the customers; not needed for scripts.
        max_turns: the agent's messages in an episode, calls included.
        data_dir: where the data base of a domain is looked for; default the environment variable
            CASCADE_DATA.
        render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_customers"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        judge: Judge | None = None,
        max_turns: int = 100,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, max_turns=max_turns, render_mode=render_mode)
        folder = data_dir if data_dir is not None else os.environ.get("CASCADE_DATA")
        self._folder = Path(folder) if folder else None
        self._judge = judge
        self._domain: Domain
        self._user: User
        self._start = self._documents = Documents({})
        self._said: list[tuple[str, str]] = []
        self._told: list[str] = []
        self._failures = 0

    @property
    def begins_quickly(self) -> bool:
        """No: the customer speaks first."""
        return self._judge is None

    def begin(self, task: Task) -> Observation:
        """Open the data base, and let the customer say what it is about."""
        self._set_up(task)
        self._user = user_of(task.reference, self._judge)
        self._said = [("agent", GREETING)]
        greeting: Message = {"role": "assistant", "content": GREETING}
        return (*task.messages, greeting, self._answer())

    def check_task(self, task: Task) -> None:
        """Refuse a task whose data base is not on this machine."""
        self._set_up(task)

    def _set_up(self, task: Task) -> None:
        reference = task.reference
        check_reference(reference)
        self._domain = find_domain(reference["domain"])
        tables = reference.get("database")
        self._start = (
            Documents(tables) if tables is not None else open_database(self._domain, self._folder)
        )
        self._documents = self._start.copy()
        self._told, self._failures = [], 0

    def _answer(self) -> Message:
        text = self._user.reply(self._said)
        self._said.append(("user", text))
        return {"role": "user", "content": text}

    def carry_out(self, call: Call) -> ToolResult:
        """Call a tool of the domain; texts and errors are written as published."""
        result = self._domain.toolbox.call(self._documents, call.name, call.arguments)
        value = json.loads(result.text)
        if result.failed:
            self._failures += 1
            return ToolResult(f"Error: {value['error']}", failed=True)
        return ToolResult(value) if isinstance(value, str) else result

    async def prepare(self, text: str) -> None:
        """Let the customer think about a message that has no calls."""
        parsed = tools.parse_calls(text, self.format, self.declared)
        if parsed.text and not parsed.calls and not parsed.malformed:
            await self._user.think([*self._said, ("agent", parsed.text)])

    def spoken(self, text: str) -> Turn:
        """Let the customer answer; judge the episode if that ends it."""
        self._told.append(text)
        self._said.append(("agent", text))
        answer = self._answer()
        ended = has_ended(answer["content"])
        return Turn(messages=(answer,), verdict=self._judged() if ended else None)

    def respond(self, text: str) -> Turn:
        """Answer a message; an episode with too many failed calls has failed."""
        parsed = tools.parse_calls(text, self.format, self.declared)
        if (
            parsed.calls and parsed.text
        ):  # the customer does not see it, but the publisher counts it
            self._told.append(parsed.text)
        turn = super().respond(text)
        if self._failures >= MAX_FAILURES and turn.verdict is None:
            failed = Verdict.wrong(reason=f"{MAX_FAILURES} calls failed")
            return Turn(messages=turn.messages, verdict=failed)
        return turn

    def _judged(self) -> Verdict:
        return judge_episode(
            self._domain, self._start, self._documents, self._told, self.task.reference
        )

    def judge_stored(self, task_id: str, messages: Sequence[Message]) -> Verdict:
        """Judge a stored episode: its calls are made again, its customer is taken as recorded.

        Calls stand in the messages' texts, or beside them in the OpenAI form or in τ²-bench's
        (``{"name", "arguments"}``).
        """
        found = self.tasks.get(task_id)
        if found is None:
            self.reset(options={"task": task_id})  # raises, and names the near ones
        assert found is not None
        self._task = found
        self._set_up(found)
        if not messages or messages[-1]["role"] != "user" or not has_ended(messages[-1]["content"]):
            return Verdict.no_answer("the user did not end the conversation")
        if found.reference.get("partial"):
            return self._judged_by_records(messages)
        declared = self._domain.toolbox.declarations()
        for message in messages:
            if message["role"] == "assistant":
                calls, text = _calls_and_text(message, declared)
                for call in calls:
                    self.carry_out(call)
                self._told += [text] if text else []
        return self._judged()

    def _judged_by_records(self, messages: Sequence[Message]) -> Verdict:
        """Judge by a data base that is a part of the published one; see `recorded`."""
        made = succeeded(messages)
        wanted = [Call(a["name"], a["arguments"]) for a in self.task.reference["actions"]]
        unseen = unseen_changes(self._domain, self._start, made)
        expected = unseen_changes(self._domain, self._start, wanted)
        if different := (expected - unseen) + (unseen - expected):
            return Verdict.wrong(reason=f"only made or only expected: {min(different)[:150]}")
        for call in made:
            self.carry_out(call)
        self._told += [m["content"] for m in messages if m["role"] == "assistant" and m["content"]]
        return self._judged()

    def oracle_response(self, task: Task) -> tuple[str, ...] | None:
        """Return the expected actions, then what the user is to be told; None without a script."""
        if "script" not in (task.reference.get("user") or {}):
            return None
        calls = [Call(a["name"], a["arguments"]) for a in task.reference["actions"]]
        told = " ".join(["Done.", *task.reference.get("communicate_info", ())])
        return (tools.render_calls(calls, "nemotron"), told)

    def wrong_response(self, task: Task) -> str | None:
        """Return a message that claims success and did nothing; None if that may be right."""
        return "Done." if task.reference["actions"] else None


def _calls_and_text(message: Any, declared: Sequence[Any]) -> tuple[tuple[Call, ...], str]:
    """The calls and the text of a stored message; calls that cannot be read did nothing."""
    text = message.get("content") or ""
    stored = message.get("tool_calls") or ()
    if not stored:
        parsed = tools.parse_calls(text, "auto", declared)
        return parsed.calls, parsed.text
    calls = []
    for item in stored:
        function = item.get("function", item)
        arguments = function.get("arguments") or {}
        if isinstance(arguments, str):
            with contextlib.suppress(ValueError):
                arguments = json.loads(arguments)
        if isinstance(arguments, dict):
            calls.append(Call(function["name"], arguments))
    return tuple(calls), text
