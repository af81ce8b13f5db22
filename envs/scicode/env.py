"""One problem of SciCode: a function a step, judged in the sandbox with those of earlier steps."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.envs.base import Tasks, Turn
from cascade.envs.code.env import CodeEnv
from cascade.envs.scicode.sources import Step, step_message
from cascade.envs.scicode.targets import expression, read_targets
from cascade.sandboxes import Sandbox
from cascade.sandboxes.programs import Limits
from cascade.types import Message, Task, Verdict, VerdictStatus
from cascade.verifiers.code import Problem, find_program
from cascade.verifiers.code.fences import Found
from cascade.verifiers.code.problem import Assertions, ProblemTest

__all__ = ["SciCodeEnv", "step_problem"]

LIMITS = Limits(cpu_seconds=1800, memory_bytes=1 << 30, processes=64)
"""The published limit of a step is 1,800 s (of wall time); its memory limit is none."""

_PROBE = Problem(
    "imports", (ProblemTest("assert 1 == 1", name="imports"),), Assertions(in_process=True),
    limits=LIMITS,
)  # fmt: skip
_NEEDED = "SciCode needs NumPy, SciPy and SymPy where programs run"
_HELPERS = re.compile(r"^[ \t]*from scicode\.compare\.cmp import [^\n]*$", re.MULTILINE)
_COMPARE = """
def __near(a, b, **tolerance):
    import numpy
    a, b = (x.toarray() if hasattr(x, "toarray") else x for x in (a, b))
    try:
        return bool(numpy.allclose(a, b, **tolerance))
    except ValueError:
        return bool(a == b)
def __plain(x):
    return str(x) if type(x).__name__ == "Symbol" else x
def are_dicts_close(a, b, atol=1e-8, rtol=1e-5):
    a, b = ({__plain(k): __plain(v) for k, v in x.items()} for x in (a, b))
    return a.keys() == b.keys() and all(
        v == b[k] if isinstance(v, str) else __near(v, b[k], atol=atol, rtol=rtol)
        for k, v in a.items())
def are_csc_matrix_close(a, b):
    return __near(a, b)
def cmp_tuple_or_list(a, b):
    return len(a) == len(b) and all(
        are_dicts_close(x, y) if isinstance(x, dict) else x == y if isinstance(x, bool)
        else __near(x, y) for x, y in zip(a, b))
"""
"""What the tests import from the benchmark's package, written anew after its rules: dictionaries
key by key, truth values as such, all else with NumPy's tolerances."""


def step_problem(step: Step, dependencies: str, targets: list[Any]) -> Problem:
    """Return what judges one step: its tests, one after the other, as one program.

    Later tests of a step use names that earlier ones define.
    """
    code = [_COMPARE]
    for test, target in zip(step.tests, targets, strict=True):
        code += [f"target = {expression(target)}", _HELPERS.sub("", test)]
    return Problem(
        id=step.id,
        tests=(ProblemTest("\n".join(code), name=step.id),),
        judging=Assertions(setup=dependencies, in_process=True),
        limits=LIMITS,
    )


