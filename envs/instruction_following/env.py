"""Instruction following: one request with constraints, judged rule by rule."""

from __future__ import annotations

import os
import random
from typing import Any, ClassVar

from cascade.envs.base import SingleTurnEnv, Tasks, Turn
from cascade.types import Task
from cascade.verifiers import instructions

__all__ = ["InstructionFollowingEnv"]


class InstructionFollowingEnv(SingleTurnEnv):
    """A request whose answer must keep rules such as "no commas" or "three paragraphs".

    A task's reference holds the constraints in any form that
    `cascade.verifiers.instructions.load_constraints` reads (IFEval, IFBench, IF-RLVR and NeMo-Gym
    rows). A response that was cut off at the token budget is NO_ANSWER, as in the IF-RL stage of
    Nemotron-Cascade 2.

    Args:
        tasks: see `TextEnv`; generated tasks if not given.
        mode: "strict" or "loose"; see `cascade.verifiers.instructions.verify`.
        reward: "binary" (all rules kept) or "fraction" (share of rules kept).
        standard: "sound" judges by the rules' own words; "published" as the benchmarks do, whose
            checkers reward some junk (docs/instructions.md).
        both: report the parts of both modes; see `InstructionVerifier`.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_instructions"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        mode: Any = "strict",
        reward: Any = "binary",
        standard: Any = "sound",
        both: bool = False,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.verifier = instructions.InstructionVerifier(mode, reward, standard, both)

    def respond(self, text: str) -> Turn:
        """Judge the one answer; an unfinished one keeps no rule."""
        settings = self.verifier
        assert isinstance(settings, instructions.InstructionVerifier)
        reference = self.reference(self.task)
        return Turn(verdict=settings.judge(text, reference, finished=not self.message_cut_off))

    def oracle_response(self, task: Task) -> str | None:
        """Return the stored solution, or a text that keeps the only rule."""
        if "solution" in task.metadata:
            return str(task.metadata["solution"])
        constraints = instructions.load_constraints(self.reference(task))
        if len(constraints) > 1:
            return None
        return instructions.witness(constraints[0], random.Random(task.id))

    def wrong_response(self, task: Task) -> str | None:
        """Return a text that breaks the first rule; with shared reward it may keep others."""
        constraints = instructions.load_constraints(self.reference(task))
        settings = self.verifier
        assert isinstance(settings, instructions.InstructionVerifier)
        if settings.reward == "fraction" and len(constraints) > 1:
            return None
        return instructions.counterexample(constraints[0], random.Random(task.id))

    def responds_quickly(self, text: str) -> bool:
        """Short answers are checked in less than a millisecond."""
        return len(text) < 2_000
