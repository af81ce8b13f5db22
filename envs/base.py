"""The environment contract: a conversation is observed, the assistant's next message is the action.

`TextEnv` is a `gymnasium.Env`; `SingleTurnEnv` is all that most domains need. An environment knows
nothing of models, engines or tokens.
"""

from __future__ import annotations

import abc
import copy
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium

from cascade.envs.catalog import load_tasks
from cascade.envs.spaces import ConversationSpace, TextSpace
from cascade.envs.tasksets import TaskSet
from cascade.errors import ConfigError, ResetNeededError, UnknownNameError
from cascade.types import Message, StopReason, Task, Verdict, Verifier

if TYPE_CHECKING:
    import numpy as np

    from cascade.envs.groups import GroupReward

__all__ = ["Info", "SingleTurnEnv", "TextEnv", "Turn", "written"]

Info = dict[str, Any]
Observation = tuple[Message, ...]
Tasks = TaskSet | str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Turn:
    """What an environment answers to the assistant's message."""

    messages: tuple[Message, ...] = ()
    """What is appended to the conversation after the assistant's message."""
    reward: float = 0.0
    """This step's reward; over an episode they sum to at most 1."""
    verdict: Verdict | None = None
    """Given when the task has decided: the episode is then terminated."""
    stop_reason: StopReason = StopReason.STOP


