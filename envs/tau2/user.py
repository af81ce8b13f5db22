"""The customer: a model behind any engine, or a script."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cascade.envs.judges import Judge, Judgment
from cascade.errors import ConfigError, EngineError
from cascade.types import Message

__all__ = [
    "STOP_MARKS",
    "ModelUser",
    "ScriptedUser",
    "User",
    "has_ended",
    "scenario_text",
    "user_of",
]

STOP_MARKS = ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###")
"""A message of the user with one of these ends the conversation."""

_SYSTEM = "{guidelines}\n\n<scenario>\n{scenario}\n</scenario>"
"""Source: sierra-research/tau2-bench at a2c0247, user_simulator.py."""


class User(Protocol):
    """Who answers the agent."""

    def reply(self, said: Sequence[tuple[str, str]]) -> str:
        """Return the next message; `said` are (speaker, text), speakers "agent" and "user".

        Raises:
            EngineError: the model that plays the user failed: the episode is a FAULT.
        """
        ...

    async def think(self, said: Sequence[tuple[str, str]]) -> None:
        """Find the reply to `said` without holding a thread; `reply` then returns at once."""
        ...


class ScriptedUser:
    """Says what is written down, then ends the conversation."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = tuple(lines)

    def reply(self, said: Sequence[tuple[str, str]]) -> str:
        """Return the line that is due."""
        done = sum(speaker == "user" for speaker, _ in said)
        return self._lines[done] if done < len(self._lines) else STOP_MARKS[0]

    async def think(self, said: Sequence[tuple[str, str]]) -> None:
        """Do nothing."""


class ModelUser:
    """Played by a model, which sees guidelines, scenario and what was said, but no calls."""

    def __init__(self, judge: Judge, guidelines: str, scenario: str) -> None:
        self._judge = judge
        content = _SYSTEM.format(guidelines=guidelines.strip(), scenario=scenario)
        self._system: Message = {"role": "system", "content": content}

        self._thought: tuple[Sequence[tuple[str, str]], Judgment[str]] | None = None

    def reply(self, said: Sequence[tuple[str, str]]) -> str:
        """Ask the model, to which the agent is the user, unless it has thought already."""
        if self._thought is not None and self._thought[0] == tuple(said):
            judgment = self._thought[1]
        else:
            judgment = self._judge.ask_now(self._prompt(said), _message)
        if judgment.value is None:
            raise EngineError(f"the simulated user failed: {judgment.reason}")
        return judgment.value

    async def think(self, said: Sequence[tuple[str, str]]) -> None:
        """Ask the model ahead."""
        self._thought = tuple(said), await self._judge.ask(self._prompt(said), _message)

    def _prompt(self, said: Sequence[tuple[str, str]]) -> list[Message]:
        return [
            self._system,
            *(
                Message(role="user" if speaker == "agent" else "assistant", content=text)
                for speaker, text in said
            ),
        ]


def _message(reply: str) -> str | None:
    return reply.strip() or None


def user_of(reference: Mapping[str, Any], judge: Judge | None) -> User:
    """Return the user of a task: its script if it has one, else the model.

    Raises:
        ConfigError: the task has no script, and no model was given.
    """
    user = reference.get("user") or {}
    if "script" in user:
        return ScriptedUser(user["script"])
    if judge is None:
        raise ConfigError(
            "the users of this task set are played by a model: give --judge-model NAME (in Python: "
            "judge=Judge(engine))"
        )
    return ModelUser(judge, user.get("guidelines", ""), user.get("scenario", ""))


def has_ended(text: str) -> bool:
    """Whether a message of the user ends the conversation."""
    return any(mark in text for mark in STOP_MARKS)


def scenario_text(scenario: Mapping[str, Any]) -> str:
    """Write a published `user_scenario` as the simulated user reads it (data_model/tasks.py)."""
    instructions = scenario["instructions"]
    if isinstance(instructions, Mapping):
        lines = [f"Domain: {instructions['domain']}"]
        for title, field in (
            ("Reason for call", "reason_for_call"),
            ("Known info", "known_info"),
            ("Unknown info", "unknown_info"),
            ("Task instructions", "task_instructions"),
        ):
            if instructions.get(field) is not None:
                lines.append(f"{title}:\n{textwrap.indent(instructions[field], chr(9))}")
        instructions = "\n".join(lines)
    persona = scenario.get("persona")
    head = f"Persona:\n{textwrap.indent(persona, chr(9))}\n" if persona is not None else ""
    return f"{head}Instructions:\n{textwrap.indent(str(instructions), chr(9))}"
