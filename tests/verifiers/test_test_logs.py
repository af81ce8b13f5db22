"""Logs of test runs."""

from __future__ import annotations

import pytest

from cascade.errors import DataError
from cascade.verifiers.test_logs import grade_tests, parse_pytest

LOG = """\
tests/test_a.py::test_one PASSED                        [ 10%]
tests/test_a.py::test_two[x y] FAILED                   [ 20%]
tests/test_a.py::test_three PASSED
tests/test_a.py::test_three ERROR
tests/test_a.py::test_four XFAIL
tests/test_b.py::test_five SKIPPED (no network)
=========================== short test summary info ============================
FAILED tests/test_a.py::test_two[x y] - assert 1 == 2
ERROR tests/test_c.py::test_six - ImportError
"""


def test_the_last_status_counts() -> None:
    assert parse_pytest(LOG) == {
        "tests/test_a.py::test_one": "PASSED",
        "tests/test_a.py::test_two[x y]": "FAILED",
        "tests/test_a.py::test_three": "ERROR",
        "tests/test_a.py::test_four": "XFAIL",
        "tests/test_b.py::test_five": "SKIPPED",
        "tests/test_c.py::test_six": "ERROR",
    }
    assert parse_pytest("") == {}
    assert parse_pytest("PASSED " * 100_000) == {}


def test_every_test_of_both_lists_must_pass() -> None:
    found = {"a": "PASSED", "b": "XFAIL", "c": "FAILED"}
    assert grade_tests(found, ["a"], ["b"])[0]
    done, first, second = grade_tests(found, ["a"], ["c", "d"])
    assert (done, first.failed, second.failed) == (False, (), ("c", "d"))
    with pytest.raises(DataError, match="any change would resolve"):
        grade_tests(found, [], ["a"])
