"""Multiple choice: one question, lettered options, judged by `cascade.verifiers.choice`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from cascade.envs.base import SingleTurnEnv, Tasks
from cascade.errors import DataError
from cascade.types import Task
from cascade.verifiers import choice

__all__ = ["MultipleChoiceEnv"]

_LETTERS = "ABCDEFGHIJ"


class MultipleChoiceEnv(SingleTurnEnv):
    r"""A question with 2 to 10 lettered options; the model puts one letter into ``\boxed{}``.

    A task's reference is an object with ``answer`` (or ``expected_answer``, NeMo-Gym rows), a
    letter, and ``options``: their number, their texts, or NeMo-Gym's ``[{"A": text}, …]``.

    Args:
        tasks: see `TextEnv`; generated arithmetic with four options if not given.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_choice"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.verifier = choice.ChoiceVerifier()

    def reference(self, task: Task) -> Any:
        """Return the letter and the number of options.

        Raises:
            DataError: the task names no letter, or one that is not among its options.
        """
        given = task.reference
        if not isinstance(given, Mapping) or "options" not in given:
            raise DataError(
                f"task {task.id!r}: a reference needs the fields 'answer' and 'options'"
            )
        letter = str(given.get("answer") or given.get("expected_answer") or "")
        options = given["options"]
        count = options if isinstance(options, int) else len(options)
        if len(letter) != 1 or letter not in _LETTERS[:count]:
            raise DataError(
                f"task {task.id!r}: the answer {letter!r} is none of its {count} options"
            )
        return {"answer": letter, "options": count}

    def oracle_response(self, task: Task) -> str:
        """Return the boxed gold letter."""
        return f"\\boxed{{{self.reference(task)['answer']}}}"

    def wrong_response(self, task: Task) -> str:
        """Return another option's letter, boxed."""
        return "\\boxed{B}" if self.reference(task)["answer"] == "A" else "\\boxed{A}"

    def responds_quickly(self, text: str) -> bool:
        """Finding a letter takes microseconds."""
        return len(text) < 100_000
