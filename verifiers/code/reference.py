"""From what a task holds as its reference to the `Problem` that is judged.

A reference is a `Problem`, the path of a package, or a data set's row as it was published: its
form is told by its fields. Rows stay packed in the task; the last few problems are kept unpacked.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from cascade.errors import DataError
from cascade.verifiers.code.asserts import humaneval_problem, mbpp_problem
from cascade.verifiers.code.cms import read_cms
from cascade.verifiers.code.kattis import read_kattis
from cascade.verifiers.code.lightcp import read_lightcp
from cascade.verifiers.code.livecodebench import livecodebench_problem
from cascade.verifiers.code.problem import Problem
from cascade.verifiers.code.rows import apps_problem, code_contests_problem, nemo_gym_problem

__all__ = ["problem_of"]

_READERS: Mapping[tuple[str, ...], Callable[[Mapping[str, Any]], Problem]] = {
    ("kattis_package",): lambda row: read_kattis(Path(str(row["kattis_package"]))),
    ("cms_package",): lambda row: read_cms(Path(str(row["cms_package"]))),
    ("lightcp_package",): lambda row: read_lightcp(str(row["lightcp_package"]), row.get("testlib")),
    ("unit_tests",): nemo_gym_problem,
    ("verifier_metadata",): nemo_gym_problem,
    ("private_test_cases",): livecodebench_problem,
    ("public_test_cases",): livecodebench_problem,
    ("input_output",): apps_problem,
    ("public_tests", "private_tests"): code_contests_problem,
    ("prompt", "entry_point", "test"): humaneval_problem,
    ("test_list",): mbpp_problem,
}
"""Fields that tell a form -> its reader; the first that fits is taken."""

_KEPT = 64


class _Recent:
    """The problems of the last references, for the many samples of one task. Thread-safe."""

    def __init__(self) -> None:
        self._problems: OrderedDict[str, Problem] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Problem | None:
        with self._lock:
            problem = self._problems.get(key)
            if problem is not None:
                self._problems.move_to_end(key)
            return problem

    def put(self, key: str, problem: Problem) -> None:
        with self._lock:
            self._problems[key] = problem
            if len(self._problems) > _KEPT:
                self._problems.popitem(last=False)


_recent = _Recent()


def problem_of(reference: Any) -> Problem:
    """Return the problem that a reference stands for.

    Forms: a `Problem`; ``{"kattis_package": path}``, ``{"cms_package": path}``,
    ``{"lightcp_package": path, "testlib": path}``; a row of LiveCodeBench, APPS, TACO,
    CodeContests, HumanEval, MBPP or NeMo-Gym (``unit_tests``).

    Raises:
        DataError: the form is unknown, or the problem cannot be read.
    """
    if isinstance(reference, Problem):
        return reference
    if not isinstance(reference, Mapping):
        raise DataError(
            f"a code reference must be an object or a Problem, got {type(reference).__name__}"
        )
    for fields, reader in _READERS.items():
        if all(reference.get(field) is not None for field in fields):
            key = _digest(reference)
            problem = _recent.get(key)
            if problem is None:
                problem = reader(reference)
                _recent.put(key, problem)
            return problem
    forms = "; ".join(" and ".join(fields) for fields in _READERS)
    raise DataError(
        f"no form of code problem has the fields {', '.join(sorted(map(str, reference)))}; "
        f"a form is told by one of: {forms}"
    )


def _digest(reference: Mapping[str, Any]) -> str:
    text = json.dumps(reference, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
