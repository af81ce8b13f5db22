"""From the source that an answer holds to the program that is compiled and run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cascade.sandboxes.programs import Program
from cascade.verifiers.code.asserts import complete
from cascade.verifiers.code.fences import family
from cascade.verifiers.code.problem import Assertions, Problem

__all__ = ["program_of"]

_FUTURE = re.compile(r"^from __future__ import [^\n]*\n", re.MULTILINE)


def program_of(
    problem: Problem, source: str, language: str, files: Mapping[str, str | bytes] | None = None
) -> Program:
    """Return `source` with all that the problem puts around it: prompt, prelude, grader or stub.

    Args:
        problem: says what surrounds a program.
        source: the main file.
        language: of the source.
        files: further files of the program.
    """
    extra: dict[str, str | bytes] = dict(files or {})
    if family(language) == "python":
        if isinstance(problem.judging, Assertions):
            source = complete(problem.judging, source)
        return Program(language, _after_future(problem.prelude, source), files=extra)
    scaffold = problem.scaffold.get(language, {})
    extra |= scaffold
    sources = tuple(name for name in sorted(extra) if name.endswith((".c", ".cpp", ".cc", ".cxx")))
    return Program(language, source, files=extra, flags=sources if _links(language) else ())


def _links(language: str) -> bool:
    return family(language) in ("cpp", "c")


def _after_future(prelude: str, source: str) -> str:
    """Put the prelude first, but behind `from __future__` lines, which must come first."""
    if not prelude:
        return source
    end = max((line.end() for line in _FUTURE.finditer(source)), default=0)
    return f"{source[:end]}{prelude}\n{source[end:]}"
