"""Long context: documents and a question, one short answer."""

from __future__ import annotations

import os
from typing import ClassVar

from cascade.envs.base import SingleTurnEnv, Tasks
from cascade.envs.long_context.grading import ExactAnswer
from cascade.types import Task, Verifier

__all__ = ["LongContextEnv"]


class LongContextEnv(SingleTurnEnv):
    """A question whose answer stands somewhere in many documents.

    A task's reference is ``{"answer": text or list, "question": text}``; the documents stand in its
    messages.

    Args:
        tasks: see `TextEnv`; generated notes if not given.
        grader: judges the answer: `ExactAnswer()` if not given, or `JudgedAnswer(judge)`, as in the
            long-context stage of Nemotron-Cascade 2.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_long_context"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        grader: Verifier | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.verifier = grader or ExactAnswer()

    def oracle_response(self, task: Task) -> str:
        """Return the gold answer."""
        gold = task.reference["answer"]
        return str(gold[0] if isinstance(gold, list) else gold)

    def wrong_response(self, task: Task) -> str:
        """Return an answer that no document gives."""
        return "none of the documents"

    def responds_quickly(self, text: str) -> bool:
        """Whether no judge is asked."""
        return isinstance(self.verifier, ExactAnswer)
