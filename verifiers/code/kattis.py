"""Problem packages of Kattis and the ICPC: legacy format and 2023-07-draft.

Source: the problem package format specification (Kattis/problem-package-format) and
Kattis/problemtools at a185fe9. Read are problem.yaml, data/, testdata.yaml, output validators,
statement and submissions/. Not supported, and refused with a `DataError`: multi-pass and
submit-answer problems, custom graders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from cascade.errors import DataError
from cascade.sandboxes.programs import Limits, Program
from cascade.verifiers.code.compare import kattis_tokens
from cascade.verifiers.code.kattis_groups import scoring_of, settings_of
from cascade.verifiers.code.package_files import Files, as_text, read_files, sub_files
from cascade.verifiers.code.problem import (
    Checked,
    Interaction,
    Judging,
    Output,
    Problem,
    ProblemTest,
    Submission,
)

__all__ = ["LANGUAGES", "kattis_problem", "read_kattis"]

_MIB = 1 << 20
_FILE_BYTES = 64 * _MIB
LANGUAGES: Mapping[str, str] = {
    ".py": "python", ".py3": "python", ".cc": "cpp20", ".cpp": "cpp20", ".cxx": "cpp20",
    ".c++": "cpp20", ".C": "cpp20", ".c": "c", ".java": "java", ".rs": "rust", ".go": "go",
    ".js": "javascript",
}  # fmt: skip
"""File extension -> language of the sandboxes."""


def read_kattis(path: str | Path) -> Problem:
    """Read the package at `path`, a folder or a zip archive.

    Raises:
        DataNotFoundError, DataError: it is missing, unreadable or of a kind that is not supported.
    """
    path = Path(path)
    return kattis_problem(read_files(path), path.name.removesuffix(".zip"))


def kattis_problem(files: Files, name: str) -> Problem:
    """Build the problem from the package's files.

    Raises:
        DataError: a file is missing or unreadable, or the kind of problem is not supported.
    """
    settings = _yaml(files.get("problem.yaml", b""), "problem.yaml")
    kinds = _kinds(settings)
    unsupported = kinds & {"multi-pass", "submit-answer"}
    if unsupported:
        raise DataError(f"package {name!r}: {unsupported.pop()} problems are not supported")
    groups = settings_of(files)
    given = _mapping(settings.get("limits"), "limits")
    multipliers = _mapping(given.get("time_multipliers"), "time_multipliers")
    multiplier = multipliers.get("ac_to_time_limit", given.get("time_multiplier"))
    seconds = _time_limit(files, given)
    legacy = str(settings.get("problem_format_version", "legacy")) == "legacy"
    return Problem(
        id=name,
        tests=_tests(files, name),
        judging=_judging(files, settings, kinds, groups),
        statement=_statement(files),
        limits=Limits(
            cpu_seconds=seconds or 1.0,
            memory_bytes=int(given.get("memory", 2048)) * _MIB,
            output_bytes=int(given.get("output", 8)) * _MIB,
            processes=64,
            file_bytes=_FILE_BYTES,
        ),
        languages=("cpp20", "python", "java", "c", "rust", "go", "javascript"),
        scoring=scoring_of(files, groups) if "scoring" in kinds else None,
        submissions=_submissions(files),
        time_multiplier=None if seconds else float(multiplier or (5.0 if legacy else 2.0)),
        metadata={"licence": str(settings.get("license", "unknown")),
                  "source": str(settings.get("source", "unknown"))},
    )  # fmt: skip


def _yaml(body: bytes, name: str) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(as_text(body, name))
    except yaml.YAMLError as error:
        raise DataError(f"{name}: not YAML ({str(error).splitlines()[0]})") from error
    return _mapping(value, name)


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"{name}: must be a mapping, got {type(value).__name__}")
    return value


def _kinds(settings: Mapping[str, Any]) -> set[str]:
    """Return the problem's types; the legacy format hides one in `validation`."""
    given = settings.get("type", "pass-fail")
    kinds = {given} if isinstance(given, str) else set(map(str, given))
    if "interactive" in str(settings.get("validation", "")).split():
        kinds.add("interactive")
    return kinds


