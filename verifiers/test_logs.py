"""Logs of test runs: which test passed, and whether a change resolves an issue.

Text in, verdict out: nothing is run. The rule of SWE-bench (Jimenez et al. 2024, arXiv:2310.06770):
resolved if every test of FAIL_TO_PASS and of PASS_TO_PASS passes after the change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cascade.errors import DataError

__all__ = ["TestGrades", "grade_tests", "parse_pytest"]

_LINE = re.compile(
    r"^(?P<name>\S+::.+?) (?P<status>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", re.MULTILINE
)
_SUMMARY = re.compile(r"^(?P<status>FAILED|ERROR) (?P<name>\S+::.+?)(?: - .*)?$", re.MULTILINE)
_GOOD = ("PASSED", "XFAIL")


def parse_pytest(log: str) -> dict[str, str]:
    """Return the last status of every test that a verbose log of pytest names.

    A test whose clean-up fails after it passed is an ERROR, as its later line says.
    """
    found = {match["name"]: match["status"] for match in _LINE.finditer(log)}
    for match in _SUMMARY.finditer(log):
        found[match["name"]] = match["status"]
    return found


@dataclass(frozen=True, slots=True)
class TestGrades:
    """The tests of one list, in its order."""

    __test__ = False  # no test class, whatever pytest thinks of the name

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    """Those that did not pass, and those that the log does not name."""


def grade_tests(
    statuses: Mapping[str, str], fail_to_pass: Sequence[str], pass_to_pass: Sequence[str]
) -> tuple[bool, TestGrades, TestGrades]:
    """Say whether an issue is resolved, and which tests of both lists passed.

    Raises:
        DataError: no test must begin to pass: anything would resolve such an issue.
    """
    if not fail_to_pass:
        raise DataError("FAIL_TO_PASS is empty: any change would resolve the issue")
    first, second = (
        TestGrades(
            tuple(name for name in names if statuses.get(name) in _GOOD),
            tuple(name for name in names if statuses.get(name) not in _GOOD),
        )
        for names in (fail_to_pass, pass_to_pass)
    )
    return not first.failed and not second.failed, first, second
