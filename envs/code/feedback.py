"""What a model is shown of an attempt that failed on public tests."""

from __future__ import annotations

from typing import Any

from cascade.sandboxes import Outcome, Report, Status
from cascade.types import Message
from cascade.verifiers.code import Problem
from cascade.verifiers.code.problem import Assertions, Function, ProblemTest

__all__ = ["feedback_of"]

_SHOWN_TESTS = 3
_SHOWN_CHARACTERS = 600


def feedback_of(problem: Problem, report: Report) -> Message:
    """Return the message that tells the first failures of `report` on the public tests.

    Only public tests may be in `problem`: inputs and answers are shown.
    """
    if report.compilation is not None and report.compilation.status is not Status.ACCEPTED:
        errors = _cut(report.compilation.stderr.decode("utf-8", "replace"))
        text = f"The program does not compile:\n{errors}"
    else:
        pairs = zip(problem.tests, report.outcomes, strict=True)
        failed = [(test, outcome) for test, outcome in pairs if outcome.status not in _PASSED]
        shown = [_failure(problem, test, outcome) for test, outcome in failed[:_SHOWN_TESTS]]
        text = "The program fails public tests.\n\n" + "\n\n".join(shown)
    return {"role": "user", "content": f"{text}\n\nWrite the whole corrected program."}


_PASSED = (Status.ACCEPTED, Status.SKIPPED)


def _failure(problem: Problem, test: ProblemTest, outcome: Outcome) -> str:
    lines = [f"Test {test.name}: {outcome.status.value.replace('_', ' ')}"]
    judging = problem.judging
    if isinstance(judging, Assertions):
        lines.append(f"Test code:\n{_cut(test.input)}")
    elif isinstance(judging, Function):
        arguments = ", ".join(map(repr, test.input))
        lines.append(_cut(f"Call: {judging.name.rpartition('.')[2]}({arguments})"))
        lines.append(_cut(f"Expected: {test.answer!r}"))
        if outcome.status is Status.WRONG_ANSWER:
            lines.append(_cut(f"Returned: {outcome.value!r}"))
    else:
        lines.append(f"Input:\n{_cut(test.input)}")
        if test.answer is not None:
            lines.append(f"Expected output:\n{_cut(test.answer)}")
        lines.append(f"Your output:\n{_cut(outcome.stdout)}")
    if outcome.stderr:
        lines.append(f"Error output (end):\n{_cut(outcome.stderr, end=True)}")
    elif outcome.status is not Status.WRONG_ANSWER:
        lines.append(outcome.describe())
    return "\n".join(lines)


def _cut(text: Any, *, end: bool = False) -> str:
    """Decode and shorten; `end` keeps the end, where a traceback says what happened."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if len(shown) <= _SHOWN_CHARACTERS:
        return shown
    if end:
        return "…" + shown[-_SHOWN_CHARACTERS:]
    return shown[:_SHOWN_CHARACTERS] + "…"
