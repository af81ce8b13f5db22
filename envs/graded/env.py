"""One question, one answer or proof, graded by a judge, once or several times."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from cascade.envs.base import Tasks
from cascade.envs.graded.mini import toy_grader
from cascade.envs.graded.rubrics import Aggregate, check_prompt, filled, find_rubric, mean_grade
from cascade.envs.judges import Judge, Judgment
from cascade.envs.judges.env import JudgedEnv
from cascade.errors import ConfigError, DataError
from cascade.types import Message, Task, Verdict, VerdictStatus

__all__ = ["GradedEnv", "grade"]


class GradedEnv(JudgedEnv):
    """The model answers; a judge grades the answer by the task's reference.

    A task's reference is the right answer as text, or ``{"reference": …, "guidelines": …}``. The
    verdict's parts hold the ``grades``' mean, least and greatest, and their number.

    Args:
        tasks: see `TextEnv`.
        judge: who grades; if not given, a toy that understands generated questions alone.
        rubric: a name of `RUBRICS`.
        prompt: the judge's prompt in place of the rubric's, with the same fields.
        gradings: how often each answer is graded.
        aggregate: makes one reward of the grades.
        data_dir, render_mode: see `TextEnv`.

    Raises:
        ConfigError: no grading, or a prompt that does not show what is graded.
    """

    default_tasks: ClassVar[Tasks] = "mini_graded"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        judge: Judge | None = None,
        rubric: str = "answer",
        prompt: str | None = None,
        gradings: int = 1,
        aggregate: Aggregate = mean_grade,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        if gradings < 1:
            raise ConfigError(f"gradings must be 1 or more, got {gradings!r}")
        self.rubric = find_rubric(rubric)
        self.prompt = self.rubric.prompt if prompt is None else prompt
        check_prompt(self.prompt)
        self.gradings = gradings
        self.aggregate = aggregate
        self._judge = judge or toy_grader()

    async def ask(self, answer: str) -> Verdict:
        """Return the judge's verdict on an answer."""
        asked = filled(self.prompt, {"answer": answer, **_about(self.task)})
        messages: tuple[Message, ...] = ({"role": "user", "content": asked},)
        judgments = await asyncio.gather(
            *(self._judge.ask(messages, self.rubric.parse, sample=i) for i in range(self.gradings))
        )
        return grade(judgments, self.aggregate)


def grade(judgments: Sequence[Judgment[float]], how: Aggregate) -> Verdict:
    """Return the verdict of several gradings; one that failed makes a FAULT of the whole."""
    failed = [judgment for judgment in judgments if judgment.value is None]
    if failed:
        return Verdict.fault(
            f"judge: {len(failed)} of {len(judgments)} gradings failed: {failed[0].reason}"
        )
    grades = [judgment.value for judgment in judgments if judgment.value is not None]
    reward = how(grades)
    status = {0.0: VerdictStatus.WRONG, 1.0: VerdictStatus.CORRECT}.get(
        reward, VerdictStatus.PARTIAL
    )
    parts = {"mean": sum(grades) / len(grades), "least": min(grades), "most": max(grades)}
    counted = {value: grades.count(value) for value in sorted({*grades})}
    said = ", ".join(f"{value:.3g} × {count}" for value, count in counted.items())
    return Verdict(reward, status, None, parts, f"grades: {said}")


def _about(task: Task) -> dict[str, str]:
    """Return what the prompt says of the task.

    Raises:
        DataError: the task has no question or no reference.
    """
    reference = task.reference
    if not isinstance(reference, Mapping):
        reference = {"reference": reference}
    problem: Any = task.metadata.get("problem") or (task.messages or ({},))[-1].get("content")
    if not problem:
        raise DataError(f"task {task.id!r} asks no question")
    if reference.get("reference") in (None, ""):
        raise DataError(f"task {task.id!r} has no reference to grade by")
    return {
        "problem": str(problem),
        "reference": str(reference["reference"]),
        "guidelines": str(reference.get("guidelines") or "none"),
    }
