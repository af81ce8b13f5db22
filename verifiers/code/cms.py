"""Problem packages of the IOI: the export that its task preparation system makes for CMS.

``problem.json``, ``subtasks/*.json``, ``tests/*.in|out``, ``graders/``, ``checker/``,
``solutions/<class>/``. Task types Batch (alone or with a grader) and Communication (manager and
stub). Source: ioi-2024/tasks at 62de912, ioi/tps; cms-dev/cms for the two task types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cascade.errors import DataError
from cascade.sandboxes.compare import Tokens
from cascade.sandboxes.programs import Limits, Program
from cascade.verifiers.code.groups import Group
from cascade.verifiers.code.package_files import Files, as_text, read_files, sub_files
from cascade.verifiers.code.problem import (
    Checked,
    Communication,
    Judging,
    Output,
    Problem,
    ProblemTest,
    Submission,
)

__all__ = ["cms_problem", "read_cms"]

_LANGUAGES: Mapping[str, str] = {
    ".cpp": "cpp20",
    ".cc": "cpp20",
    ".py": "python",
    ".java": "java",
    ".c": "c",
}
_AUTHORS = frozenset({"manager.cpp", "manager.py", "checker.cpp", "testlib.h"})


def read_cms(path: str | Path) -> Problem:
    """Read the package at `path`, a folder or a zip archive.

    Raises:
        DataNotFoundError, DataError: it is missing, unreadable or of a type that is not supported.
    """
    path = Path(path)
    return cms_problem(read_files(path), path.name.removesuffix(".zip"))


def cms_problem(files: Files, name: str) -> Problem:
    """Build the problem from the package's files.

    Raises:
        DataError: a file is missing or unreadable, or the task type is not supported.
    """
    about = _json(files, "problem.json")
    subtasks = _subtasks(files)
    samples = {t for group in subtasks if group.accept == 0 for t in group.tests}
    return Problem(
        id=str(about.get("code") or name),
        tests=_tests(files, samples),
        judging=_judging(files, about),
        limits=Limits(
            cpu_seconds=float(about.get("time_limit") or 1.0),
            memory_bytes=int(about.get("memory_limit") or 1 << 30),
            output_bytes=64 << 20,
        ),
        languages=("cpp20",),
        scoring=Group("all", groups=subtasks, combine="sum"),
        scaffold={"cpp20": _scaffold(files)},
        submissions=_solutions(files),
        metadata={"name": str(about.get("name", name)), "task_type": str(about.get("task_type"))},
    )


def _json(files: Files, name: str) -> Mapping[str, Any]:
    if name not in files:
        raise DataError(f"the package has no {name}")
    try:
        value = json.loads(as_text(files[name], name))
    except json.JSONDecodeError as error:
        raise DataError(f"{name}: not JSON ({error.msg})") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{name}: must be an object")
    return value


def _subtasks(files: Files) -> tuple[Group, ...]:
    """A subtask is worth its score times its worst test (CMS' GroupMin)."""
    groups = []
    for path in sorted(name for name in files if name.startswith("subtasks/")):
        given = _json(files, path)
        try:
            score, tests = float(given["score"]), tuple(map(str, given["testcases"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: needs the number 'score' and the list 'testcases'") from error
        groups.append(Group(PurePosixPath(path).stem, tests, combine="min", accept=score))
    if not groups:
        raise DataError("the package has no subtasks")
    return tuple(groups)


def _tests(files: Files, samples: set[str]) -> tuple[ProblemTest, ...]:
    tests = []
    for path in sorted(files):
        if path.startswith("tests/") and path.endswith(".in"):
            name = path[len("tests/") : -len(".in")]
            tests.append(
                ProblemTest(files[path], files.get(f"tests/{name}.out"), name, name in samples)
            )
    return tuple(tests)


def _judging(files: Files, about: Mapping[str, Any]) -> Judging:
    kind = about.get("task_type")
    if kind == "Communication":
        manager = files.get("graders/manager.cpp")
        if manager is None:
            raise DataError("a Communication task needs graders/manager.cpp")
        program = Program("cpp20", manager, files=_testlib(files, "graders/"))
        return Communication(program, _processes(about))
    if kind == "Batch":
        checker = files.get("checker/checker.cpp")
        if checker is None:
            return Output(Tokens())
        return Checked(Program("cpp20", checker, files=_testlib(files, "checker/")), "cms")
    raise DataError(f"task type {kind!r} is not supported; Batch and Communication are")


def _testlib(files: Files, folder: str) -> dict[str, bytes]:
    """Return the headers that stand beside a checker or manager."""
    return {name: body for name, body in sub_files(files, folder).items() if name.endswith(".h")}


def _processes(about: Mapping[str, Any]) -> int:
    given = about.get("task_type_params") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError as error:
            raise DataError(f"problem.json: task_type_params is not JSON ({error.msg})") from error
    count = given.get("task_type_parameters_Communication_num_processes", 1)
    if not isinstance(count, int) or not 1 <= count <= 8:
        raise DataError(f"problem.json: {count!r} processes; 1 to 8 are supported")
    return count


def _scaffold(files: Files) -> dict[str, bytes]:
    """Return what a solution is compiled with: grader or stub, and headers."""
    return {
        name: body
        for name, body in sub_files(files, "graders/").items()
        if name not in _AUTHORS and name.endswith((".cpp", ".h"))
    }


def _solutions(files: Files) -> tuple[Submission, ...]:
    found = []
    for path, body in sorted(sub_files(files, "solutions/").items()):
        verdict, _, name = path.partition("/")
        suffix = PurePosixPath(name).suffix
        source = as_text(body, path)
        found.append(Submission(name, _LANGUAGES.get(suffix, suffix.lstrip(".")), source, verdict))
    return tuple(found)
