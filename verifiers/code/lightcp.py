"""Problem packages of LightCPVerifier, the judge of LiveCodeBench Pro.

``config.yaml``, ``testdata/N.in`` and ``N.ans``, and a checker (or interactor) that includes
testlib.h. Source: YanagiOrigami/LightCPVerifier at 3a4a6b5 (README, src/problem_manager.js); the
packages are QAQAQAQAQ/LiveCodeBench-Pro-Testcase on the hub, one archive a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cascade.errors import DataError, DataNotFoundError
from cascade.sandboxes.compare import Tokens
from cascade.sandboxes.programs import Limits, Program
from cascade.verifiers.code.package_files import Files, as_text, read_files
from cascade.verifiers.code.problem import (
    Checked,
    Interaction,
    Judging,
    Output,
    Problem,
    ProblemTest,
)

__all__ = ["lightcp_problem", "read_lightcp"]

_TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)?\s*", re.IGNORECASE)
_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)i?b?\s*", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}
_OUTPUT_BYTES = 64 << 20


def read_lightcp(path: str | Path, testlib: str | Path | None = None) -> Problem:
    """Read the package at `path`, a folder or a zip archive.

    Args:
        path: named after the problem.
        testlib: testlib.h, for packages that do not bring it.

    Raises:
        DataNotFoundError, DataError: it is missing, unreadable or of a kind that is not supported.
    """
    path = Path(path)
    files = dict(read_files(path))
    if "testlib.h" not in files and testlib is not None and Path(testlib).is_file():
        files["testlib.h"] = Path(testlib).read_bytes()
    return lightcp_problem(files, path.name.removesuffix(".zip"))


def lightcp_problem(files: Files, name: str) -> Problem:
    """Build the problem from the package's files.

    Raises:
        DataError: a file is missing or unreadable, or the kind of problem is not supported.
        DataNotFoundError: its checker needs testlib.h, and there is none.
    """
    if "config.yaml" not in files:
        raise DataError(f"package {name!r} has no config.yaml")
    try:
        config = yaml.safe_load(as_text(files["config.yaml"], "config.yaml"))
    except yaml.YAMLError as error:
        raise DataError(f"config.yaml: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(config, Mapping) or not isinstance(config.get("subtasks"), list):
        raise DataError(f"package {name!r}: config.yaml must be a mapping with the list 'subtasks'")
    parts = (config, *(part for part in config["subtasks"] if isinstance(part, Mapping)))
    times = [_seconds(part[key]) for part in parts for key in ("time_limit", "time") if key in part]
    memories = [
        _bytes(part[key]) for part in parts for key in ("memory_limit", "memory") if key in part
    ]
    return Problem(
        id=name,
        tests=tuple(_tests(files, config, name)),
        judging=_judging(files, config, name),
        limits=Limits(
            cpu_seconds=max(times, default=1.0),
            memory_bytes=max(memories, default=256 << 20),
            output_bytes=_OUTPUT_BYTES,
        ),
        languages=("cpp17",),
    )


def _tests(files: Files, config: Mapping[str, Any], name: str) -> Iterator[ProblemTest]:
    """Yield the tests that the configuration declares, in its order; one that is missing is told.

    A package that was cut short would else be judged by fewer tests.
    """
    before, after = str(config.get("input_prefix") or ""), str(config.get("input_suffix") or ".in")
    before_answer = str(config.get("output_prefix") or "")
    after_answer = str(config.get("output_suffix") or ".ans")
    count = 0
    for part in config["subtasks"]:
        if isinstance(part, Mapping) and isinstance(part.get("cases"), list):
            pairs = [(str(case.get("input")), str(case.get("output"))) for case in part["cases"]]
        elif isinstance(part, Mapping) and isinstance(part.get("n_cases"), int):
            numbers = range(count + 1, count + 1 + part["n_cases"])
            pairs = [(f"{before}{n}{after}", f"{before_answer}{n}{after_answer}") for n in numbers]
        else:
            raise DataError(f"package {name!r}: a subtask needs 'n_cases' or the list 'cases'")
        for given, answer in pairs:
            count += 1
            missing = [file for file in (given, answer) if f"testdata/{file}" not in files]
            if missing:
                raise DataError(f"package {name!r} lacks testdata/{missing[0]} of its config.yaml")
            yield ProblemTest(
                files[f"testdata/{given}"], files[f"testdata/{answer}"], f"{count}-{given}"
            )


def _judging(files: Files, config: Mapping[str, Any], name: str) -> Judging:
    kind = str(config.get("type") or "default")
    if kind not in ("default", "interactive"):
        raise DataError(f"package {name!r}: problems of type {kind!r} are not supported")
    if kind == "interactive":
        source = str(config.get("interactor") or "interactor.cc")
        return Interaction(_program(files, source, name), style="testlib")
    source = str(config.get("checker") or "chk.cc")
    if "checker" not in config and source not in files:
        return Output(Tokens())
    return Checked(_program(files, source, name), "testlib")


def _program(files: Files, source: str, name: str) -> Program:
    if source not in files:
        raise DataError(f"package {name!r}: config.yaml names {source}, which is missing")
    headers = {file: body for file, body in files.items() if file.endswith(".h")}
    if b"testlib.h" in files[source] and "testlib.h" not in headers:
        raise DataNotFoundError(
            f"package {name!r}: {source} needs testlib.h (MikeMirzayanov/testlib, MIT): put it "
            f"beside the packages"
        )
    return Program("cpp17", files[source], files=headers)


def _seconds(given: Any) -> float:
    match = _TIME.fullmatch(str(given))
    if match is None or float(match[1]) <= 0:
        raise DataError(f"config.yaml: not a time: {given!r}")
    return float(match[1]) / (1000.0 if str(match[2]).lower() == "ms" else 1.0)


def _bytes(given: Any) -> int:
    match = _MEMORY.fullmatch(str(given))
    if match is None or float(match[1]) <= 0:
        raise DataError(f"config.yaml: not a size: {given!r}")
    return int(float(match[1]) * (1 << _UNITS[match[2].lower()]))
