"""Programs of the task that judge: checkers, interactors, managers. Their conventions.

They run in slots of their own, apart from what they judge. One that crashes or exceeds its
limits makes the task BAD_TASK; it never decides against the program.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Literal

from cascade.sandboxes.classify import classify
from cascade.sandboxes.programs import Case, Limits, Program, as_bytes
from cascade.sandboxes.slot import Raw
from cascade.sandboxes.verdicts import Status

__all__ = ["JUDGE_LIMITS", "Checker", "Interactor", "Manager", "Ruling"]

JUDGE_LIMITS = Limits(
    cpu_seconds=20,
    wall_seconds=60,
    memory_bytes=768 << 20,
    output_bytes=256 << 20,
    processes=64,
    open_files=256,
)

Style = Literal["icpc", "testlib", "cms"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judging program said."""

    status: Status
    score: float
    """In [0, 1]."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Checker:
    """A program that compares an output with the task's answer.

    Styles, by what is run and how it answers:

    * "icpc": ``checker input answer feedback/ < output``; exit 42 accepts, 43 rejects;
      ``feedback/judgemessage.txt`` is the message, ``feedback/score.txt`` a score.
    * "testlib": ``checker input output answer``; exit 0 accepts, 1 and 2 reject, 7 gives points.
    * "cms": ``checker input answer output``; prints a score from 0 to 1, message on stderr.
    """

    program: Program
    style: Style = "icpc"
    args: tuple[str, ...] = ()
    """Further arguments, behind the convention's own."""
    limits: Limits = field(default_factory=lambda: JUDGE_LIMITS)
    best_score: float = 1.0
    """What counts as the whole score, for styles that give points."""

    def command(
        self, case: Case, output: bytes
    ) -> tuple[tuple[str, ...], bytes, tuple[tuple[str, bytes], ...]]:
        """Arguments, standard input and files of the checker's run."""
        answer = as_bytes(case.expected or b"")
        files = [("input.txt", as_bytes(case.stdin)), ("answer.txt", answer)]
        if self.style == "icpc":
            files.append(("feedback/.keep", b""))
            args = ("/tmp/input.txt", "/tmp/answer.txt", "/tmp/feedback/", *self.args)
            return args, output, tuple(files)
        files.append(("output.txt", output))
        order = ("input", "output", "answer") if self.style == "testlib" else (
            "input", "answer", "output",
        )  # fmt: skip
        return (*(f"/tmp/{name}.txt" for name in order), *self.args), b"", tuple(files)

    def rule(self, raw: Raw) -> Ruling:
        """Read the checker's answer."""
        return read_ruling(raw, self.style, self.limits, self.best_score)


@dataclass(frozen=True, slots=True)
class Interactor:
    """A program that talks with the judged one over its standard streams.

    Styles: "icpc" (``interactor input answer feedback/``, exit 42 or 43) and "testlib"
    (``interactor input output answer``, exit 0, 1, 2).
    """

    program: Program
    style: Style = "icpc"
    args: tuple[str, ...] = ()
    limits: Limits = field(default_factory=lambda: JUDGE_LIMITS)

    def command(self, case: Case) -> tuple[tuple[str, ...], tuple[tuple[str, bytes], ...]]:
        """Arguments and files of the interactor's run."""
        answer = as_bytes(case.expected or b"")
        files = (
            ("input.txt", as_bytes(case.stdin)),
            ("answer.txt", answer),
            ("feedback/.keep", b""),
        )
        second, third = "/tmp/answer.txt", "/tmp/feedback/"
        if self.style == "testlib":
            second, third = "/tmp/output.txt", "/tmp/answer.txt"
        return ("/tmp/input.txt", second, third, *self.args), files

    def rule(self, raw: Raw) -> Ruling:
        """Read the interactor's answer."""
        return read_ruling(raw, self.style, self.limits, 1.0)


@dataclass(frozen=True, slots=True)
class Manager:
    """IOI's communication task: a manager talks with `processes` copies of the judged program.

    The manager is run as ``manager in0 out0 in1 out1 …`` with the test on standard input and in
    ``input.txt``; it prints a score from 0 to 1 and a message on stderr (as CMS has it). The
    program is linked with the task's stub: give that in `Program.files` and `Program.flags`.
    """

    program: Program
    processes: int = 1
    io: Literal["std", "fifo"] = "std"
    """How a copy reaches the manager: standard streams, or two pipes named in its arguments."""
    limits: Limits = field(default_factory=lambda: JUDGE_LIMITS)

    def rule(self, raw: Raw) -> Ruling:
        """Read the manager's answer."""
        return read_ruling(raw, "cms", self.limits, 1.0)


def read_ruling(raw: Raw, style: Style, limits: Limits, best: float) -> Ruling:
    """Turn the end of a judging program into a ruling; BAD_TASK where it broke its convention."""
    status, reason = classify(raw, limits)
    code = os.WEXITSTATUS(raw.status) if os.WIFEXITED(raw.status) else -1
    if status not in (Status.ACCEPTED, Status.RUNTIME_ERROR):
        return Ruling(Status.BAD_TASK, 0.0, f"the judge of the task failed: {reason}")
    message = (raw.files.get("feedback/judgemessage.txt") or raw.stderr)[:2000]
    text = message.decode("utf-8", "replace").strip()
    if style == "cms":
        return _cms(raw, code, text)
    accepted, rejected = ({42}, {43}) if style == "icpc" else ({0}, {1, 2})
    if code in accepted:
        score = _number(raw.files.get("feedback/score.txt"), best)
        return _scored(1.0 if score is None else score, text)
    if code in rejected:
        return Ruling(Status.WRONG_ANSWER, 0.0, text)
    if style == "testlib" and code == 7:
        words = text.split()
        score = _number(words[1].encode(), best) if len(words) > 1 else None
        if score is not None:
            return _scored(score, text)
    return Ruling(Status.BAD_TASK, 0.0, f"the judge of the task ended with {code}: {text[:200]}")


def _cms(raw: Raw, code: int, text: str) -> Ruling:
    score = _number(raw.stdout.split(b"\n", 1)[0].strip(), 1.0)
    if code != 0 or score is None:
        shown = raw.stdout[:100]
        return Ruling(Status.BAD_TASK, 0.0, f"the judge of the task ended with {code}: {shown!r}")
    return _scored(score, text)


def _number(text: bytes | None, best: float) -> float | None:
    try:
        value = float(text or b"") / best
    except ValueError:
        return None
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else None


def _scored(score: float, text: str) -> Ruling:
    if score >= 1.0:
        return Ruling(Status.ACCEPTED, 1.0, text)
    return Ruling(Status.PARTIAL if score > 0 else Status.WRONG_ANSWER, score, text)
