"""Problems of APPS, TACO, CodeContests and NeMo-Gym: rows with lists of inputs and outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cascade.errors import DataError
from cascade.sandboxes.compare import Tokens
from cascade.sandboxes.programs import Limits
from cascade.verifiers.code.compare import DecimalLines, OneWrapped
from cascade.verifiers.code.livecodebench import PRELUDE, functional_test, method_name
from cascade.verifiers.code.problem import (
    Function,
    Output,
    Problem,
    ProblemTest,
    Submission,
    numbered,
)

__all__ = ["apps_problem", "code_contests_problem", "nemo_gym_problem"]

_MEMORY = 1 << 30
_OUTPUT = 16 << 20
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "byte": 1, "kb": 1 << 10, "kilobyte": 1 << 10, "mb": 1 << 20,
          "megabyte": 1 << 20, "gb": 1 << 30, "gigabyte": 1 << 30}  # fmt: skip


def nemo_gym_problem(row: Mapping[str, Any]) -> Problem:
    """Read ``unit_tests: {inputs, outputs, fn_name}`` of NeMo-Gym's ``code_gen``.

    Judged by LiveCodeBench's rules, 10 s a test. Source: NVIDIA-NeMo/Gym at 07d6b0d,
    resources_servers/code_gen.

    Raises:
        DataError: a field is missing or unreadable.
    """
    nested = row.get("verifier_metadata")
    holder = nested if isinstance(nested, Mapping) and "unit_tests" in nested else row
    given = _loaded(holder.get("unit_tests"), "unit_tests")
    name = given.get("fn_name")
    inputs, outputs = _pairs(given, "unit_tests")
    tests = [
        functional_test(_text(i), _text(o)) if name else ProblemTest(_text(i), _text(o))
        for i, o in zip(inputs, outputs, strict=True)
    ]
    starter = str(row.get("starter_code") or "")
    return Problem(
        id=str(row.get("uuid") or row.get("hash_id") or row.get("id") or "nemo_gym"),
        tests=numbered(tests),
        judging=Function(_qualified(str(name), starter, in_class=True))
        if name
        else Output(DecimalLines()),
        limits=Limits(cpu_seconds=10, memory_bytes=_MEMORY, output_bytes=_OUTPUT),
        prelude=PRELUDE,
        starter=starter,
    )


def apps_problem(row: Mapping[str, Any]) -> Problem:
    """Read ``input_output: {inputs, outputs, fn_name?}`` of APPS and TACO.

    Sources: hendrycks/apps (HF codeparrot/apps), FlagOpen/TACO. ``num_public`` (ours) says how
    many of the tests, from the first, the model may see.

    Raises:
        DataError: a field is missing or unreadable.
    """
    given = _loaded(row.get("input_output"), "input_output")
    inputs, outputs = _pairs(given, "input_output")
    name = given.get("fn_name")
    starter = str(row.get("starter_code") or "")
    if name:
        tests = [_called(i, o) for i, o in zip(inputs, outputs, strict=True)]
        judging: Function | Output = Function(
            _qualified(str(name), starter, in_class=False), OneWrapped()
        )
    else:
        tests = [ProblemTest(_text(i), _text(o)) for i, o in zip(inputs, outputs, strict=True)]
        judging = Output(Tokens())
    public = int(given.get("num_public") or 0)
    tests = [replace(test, public=i < public) for i, test in enumerate(tests)]
    seconds = _amount(row.get("time_limit"), 4.0, "time_limit", {})
    memory = _amount(row.get("memory_limit"), _MEMORY, "memory_limit", _UNITS)
    return Problem(
        id=str(row.get("problem_id") or row.get("id") or row.get("name") or "apps"),
        tests=numbered(tests),
        judging=judging,
        statement=str(row.get("question") or ""),
        limits=Limits(cpu_seconds=seconds, memory_bytes=int(memory), output_bytes=_OUTPUT),
        prelude=PRELUDE,
        starter=starter,
        submissions=_solutions(row.get("solutions")),
        metadata={"difficulty": row["difficulty"]} if row.get("difficulty") else {},
    )


_LANGUAGES = {0: "unknown", 1: "python2", 2: "cpp17", 3: "python", 4: "java"}


def code_contests_problem(row: Mapping[str, Any]) -> Problem:
    """Read ``public_tests``, ``private_tests`` and ``generated_tests`` of DeepMind's CodeContests.

    Source: google-deepmind/code_contests (HF deepmind/code_contests), limits from the row.

    Raises:
        DataError: a field is missing or unreadable, or the program must read a named file.
    """
    identity = str(row.get("name") or "code_contests")
    if row.get("input_file") or row.get("output_file"):
        raise DataError(f"problem {identity!r} reads or writes a named file, not standard input")
    tests: list[ProblemTest] = []
    for field in ("public_tests", "private_tests", "generated_tests"):
        part = row.get(field)
        if not part:
            continue
        inputs, outputs = _pairs(
            {"inputs": part.get("input"), "outputs": part.get("output")}, field
        )
        tests += [
            ProblemTest(_text(i), _text(o), public=field == "public_tests")
            for i, o in zip(inputs, outputs, strict=True)
        ]
    limit = row.get("time_limit")
    seconds = 3.0
    if isinstance(limit, Mapping):
        seconds = float(limit.get("seconds") or 0) + float(limit.get("nanos") or 0) / 1e9
    elif limit is not None:
        seconds = float(limit)
    return Problem(
        id=identity,
        tests=numbered(tests),
        judging=Output(Tokens()),
        statement=str(row.get("description") or ""),
        limits=Limits(
            cpu_seconds=seconds or 3.0,
            memory_bytes=int(row.get("memory_limit_bytes") or 0) or _MEMORY,
            output_bytes=_OUTPUT,
        ),
        languages=("python", "cpp17", "java"),
        submissions=(
            *_labelled(row.get("solutions"), "accepted"),
            *_labelled(row.get("incorrect_solutions"), "rejected"),
        ),
    )


def _loaded(given: Any, field: str) -> Mapping[str, Any]:
    """Return a field that is an object, or JSON text of one."""
    value = given
    if isinstance(given, str):
        try:
            value = json.loads(given)
        except ValueError as error:
            raise DataError(f"field {field!r} is not JSON ({str(error)[:120]})") from error
    if not isinstance(value, Mapping):
        raise DataError(f"field {field!r} must be an object, got {type(value).__name__}")
    return value


def _pairs(given: Mapping[str, Any], field: str) -> tuple[Sequence[Any], Sequence[Any]]:
    inputs, outputs = given.get("inputs"), given.get("outputs")
    if not isinstance(inputs, list | tuple) or not isinstance(outputs, list | tuple):
        raise DataError(f"field {field!r} needs the lists of inputs and outputs")
    if len(inputs) != len(outputs):
        raise DataError(f"field {field!r} has {len(inputs)} inputs and {len(outputs)} outputs")
    return inputs, outputs


def _text(given: Any) -> str:
    """Return an input or output as text; a list stands for its lines."""
    if isinstance(given, str):
        return given
    if isinstance(given, list | tuple):
        return "\n".join(_text(part) for part in given) + "\n"
    return str(given)


def _called(given: Any, output: Any) -> ProblemTest:
    return ProblemTest(tuple(given) if isinstance(given, list | tuple) else (given,), output)


def _qualified(name: str, starter: str, *, in_class: bool) -> str:
    """Return `Solution.name` where the starter code, or the data set, puts it into that class."""
    if starter.strip():
        return f"Solution.{name}" if method_name(starter) else name
    return f"Solution.{name}" if in_class else name


def _amount(given: Any, default: float, field: str, units: Mapping[str, int]) -> float:
    """Read "2 seconds" or "256 megabytes"; None and "None" give the default."""
    if given is None or str(given).strip() in ("", "None"):
        return default
    match = _AMOUNT.match(str(given))
    if match is None or float(match[1]) <= 0:
        raise DataError(f"field {field!r} is not an amount: {given!r}")
    unit = match[2].lower()
    factor = units.get(unit) or units.get(unit.removesuffix("s"), 1)
    return float(match[1]) * factor


def _solutions(given: Any) -> tuple[Submission, ...]:
    """Read APPS' solutions, which are Python 3 mostly, as a list or as JSON text of one."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else []
        except ValueError:
            given = [given]
    return tuple(
        Submission(f"solution_{number}", "python", str(source))
        for number, source in enumerate(given or (), start=1)
    )


def _labelled(given: Any, expected: str) -> tuple[Submission, ...]:
    """Read CodeContests' solutions: parallel lists of languages and sources."""
    if not isinstance(given, Mapping):
        return ()
    pairs = zip(given.get("language") or (), given.get("solution") or (), strict=False)
    return tuple(
        Submission(
            f"{expected}_{number}", _LANGUAGES.get(int(language), "unknown"), str(source), expected
        )
        for number, (language, source) in enumerate(pairs, start=1)
    )
