"""A program that is right, by which tests see that a sandbox still works."""

from __future__ import annotations

from cascade.sandboxes import Case, Program, Report, Sandbox

GOOD = Program("python", "a, b = map(int, input().split())\nprint(a + b)\n")


def judge_good(box: Sandbox) -> Report:
    """Judge a program that is right."""
    return box.judge(GOOD, [Case("1 2", "3"), Case("20 22", "42")])
