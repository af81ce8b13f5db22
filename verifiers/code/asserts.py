"""Unit-test tasks: HumanEval and MBPP, whose tests are Python asserts about a function.

The tests run in a sandbox of their own and reach the program's functions by messages of plain data.
Only tests that use the program's classes must run in its interpreter, guarded by negative controls.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from typing import Any

from cascade.errors import DataError
from cascade.sandboxes.programs import Limits
from cascade.verifiers.code.problem import Assertions, Problem, ProblemTest, Submission, numbered

__all__ = ["complete", "humaneval_problem", "mbpp_problem", "truncate_completion"]

LIMITS = Limits(cpu_seconds=3, memory_bytes=1 << 30)
"""human-eval's time limit (3 s); its memory limit is none."""

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""Where the completion of a base model ends (Codex paper, section 2.1)."""


def humaneval_problem(row: Mapping[str, Any]) -> Problem:
    """Read ``prompt``, ``entry_point``, ``test`` and ``canonical_solution``.

    Source: openai/human-eval at 6d43fb9; the test's function `check` gets the function by name.

    Raises:
        DataError: a field is missing.
    """
    texts = {name: row.get(name) for name in ("task_id", "prompt", "entry_point", "test")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise DataError(
                f"a HumanEval row needs the text {name!r}; it has {', '.join(sorted(row))}"
            )
    entry, prompt = str(texts["entry_point"]), str(texts["prompt"])
    canonical = row.get("canonical_solution")
    return Problem(
        id=str(texts["task_id"]),
        tests=(ProblemTest(f"{texts['test']}\n\ncheck({entry})\n", name="check"),),
        judging=Assertions(entry, prompt),
        statement=prompt,
        limits=LIMITS,
        starter=prompt,
        submissions=()
        if canonical is None
        else (Submission("canonical", "python", prompt + str(canonical)),),
    )


def mbpp_problem(row: Mapping[str, Any]) -> Problem:
    """Read ``text`` (or ``prompt``), ``test_list``, ``test_setup_code`` and ``code``.

    Source: google-research/mbpp; every assert is a test. The published prompt shows the asserts,
    so they are public. The challenge tests are not part of the benchmark.

    Raises:
        DataError: a field is missing.
    """
    tests = row.get("test_list")
    statement = row.get("text") or row.get("prompt")
    if not isinstance(tests, list) or not isinstance(statement, str):
        raise DataError("an MBPP row needs the list 'test_list' and the text 'text' or 'prompt'")
    imports = "\n".join(row.get("test_imports") or ())
    setup = f"{imports}\n{row.get('test_setup_code') or ''}".replace("\r\n", "\n").strip()
    code = row.get("code")
    entry = _entry_of(tests)
    return Problem(
        id=f"MBPP/{row.get('task_id', 0)}",
        tests=numbered(
            [ProblemTest(str(test).replace("\r\n", "\n"), public=True) for test in tests]
        ),
        judging=Assertions(entry, setup=setup, in_process=_needs_objects(tests, setup, entry)),
        statement=statement,
        limits=LIMITS,
        submissions=()
        if code is None
        else (Submission("canonical", "python", str(code).replace("\r\n", "\n")),),
    )


def _entry_of(tests: list[Any]) -> str:
    """Return the function that the first assert calls, builtins aside; empty if there is none."""
    tree = _parsed(str(tests[0]) if tests else "")
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [name.id for name in called if isinstance(name, ast.Name)]
    return next((name for name in names if name not in vars(builtins)), "")


def _needs_objects(tests: list[Any], setup: str, entry: str) -> bool:
    """Whether the tests need more than calls of `entry` with plain data.

    They do where they use other names of the program (its classes), hand over a type or function
    as an argument, or test a function that is called like a builtin.
    """
    if not entry:
        return True
    loaded: set[str] = set()
    bound = {entry, *vars(builtins)}
    tree = _parsed("\n".join([setup, *map(str, tests)]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Call) and any(map(_is_builtin, node.args)):
            return True
    return bool(loaded - bound)


def _is_builtin(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in vars(builtins)


def _parsed(source: str) -> ast.Module:
    """Parse test code; nothing where it is broken, which running it will show."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def truncate_completion(text: str) -> str:
    """Cut a base model's completion where the function it was asked for has ended."""
    ends = [text.find(stop) for stop in STOPS]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def complete(judging: Assertions, source: str) -> str:
    """Return the program: `source` as it is, or as the continuation of the prompt.

    A program that defines the function itself keeps what the prompt has before that function
    (imports, helper functions); a program that does not is the function's body.
    """
    if not judging.prompt:
        return source
    if not _defines(source, judging.entry):
        return judging.prompt + source
    lines = judging.prompt.split("\n")
    start = next(
        (
            i
            for i, line in enumerate(lines)
            if re.match(rf"(async\s+)?def\s+{judging.entry}\b", line)
        ),
        0,
    )
    return "\n".join(lines[:start]) + "\n" + source


def _defines(source: str, entry: str) -> bool:
    """Whether the module level of `source` defines `entry`; by its text where it does not parse."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (
            re.search(rf"^(async\s+)?def\s+{re.escape(entry)}\b", source, re.MULTILINE) is not None
        )
    return any(
        (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == entry
        )
        or (
            isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == entry for target in node.targets)
        )
        or (
            isinstance(node, ast.ImportFrom)
            and any((a.asname or a.name) == entry for a in node.names)
        )
        for node in body
    )
