"""One contest problem: programs are submitted, verdicts come back, until the budget is spent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from cascade.envs.base import Tasks, Turn
from cascade.envs.code.env import CodeEnv
from cascade.envs.contest.rules import RULES, Attempt
from cascade.errors import ConfigError, UnknownNameError
from cascade.sandboxes import Sandbox
from cascade.types import Message, Task, Verdict
from cascade.verifiers.code import NO_PROGRAM, find_program, problem_of

__all__ = ["ContestEnv"]


class ContestEnv(CodeEnv):
    """A problem of a contest; each message submits the program in its last code block.

    After a submission the model learns what a contestant would: the verdict's word (ICPC) or the
    points of each subtask (IOI), with the history of its submissions; never anything of a hidden
    test. The episode ends when nothing is left to gain, the budget of submissions is spent, or a
    message has no program: the contestant leaves.

    Args:
        tasks: see `CodeEnv`; usually a `PackageFolder`.
        rules: "icpc" or "ioi".
        submissions: the budget.
        sandbox, sandbox_settings, time_factor: see `CodeEnv`.
        data_dir, render_mode: see `TextEnv`.

    Raises:
        UnknownNameError: rules of no contest.
        ConfigError: no submission.
    """

    default_tasks: ClassVar[Tasks] = "mini_code"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        rules: str = "icpc",
        submissions: int = 50,
        sandbox: Sandbox | str = "auto",
        sandbox_settings: Mapping[str, Any] | None = None,
        time_factor: float = 1.0,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if rules not in RULES:
            raise UnknownNameError.near("contest rules", rules, RULES)
        if submissions < 1:
            raise ConfigError(f"submissions must be 1 or more, got {submissions!r}")
        self.rules = RULES[rules]
        super().__init__(
            tasks, sandbox=sandbox, sandbox_settings=sandbox_settings,
            scoring=self.rules.scoring, time_factor=time_factor, data_dir=data_dir,
            render_mode=render_mode,
        )  # fmt: skip
        self.max_turns = submissions
        self._history: list[Attempt] = []

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Start without submissions."""
        self._history = []
        return super().begin(task)

    def respond(self, text: str) -> Turn:
        """Judge a submission, and say what a contestant learns."""
        problem = problem_of(self.task.reference)
        found = find_program(text, problem.languages)
        if found is None:
            return Turn(verdict=self._standing())
        report = self.verifier.report(problem, found)
        if report.status.is_fault:
            return Turn(verdict=Verdict.fault(f"sandbox: {report.reason}"))
        attempt = self.rules.attempt(problem, report)
        self._history.append(attempt)
        if attempt.accepted or len(self._history) >= self.max_turns:
            return Turn(verdict=self._standing())
        best = self._standing()
        if best.reward >= 1.0:  # full points may come from several submissions
            return Turn(verdict=best)
        return Turn(messages=(self._feedback(best),))

    def give_up(self) -> Verdict:
        """What was submitted counts."""
        return self._standing()

    def _standing(self) -> Verdict:
        if not self._history:
            return Verdict.no_answer(NO_PROGRAM)
        return self.rules.verdict(problem_of(self.task.reference), self._history)

    def _feedback(self, standing: Verdict) -> Message:
        lines = [
            f"{number}: {attempt.verdict}"
            + "".join(f"; subtask {name}: {value:g}" for name, value in attempt.points.items())
            for number, attempt in enumerate(self._history, start=1)
        ]
        left = self.max_turns - len(self._history)
        best = ""
        if self._history[-1].points:
            parts = {k: v for k, v in standing.parts.items() if k != "points"}
            best = "Best points so far: " + ", ".join(f"{k}: {v:g}" for k, v in parts.items())
            best += f" (sum {standing.parts['points']:g}).\n"
        content = (
            "Verdicts of your submissions:\n" + "\n".join(lines) + f"\n{best}Submissions left: "
            f"{left}. Write the whole program that you submit next."
        )
        return {"role": "user", "content": content}
