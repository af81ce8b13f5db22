"""Named lists of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cascade.errors import UnknownNameError

__all__ = ["SUITES", "Suite", "find_suite"]


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks that are run together."""

    name: str
    description: str
    tasks: tuple[str, ...]


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "reasoning",
            "Mathematics and science with answers that a program can check",
            (
                "aime24",
                "aime25",
                "aime26",
                "hmmt_feb25",
                "math500",
                "gsm8k",
                "gpqa_diamond",
                "mmlu_pro",
            ),
        ),
        Suite(
            "instructions",
            "Instructions that a program can check",
            ("ifeval", "ifbench", "multi_constraint"),
        ),
        Suite(
            "tools",
            "Calls of functions: in one turn, in an office, and for customers with wishes",
            ("bfcl", "workplace", "tau2_retail", "tau2_airline"),
        ),
    )
}


def find_suite(name: str) -> Suite:
    """Return the suite called `name`.

    Raises:
        UnknownNameError: there is none; the near names are given.
    """
    if name not in SUITES:
        raise UnknownNameError.near("suite", name, SUITES)
    return SUITES[name]
