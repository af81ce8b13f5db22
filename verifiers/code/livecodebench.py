"""Problems of LiveCodeBench: standard input or one method of a class `Solution`.

Source: lcb_runner/benchmarks/code_generation.py and evaluation/testing_util.py at 28fef95. The
same rules judge NeMo-Gym's ``code_gen`` rows (``unit_tests``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cascade.errors import DataError
from cascade.sandboxes.compare import Same
from cascade.sandboxes.programs import Limits
from cascade.verifiers.code.compare import DecimalLines
from cascade.verifiers.code.packed import unpack_tests
from cascade.verifiers.code.problem import Function, Output, Problem, ProblemTest, numbered

__all__ = [
    "LIMITS",
    "PRELUDE",
    "functional_test",
    "livecodebench_problem",
    "method_name",
    "samples",
]

LIMITS = Limits(cpu_seconds=6, memory_bytes=1 << 30, output_bytes=16 << 20)
"""LiveCodeBench's time a test (``--timeout 6``); its memory limit is 4 GB or none."""

_STARS = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
PRELUDE = ";".join(
    [f"from {name} import *" for name in _STARS]
    + [f"import {name}" for name in _STARS[:-2]]
    + ["sys.setrecursionlimit(50000)"]
)
"""The imports that LiveCodeBench puts before a program, on which its programs rely."""

COMPARE = Same(tuples_are_lists=True)


def livecodebench_problem(row: Mapping[str, Any]) -> Problem:
    """Read a row with ``public_test_cases`` and ``private_test_cases``.

    Raises:
        DataError: a field is missing or unreadable, or the kinds of tests are mixed.
    """
    identity = str(row.get("question_id") or row.get("question_title") or "livecodebench")
    public = _cases(row.get("public_test_cases"), "public_test_cases")
    private = _cases(row.get("private_test_cases"), "private_test_cases")
    kinds = {str(case.get("testtype", "stdin")) for case in (*public, *private)}
    if len(kinds) > 1:
        raise DataError(f"problem {identity!r} mixes tests of the kinds {', '.join(sorted(kinds))}")
    name = _function_name(row)
    functional = kinds == {"functional"}
    if functional and not name:
        raise DataError(f"problem {identity!r} has functional tests but no metadata.func_name")
    tests = numbered(
        [_test(case, functional, public=True) for case in public]
        + [_test(case, functional, public=False) for case in private]
    )
    starter = str(row.get("starter_code") or "")
    return Problem(
        id=identity,
        tests=tests,
        judging=Function(f"Solution.{name}", COMPARE) if functional else Output(DecimalLines()),
        statement=str(row.get("question_content") or ""),
        limits=LIMITS,
        prelude=PRELUDE,
        starter=starter,
        metadata={
            key: row[key] for key in ("platform", "difficulty", "contest_date") if row.get(key)
        },
    )


def _cases(given: Any, field: str) -> list[Mapping[str, Any]]:
    """Read tests from a list, from JSON text, or from the packed form."""
    if given is None or given == "":
        return []
    cases = given
    if isinstance(given, str):
        try:
            cases = json.loads(given)
        except json.JSONDecodeError:
            try:
                cases = json.loads(unpack_tests(given))
            except json.JSONDecodeError as error:
                raise DataError(f"field {field!r} does not unpack to JSON ({error.msg})") from error
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) for case in cases):
        raise DataError(f"field {field!r} must be a list of tests")
    for case in cases:
        if not (isinstance(case.get("input"), str) and isinstance(case.get("output"), str)):
            raise DataError(f"field {field!r}: a test needs the texts 'input' and 'output'")
    return cases


def _test(case: Mapping[str, Any], functional: bool, *, public: bool) -> ProblemTest:
    if functional:
        return functional_test(case["input"], case["output"], public=public)
    return ProblemTest(case["input"], case["output"], public=public)


def functional_test(given: str, output: str, *, public: bool = False) -> ProblemTest:
    """Read a call: one JSON value a line for the arguments, one for what must be returned.

    Raises:
        DataError: a line is not JSON.
    """
    try:
        args = tuple(json.loads(line) for line in given.split("\n") if line.strip())
        return ProblemTest(args, json.loads(output), public=public)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(
            f"a functional test is not JSON: {given!r:.80} -> {output!r:.80}"
        ) from error


def _function_name(row: Mapping[str, Any]) -> str:
    metadata = row.get("metadata") or {}
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except json.JSONDecodeError as error:
            raise DataError(f"field 'metadata' is not JSON ({error.msg})") from error
    name = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    return str(name) if name else method_name(str(row.get("starter_code") or ""))


_METHOD = re.compile(r"class Solution.*?\n\s+def (\w+)\s*\(\s*self", re.DOTALL)


def method_name(starter: str) -> str:
    """Return the method of `class Solution` in starter code; empty if there is none."""
    match = _METHOD.search(starter)
    return match[1] if match else ""


_SAMPLE = re.compile(
    r"Sample Input \d+(:?)[ \t]*\n(.*?)\n\s*Sample Output \d+:?[ \t]*\n(.*?)"
    r"(?=\n\s*Sample Input \d|\Z)",
    re.DOTALL,
)
_EXAMPLE = re.compile(r"Input:\s*(.*?)\n\s*Output:\s*([^\n]+)", re.DOTALL)
_NEXT_ARGUMENT = re.compile(r",\s*(?=[A-Za-z_]\w*\s*=)")


def samples(question: str, *, functional: bool) -> tuple[ProblemTest, ...]:
    """Read the examples out of the text of a question, as far as they can be read.

    For rows that come without tests (published generations). An explanation follows the output
    after an empty line, so only what stands before that counts. Calls whose values are not JSON
    are left out.
    """
    if functional:
        calls = [_call(given, output) for given, output in _EXAMPLE.findall(question)]
        return numbered([call for call in calls if call is not None])
    found = _SAMPLE.findall(question.replace("\r\n", "\n"))
    return numbered([_sample(*parts) for parts in found])


def _sample(colon: str, given: str, output: str) -> ProblemTest:
    """AtCoder's header has no colon; Codeforces' inputs got empty lines between their lines."""
    lines = given.strip().split("\n")
    if colon:
        lines = [line for line in lines if line.strip()]
    margin = len(given) - len(given.lstrip("\n"))
    output = output.removeprefix("\n" * max(margin, 1))
    shown = "" if output.startswith("\n") else output.split("\n\n")[0]
    return ProblemTest("\n".join(lines) + "\n", f"{shown}\n", public=True)


def _call(given: str, output: str) -> ProblemTest | None:
    """Read ``nums = [1,2], k = 3`` and its output; None where a value is not JSON."""
    values = [part.partition("=")[2] for part in _NEXT_ARGUMENT.split(given.strip())]
    try:
        return ProblemTest(tuple(map(json.loads, values)), json.loads(output), public=True)
    except (json.JSONDecodeError, RecursionError):
        return None