def _time_limit(files: Files, limits: Mapping[str, Any]) -> float | None:
    """Return the stated limit in seconds; None where it follows from the accepted submissions."""
    stated = limits.get("time_limit")
    if stated is None and ".timelimit" in files:
        stated = as_text(files[".timelimit"], ".timelimit").strip()
    try:
        return None if stated is None else float(stated)
    except (TypeError, ValueError) as error:
        raise DataError(f"the time limit is not a number: {stated!r}") from error


def _tests(files: Files, name: str) -> tuple[ProblemTest, ...]:
    """Pair ``data/….in`` with ``data/….ans``, samples first, in the order of their names."""
    tests = []
    for path in sorted(files):
        if not (path.startswith("data/") and path.endswith(".in")):
            continue
        stem = path[len("data/") : -len(".in")]
        answer = files.get(f"data/{stem}.ans")
        if answer is None:
            raise DataError(f"package {name!r}: {path} has no .ans file")
        tests.append(ProblemTest(files[path], answer, stem, stem.startswith("sample/")))
    return tuple(tests)


def _judging(
    files: Files,
    settings: Mapping[str, Any],
    kinds: set[str],
    groups: Mapping[str, Mapping[str, Any]],
) -> Judging:
    top = groups.get("", {})
    flags = str(settings.get("validator_flags") or top.get("output_validator_flags") or "")
    validator = _validator(files)
    custom = str(settings.get("validation", "default")).startswith("custom")
    if "interactive" in kinds:
        if validator is None:
            raise DataError("an interactive problem needs an output validator, and there is none")
        return Interaction(validator, tuple(flags.split()))
    if custom or (validator is not None and "validation" not in settings):
        if validator is None:
            raise DataError("validation is custom, but there is no output validator")
        return Checked(validator, "icpc", tuple(flags.split()))
    return Output(kattis_tokens(flags))


def _validator(files: Files) -> Program | None:
    """Find the one output validator: a file, or a folder with one program."""
    for folder in ("output_validators/", "output_validator/"):
        found = sub_files(files, folder)
        programs: dict[str, dict[str, bytes]] = {}
        for name, body in found.items():
            top, _, rest = name.rpartition("/")
            programs.setdefault(top, {})[rest] = body
        programs = {top: part for top, part in programs.items() if any(map(_is_source, part))}
        if len(programs) > 1:
            raise DataError(f"{folder} holds {len(programs)} programs; one is supported")
        for part in programs.values():
            return _program(part)
    return None


def _is_source(name: str) -> bool:
    return PurePosixPath(name).suffix in LANGUAGES


def _program(files: Mapping[str, bytes]) -> Program:
    """Make a program of a validator's files; further C++ sources are compiled with the first."""
    sources = sorted(filter(_is_source, files))
    main, *others = sources
    language = LANGUAGES[PurePosixPath(main).suffix]
    rest = {name: body for name, body in files.items() if name != main}
    flags = tuple(others) if language in ("c", "cpp20") else ()
    return Program(language, files[main], files=rest, flags=flags)


def _statement(files: Files) -> str:
    for folder in ("problem_statement/", "statement/"):
        for name in ("problem.en.tex", "problem.tex", "problem.en.md", "problem.md"):
            if f"{folder}{name}" in files:
                return as_text(files[f"{folder}{name}"], name)
    return ""


def _submissions(files: Files) -> tuple[Submission, ...]:
    """Read ``submissions/<verdict>/``; a subfolder there is one program in several files."""
    found: dict[tuple[str, str], dict[str, bytes]] = {}
    for path, body in sub_files(files, "submissions/").items():
        verdict, _, rest = path.partition("/")
        top, _, inner = rest.partition("/")
        if rest:
            found.setdefault((verdict, top), {})[inner or top] = body
    submissions = []
    for (verdict, name), parts in sorted(found.items()):
        main = next((part for part in sorted(parts) if _is_source(part)), sorted(parts)[0])
        texts = {part: as_text(body, part) for part, body in parts.items()}
        source = texts.pop(main)
        language = _language(main, source)
        submissions.append(Submission(name, language, source, verdict, texts))
    return tuple(submissions)


def _language(name: str, source: str) -> str:
    suffix = PurePosixPath(name).suffix
    if suffix == ".py" and source.startswith("#!") and "python2" in source.split("\n", 1)[0]:
        return "python2"
    return LANGUAGES.get(suffix, suffix.lstrip("."))
