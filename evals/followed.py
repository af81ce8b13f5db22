"""Accuracy of instruction following: strict and loose, by prompt and by instruction.

IFEval and IFBench report four numbers of the same responses (Zhou et al. 2023, arXiv:2311.07911,
section 3). The verdicts carry both modes (`InstructionVerifier.both`) as parts ``strict/ID`` and
``loose/ID``; a prompt is followed if all of its instructions are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from cascade.errors import DataError
from cascade.evals.setmetrics import Problems, SetMetric

__all__ = ["INSTRUCTION_METRICS"]


def _samples(problems: Problems, mode: str) -> Iterator[tuple[float, ...]]:
    for problem in problems:
        for record in problem:
            held = tuple(v for name, v in record.parts.items() if name.startswith(f"{mode}/"))
            if not held:
                raise DataError(f"sample {record.key} does not say which instructions it follows")
            yield held


def _prompt(problems: Problems, *, mode: str) -> float:
    followed = [all(held) for held in _samples(problems, mode)]
    return 100.0 * sum(followed) / len(followed)


def _instruction(problems: Problems, *, mode: str) -> float:
    held = [value for sample in _samples(problems, mode) for value in sample]
    return 100.0 * sum(held) / len(held)


def _metric(level: str, mode: str, compute: Callable[..., float]) -> SetMetric:
    unit = (
        "responses that follow all instructions" if level == "prompt" else "instructions followed"
    )
    return SetMetric(f"{level} {mode}", f"share of {unit}, {mode}", partial(compute, mode=mode))


INSTRUCTION_METRICS = tuple(
    _metric(level, mode, compute)
    for mode in ("strict", "loose")
    for level, compute in (("prompt", _prompt), ("instruction", _instruction))
)
"""`prompt strict`, `instruction strict`, `prompt loose`, `instruction loose`."""
