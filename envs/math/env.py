"""Mathematics: one problem, one final answer, judged by `cascade.verifiers.math`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from cascade.envs.base import SingleTurnEnv, Tasks, Turn
from cascade.errors import DataError
from cascade.types import Task, Verdict
from cascade.verifiers import math

__all__ = ["MathEnv"]

_QUICK_CHARACTERS = 200_000
_ANSWER_FIELDS = ("answer", "expected_answer", "ground_truth")


class MathEnv(SingleTurnEnv):
    r"""A problem with one final answer, which the model puts into ``\boxed{}``.

    A task's reference is the answer as text or number, or an object with the field ``answer`` or
    ``expected_answer`` (NeMo-Gym rows).

    Args:
        tasks: see `TextEnv`; generated arithmetic if not given.
        policy: what counts as equal; see `cascade.verifiers.math.Policy`.
        timeout_seconds: time that the verifier may take for one answer before it is a FAULT.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_arithmetic"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        policy: math.Policy | None = None,
        timeout_seconds: float = 5.0,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.verifier: math.MathVerifier = math.MathVerifier(
            policy=policy or math.Policy(), timeout_seconds=timeout_seconds
        )
        self._early: tuple[str, Verdict] | None = None

    def reference(self, task: Task) -> Any:
        """Return the answer as text.

        Raises:
            DataError: the task has no answer.
        """
        answer = task.reference
        if isinstance(answer, Mapping):
            answer = next((answer[name] for name in _ANSWER_FIELDS if name in answer), None)
        if answer is None or str(answer).strip() == "":
            raise DataError(
                f"task {task.id!r} has no answer; its reference must be text, a number or an "
                f"object with one of the fields {', '.join(_ANSWER_FIELDS)}"
            )
        return str(answer)

    def respond(self, text: str) -> Turn:
        """Judge the one answer."""
        early, self._early = self._early, None
        if early is not None and early[0] is text:
            return Turn(verdict=early[1])
        return super().respond(text)

    def responds_quickly(self, text: str) -> bool:
        """Literal answers are decided in microseconds; the rest needs a worker process.

        The verdict that was found on the way is what `respond` then returns.
        """
        if len(text) > _QUICK_CHARACTERS:
            return False
        verdict = self.verifier.at_once(text, self.reference(self.task))
        self._early = None if verdict is None else (text, verdict)
        return verdict is not None

    def oracle_response(self, task: Task) -> str:
        """Return the boxed gold answer."""
        return f"\\boxed{{{self.reference(task)}}}"

    def wrong_response(self, task: Task) -> str:
        """Return a boxed answer that no task of any set has."""
        return "\\boxed{-918273645}"