class TextEnv(gymnasium.Env[Observation, str], abc.ABC):
    """One conversation about one task.

    `reset(seed=…)` draws a task by the seed, `reset(options={"task": id})` names one. `step(text)`
    takes the assistant's whole message (reasoning block included) and appends to the conversation.
    At the end of the episode `info["verdict"]` is the `Verdict` and `info["stop_reason"]` says why
    it ended; `terminated` means that the task decided, `truncated` that the budget of turns was
    spent.

    Subclasses implement `respond`, and `oracle_response` / `wrong_response` so that every task can
    prove itself (see `cascade.envs.check`).

    Args:
        tasks: a `TaskSet`, the name of a registered one, a file, or a hub data set id.
        data_dir: where named sets are looked for before the hub; default the environment variable
            CASCADE_DATA.
        max_turns: assistant messages an episode may have.

    Raises:
        UnknownNameError, DataNotFoundError, DataError: `tasks` cannot be loaded.
        ConfigError: `max_turns` is below 1.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"]}  # type: ignore[misc]
    default_tasks: ClassVar[Tasks]
    group_reward: GroupReward | None = None
    """Set by environments whose reward compares the episodes of one task."""
    _late_seed: int | None = None

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        max_turns: int = 1,
        render_mode: str | None = None,
    ) -> None:
        if max_turns < 1:
            raise ConfigError(f"max_turns must be 1 or more, got {max_turns!r}")
        if render_mode not in (None, "ansi"):
            raise ConfigError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        self.tasks = self._load(self.default_tasks if tasks is None else tasks, data_dir)
        self.max_turns = max_turns
        self.render_mode = render_mode
        self.observation_space = ConversationSpace()
        self.action_space = TextSpace()
        self._task: Task | None = None
        self._conversation: Observation = ()
        self._turns = 0
        self._over = True
        self.message_cut_off = False
        """Whether the message being answered ended at the token budget; rollouts set it."""

    @staticmethod
    def _load(tasks: Tasks, data_dir: str | os.PathLike[str] | None) -> TaskSet:
        folder = data_dir if data_dir is not None else os.environ.get("CASCADE_DATA")
        return load_tasks(tasks, Path(folder) if folder else None)

    @property
    def task(self) -> Task:
        """The task of the running (or last) episode.

        Raises:
            ResetNeededError: before the first `reset`.
        """
        if self._task is None:
            raise ResetNeededError(f"{type(self).__name__} has no task yet: call reset() first")
        return self._task

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of this episode's chances; made from the seed when first asked for."""
        if self._np_random is None and self._late_seed is not None:
            super().reset(seed=self._late_seed)
        return super().np_random

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self._np_random, self._np_random_seed = value, -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Start an episode: the same seed, or the same task, starts the same one.

        Raises:
            UnknownNameError: `options["task"]` is not in the task set.
        """
        task_id = (options or {}).get("task")
        if task_id is None or seed is None:
            super().reset(seed=seed)
            self._late_seed = None if seed is not None else self._late_seed
        else:
            # The task is named: a generator, which costs a fifth of an episode, may never be used.
            self._np_random, self._np_random_seed, self._late_seed = None, seed, seed
        if task_id is None:
            task = self.tasks[int(self.np_random.integers(len(self.tasks)))]
        else:
            found = self.tasks.get(str(task_id))
            if found is None:
                ids = [task.id for task in self.tasks]
                raise UnknownNameError.near(f"task of set {self.tasks.name!r}", str(task_id), ids)
            task = found
        self._task, self._turns, self._over = task, 0, False
        self.message_cut_off = False
        self._conversation = self.begin(task)
        return _fresh(self._conversation), {"task": task.id, "metadata": dict(task.metadata)}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, Info]:
        """Append the assistant's message and what the environment answers.

        Raises:
            ResetNeededError: no episode is running.
        """
        if self._over:
            raise ResetNeededError(
                f"{type(self).__name__}: the episode is over, call reset() first"
            )
        turn = self.respond(action)
        self._turns += 1
        said: Message = {"role": "assistant", "content": action}
        self._conversation = (*self._conversation, said, *turn.messages)
        terminated = turn.verdict is not None
        truncated = not terminated and self._turns >= self.max_turns
        info: Info = {"task": self.task.id}
        reward = turn.reward
        if terminated or truncated:
            verdict = turn.verdict or self.give_up()
            info["verdict"] = verdict
            info["stop_reason"] = turn.stop_reason if terminated else StopReason.TURNS
            reward += verdict.reward
            self._over = True
        return _fresh(self._conversation), reward, terminated, truncated, info

    def render(self) -> str:
        """Return the conversation as text."""
        return "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in self._conversation)

    def begin(self, task: Task) -> Observation:
        """Return the conversation that the model sees first."""
        return task.messages

    async def prepare(self, text: str) -> None:
        """Wait for what `step(text)` needs from elsewhere, such as a judge's reply.

        A rollout awaits it before each step, so that thousands of episodes can wait without a
        thread each. `step` must work without it too, and then waits by itself.
        """

    @abc.abstractmethod
    def respond(self, text: str) -> Turn:
        """Answer the assistant's message `text` in the running episode."""

    def check_task(self, task: Task) -> None:
        """Refuse a task that cannot be played or judged here, before a run begins.

        Raises:
            DataError: it cannot be judged, whatever the answer.
            DataNotFoundError: what it needs beside itself (a data base) is not on this machine.
        """

    def give_up(self) -> Verdict:
        """Judge an episode whose turns are spent: by default nothing was answered."""
        return Verdict.no_answer(f"no answer within {self.max_turns} turns")

    def judge_stored(self, task_id: str, messages: Sequence[Message]) -> Verdict:
        """Judge a stored episode: its model's messages are sent again.

        Args:
            task_id: the episode's task.
            messages: the whole conversation, as a trajectory keeps it.

        Raises:
            UnknownNameError: no such task.
        """
        conversation, _ = self.reset(seed=0, options={"task": task_id})
        shown = sum(message["role"] == "assistant" for message in conversation)
        said = [message for message in messages if message["role"] == "assistant"][shown:]
        for message in said:
            _, _, terminated, truncated, info = self.step(written(message))
            if terminated or truncated:
                verdict: Verdict = info["verdict"]
                return verdict
        return self.give_up()

    @abc.abstractmethod
    def oracle_response(self, task: Task) -> str | tuple[str, ...] | None:
        """Return what must be judged CORRECT; None if the task holds no solution.

        Several messages are sent in turn, the last one as often as the episode asks.
        """

    @abc.abstractmethod
    def wrong_response(self, task: Task) -> str | tuple[str, ...] | None:
        """Return what is in the right form and must be judged WRONG; None if none is known."""

    @property
    def begins_quickly(self) -> bool:
        """Whether `reset` takes microseconds: an event loop may then call it directly."""
        return True

    def responds_quickly(self, text: str) -> bool:
        """Whether `respond(text)` takes microseconds: an event loop may then call it directly."""
        return False


class SingleTurnEnv(TextEnv):
    """One question, one answer, one call of a verifier.

    Subclasses set `verifier` and say how a task's reference reaches it.
    """

    verifier: Verifier

    def reference(self, task: Task) -> Any:
        """Return what the verifier compares with."""
        return task.reference

    def check_task(self, task: Task) -> None:
        """Refuse a task without a reference to judge by."""
        self.reference(task)

    def respond(self, text: str) -> Turn:
        """Judge the one answer."""
        return Turn(verdict=self.verifier(text, self.reference(self.task)))


def written(message: Message) -> str:
    """Return a message of the model as text, with the calls that a server took out put back.

    The arguments go back as the model wrote them, so a malformed call stays malformed.
    """
    calls = []
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        name, arguments = json.dumps(function.get("name")), function.get("arguments", "{}")
        as_text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        calls.append(f'<tool_call>\n{{"name": {name}, "arguments": {as_text}}}\n</tool_call>')
    return (
        "\n".join([message.get("content") or "", *calls]).lstrip("\n")
        if calls
        else message["content"]
    )


def _fresh(conversation: Observation) -> Observation:
    """Copy the messages: what a user does to an observation must not reach the environment."""
    return tuple(
        copy.deepcopy(message) if "tool_calls" in message else message.copy()
        for message in conversation
    )