class SciCodeEnv(CodeEnv):
    """A problem in steps, asked one after the other in one conversation.

    Each message's last Python block is a step's code. It is run behind the dependencies and the
    blocks of all earlier steps (the published code, where a step is given), with its own tests. A
    step whose code is missing or wrong counts as failed, and the next one is asked.

    The reward is 1 if every step passed (the published main problem rate), else 0. The verdict's
    `parts` are the `passed` steps and how many were `asked`, for the rate of sub-problems.
    A task without steps is played as in `CodeEnv`.

    Args:
        tasks, sandbox, sandbox_settings, time_factor: see `CodeEnv`; programs need NumPy, SciPy and
            SymPy in the sandbox.
        data_dir, render_mode: see `TextEnv`.
    """

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        sandbox: Sandbox | str = "auto",
        sandbox_settings: Mapping[str, Any] | None = None,
        time_factor: float = 1.0,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            tasks, sandbox=sandbox, sandbox_settings=sandbox_settings, time_factor=time_factor,
            data_dir=data_dir, render_mode=render_mode,
        )  # fmt: skip
        self.max_turns = max(1, *(len(_steps(task)) for task in self.tasks))
        self._importable: set[str] = set()
        self._number = 0
        self._code: list[str] = []
        self._passed = 0
        self._answered = False

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Start before the first step."""
        self._number, self._code, self._passed, self._answered = 0, [], 0, False
        return super().begin(task)

    def respond(self, text: str) -> Turn:
        """Judge a step's code and ask for the next."""
        steps = _steps(self.task)
        if not steps:
            return super().respond(text)
        _, number = step_message(steps, self._number)
        self._code += [step.given for step in steps[self._number : number]]
        found = find_program(text, ("python",))
        if found is not None:
            lacking = self._lacking_imports()
            if lacking:
                return Turn(verdict=Verdict.fault(lacking))
            self._answered = True
            self._code.append(found.source)
            report = self.verifier.report(self._problem(steps[number]), self._program())
            if report.status.is_fault:
                return Turn(verdict=Verdict.fault(f"step {steps[number].id}: {report.reason}"))
            self._passed += report.accepted
        self._number = number + 1
        asked, following = step_message(steps, self._number)
        if following >= len(steps):
            return Turn(verdict=self._standing())
        return Turn(messages=({"role": "user", "content": asked},))

    def give_up(self) -> Verdict:
        """Steps that were not reached have failed."""
        return self._standing() if _steps(self.task) else super().give_up()

    def _lacking_imports(self) -> str:
        """Say what the sandbox lacks of the imports that a problem promises; asked once for each.

        Without it, every program would be called wrong where SciPy is not installed.
        """
        dependencies: str = self.task.reference["dependencies"]
        if dependencies not in self._importable:
            report = self.verifier.report(_PROBE, Found("python", dependencies))
            if not report.accepted:
                said = report.outcomes[0].stderr if report.outcomes else b""
                last = (said.decode("utf-8", "replace").strip().splitlines() or [report.reason])[-1]
                return f"the sandbox cannot run the problem's imports ({last}); {_NEEDED}"
            self._importable.add(dependencies)
        return ""

    def _problem(self, step: Step) -> Problem:
        reference = self.task.reference
        targets = step.targets
        if targets is None:
            path = Path(reference["targets_file"])
            targets = tuple(read_targets(path, step.id, len(step.tests)))
        return step_problem(step, reference["dependencies"], list(targets))

    def _program(self) -> Found:
        return Found("python", "\n\n".join([self.task.reference["dependencies"], *self._code]))

    def _standing(self) -> Verdict:
        asked = sum(not step.given for step in _steps(self.task))
        parts = {"passed": float(self._passed), "asked": float(asked)}
        reason = f"{self._passed} of {asked} steps passed"
        if self._passed == asked:
            return Verdict(1.0, VerdictStatus.CORRECT, None, parts, reason)
        status = VerdictStatus.WRONG if self._answered else VerdictStatus.NO_ANSWER
        return Verdict(0.0, status, None, parts, reason)

    def oracle_response(self, task: Task) -> Any:
        """Return the published code of every step, where it is published (validation part)."""
        steps = _steps(task)
        if not steps:
            return super().oracle_response(task)
        asked = [step for step in steps if not step.given]
        if not all(step.solution for step in asked):
            return None
        return tuple(f"```python\n{step.solution}\n```" for step in asked)

    def wrong_response(self, task: Task) -> str:
        """Return code that defines nothing."""
        return "```python\npass\n```" if _steps(task) else super().wrong_response(task)


def _steps(task: Task) -> tuple[Step, ...]:
    given = task.reference.get("steps") if isinstance(task.reference, Mapping) else None
    return tuple(
        Step(**{**step, "tests": tuple(step["tests"]),
                "targets": None if step["targets"] is None else tuple(step["targets"])})
        for step in given or ()
    )  # fmt: skip
