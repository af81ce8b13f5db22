"""A two-turn environment and an engine for tests: the answer must be given twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from cascade.envs import TextEnv, Turn
from cascade.types import Completion, Message, Prompt, SamplingParams, StopReason, Task, Verdict


class TwiceEnv(TextEnv):
    """The model must say the reference twice; the first time it is asked whether it is sure."""

    default_tasks: ClassVar[str] = "mini_arithmetic"

    def __init__(self, tasks: Any = None, max_turns: int = 3, **options: Any) -> None:
        super().__init__(tasks, max_turns=max_turns, **options)

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Forget how often the answer was given."""
        self._times = 0
        return super().begin(task)

    def respond(self, text: str) -> Turn:
        """Count right answers; a wrong one ends the episode."""
        if not text:
            return Turn(verdict=Verdict.no_answer("empty"))
        if text != self.task.reference:
            return Turn(verdict=Verdict.wrong(text))
        self._times += 1
        if self._times == 2:
            return Turn(verdict=Verdict.correct(text))
        return Turn(messages=({"role": "user", "content": "Are you sure?"},))

    def oracle_response(self, task: Task) -> str:
        """Return the reference."""
        return str(task.reference)

    def wrong_response(self, task: Task) -> str:
        """Return what no task has as its answer."""
        return "no"


class CallEngine:
    """Answers with `reply(prompt, params)`, at once."""

    name = "call"
    max_concurrency = 64

    def __init__(self, reply: Callable[[Prompt, SamplingParams], str | Completion]) -> None:
        self.reply = reply
        self.seeds: list[int | None] = []

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Sample each prompt."""
        self.seeds.append(params.seed)
        replies = [self.reply(prompt, params) for prompt in prompts]
        return [r if isinstance(r, Completion) else Completion(r, StopReason.STOP) for r in replies]

    def describe(self) -> Mapping[str, Any]:
        """Name the engine."""
        return {"engine": "call"}

    async def aclose(self) -> None:
        """Nothing to release."""
