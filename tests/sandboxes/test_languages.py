"""Every language that the image or the machine has: six programs, six verdicts.

CASCADE_SANDBOX_IMAGE names an image to test instead of the default one, for example one with all
languages: `cascade-sandbox build --languages all --tag cascade-sandbox:all`.
"""

from __future__ import annotations

import pytest

from cascade.sandboxes import Case, Limits, Program, Sandbox, Status
from cascade.sandboxes.languages import LANGUAGES, heap_mebibytes
from sandbox_cases.polyglot import GARBAGE, LARGE, SOURCES, VERDICTS

NOT_COMPILED = [name for name, known in LANGUAGES.items() if not known.compile]
LIMITS = Limits(cpu_seconds=1.5, wall_seconds=20, memory_bytes=192 << 20)


def program(box: Sandbox, language: str, source: str) -> Program:
    """The program, or a skip that names what is missing."""
    if language not in box.languages():
        where = box.versions["image"] if box.kind == "docker" else "this machine"
        pytest.skip(f"{where} has no {language}")
    return Program(language, source)


@pytest.mark.parametrize("what", VERDICTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_gets_each_verdict(polyglot: Sandbox, language: str, what: str) -> None:
    """Good, wrong, broken, crashing, endless and greedy programs are told apart."""
    right = VERDICTS[what]
    if right is Status.COMPILE_ERROR and language in NOT_COMPILED:
        right = Status.RUNTIME_ERROR
    tested = program(polyglot, language, SOURCES[language].of(what))
    report = polyglot.judge(tested, [Case("1 2\n", "3\n"), Case("20 22\n", "42\n")], LIMITS)
    assert report.status is right, (report.reason, report.compilation, report.outcomes)
    assert language == "cpp20" or language in polyglot.versions


@pytest.mark.parametrize("language", GARBAGE)
def test_garbage_is_no_memory(polyglot: Sandbox, language: str) -> None:
    """A runtime that collects its garbage is told how much memory there is for it."""
    tested = program(polyglot, language, GARBAGE[language])
    limits = Limits(cpu_seconds=10, wall_seconds=60, memory_bytes=128 << 20)
    report = polyglot.judge(tested, [Case("", "4000")], limits)
    assert report.accepted, (report.reason, report.outcomes)


@pytest.mark.parametrize("language", LARGE)
def test_a_run_may_use_what_its_limit_allows(polyglot: Sandbox, language: str) -> None:
    """A runtime's own idea of a fitting heap, a share of the slot, is below that."""
    tested = program(polyglot, language, LARGE[language])
    limits = Limits(cpu_seconds=10, wall_seconds=60, memory_bytes=900 << 20)
    report = polyglot.judge(tested, [Case("", "500")], limits)
    assert report.accepted, (report.reason, report.outcomes)
    assert report.outcomes[0].peak_bytes > 450 << 20


def test_the_heap_is_smaller_than_the_limit() -> None:
    """It leaves room for what else a runtime needs, and is never nothing."""
    assert heap_mebibytes(256 << 20) == 192
    assert heap_mebibytes(1 << 30) == 960
    assert heap_mebibytes(64 << 20) == 32
    assert heap_mebibytes(1 << 20) == 1


def test_a_language_needs_all_its_commands() -> None:
    """A Java without its compiler, or a compiler without a linker, would fail good programs."""
    assert LANGUAGES["java"].missing({"java": "/usr/bin/java"}) == "javac"
    assert LANGUAGES["rust"].missing({"rustc": "/usr/bin/rustc", "cc": None}) == "cc"
    assert LANGUAGES["rust"].missing({"rustc": "/usr/bin/rustc", "cc": "/usr/bin/cc"}) == ""
