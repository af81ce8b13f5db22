"""How each language is compiled and run. Every command runs inside the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cascade.errors import UnknownNameError

__all__ = ["LANGUAGES", "TOOLS", "Language", "find_language", "heap_mebibytes"]

EXEC, SCRIPT = 0, 1
HEAP = "{heap}"
"""Stands in a command for the MiB of heap that a runtime may take under the run's limit."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language as the sandbox knows it."""

    name: str
    tool: str
    """The command that must be there: compiler or interpreter."""
    needs: tuple[str, ...] = field(default=(), kw_only=True)
    """Commands that the tool calls: without them it fails on every program."""
    source: str
    """Name of the main file."""
    run: tuple[str, ...]
    """Command of a run; `@` stands for the folder that holds the program."""
    compile: tuple[str, ...] = ()
    """Command of the compiler, run in the folder with the source; empty: nothing to compile."""
    artefact: str = ""
    """File that the compiler makes and a run needs."""
    driver: int = EXEC
    version: tuple[str, ...] = ()
    """Command that prints the version."""
    processes: int = 0
    """Threads that the language's own runtime needs, on top of the task's limit."""
    rename: Callable[[bytes], str] | None = None
    """Finds the name that the main file must have."""
    debian: str = ""
    """Package that brings the tool."""

    def missing(self, tools: Mapping[str, str | None]) -> str:
        """The first command that a slot lacks for this language; empty if it has all."""
        return next((name for name in (self.tool, *self.needs) if not tools.get(name)), "")


def _cpp(name: str, standard: str) -> Language:
    return Language(
        name,
        "g++",
        "main.cpp",
        ("@/prog",),
        (
            *("g++", f"-std={standard}", "-O2", "-pipe"),
            *("-I", f"/opt/cascade/pch/{standard}"),
            *("main.cpp", "-o", "prog", "-static-libstdc++", "-static-libgcc"),
            *("-fuse-ld=gold", "-s", "-pthread"),
        ),
        "prog",
        needs=("ld.gold",),
        version=("g++", "-dumpfullversion"),
        debian="g++",
    )


_PUBLIC_CLASS = re.compile(rb"\bpublic\s+(?:final\s+|abstract\s+)*class\s+([A-Za-z_$][\w$]*)")
_ANY_MAIN = re.compile(
    rb"\bclass\s+([A-Za-z_$][\w$]*)(?:(?!\bclass\b)[\s\S])*?\bstatic\s+(?:final\s+)?void\s+main\b"
)


def _java_file(source: bytes) -> str:
    found = _PUBLIC_CLASS.search(source) or _ANY_MAIN.search(source)
    return (found[1].decode("ascii", "replace") if found else "Main") + ".java"


LANGUAGES = {
    language.name: language
    for language in (
        Language(
            "python",
            "python3",
            "main.py",
            ("@/main.py",),
            driver=SCRIPT,
            version=("python3", "-c", "import platform; print(platform.python_version())"),
            debian="python3",
        ),
        _cpp("cpp17", "gnu++17"),
        _cpp("cpp20", "gnu++20"),
        Language(
            "c",
            "gcc",
            "main.c",
            ("@/prog",),
            ("gcc", "-std=gnu17", "-O2", "-pipe", "main.c", "-o", "prog", "-s", "-pthread", "-lm"),
            "prog",
            version=("gcc", "-dumpfullversion"),
            debian="gcc",
        ),
        Language(
            "rust",
            "rustc",
            "main.rs",
            ("@/prog",),
            ("rustc", "--edition", "2021", "-O", "-C", "strip=symbols", "main.rs", "-o", "prog"),
            "prog",
            needs=("cc",),
            version=("rustc", "--version"),
            debian="rustc",
        ),
        Language(
            "go",
            "go",
            "main.go",
            ("@/prog",),
            ("go", "build", "-ldflags", "-s -w", "-o", "prog", "main.go"),
            "prog",
            version=("go", "version"),
            processes=32,
            debian="golang-go",
        ),
        Language(
            "java",
            "javac",
            "Main.java",
            (
                *("java", f"-Xmx{HEAP}m", "-Xss64m", "-XX:+UseSerialGC", "-XX:-UsePerfData"),
                *("-XX:ActiveProcessorCount=2", "-Xshare:auto", "-jar", "@/prog.jar"),
            ),
            (
                *("sh", "-c"),
                "javac -J-XX:+UseSerialGC -J-XX:ActiveProcessorCount=2 -encoding UTF-8 "
                '-d out "$1" && jar cfe prog.jar "${1%.java}" -C out .',
                *("javac", "Main.java"),
            ),
            "prog.jar",
            needs=("java", "jar"),
            version=("javac", "--version"),
            processes=64,
            rename=_java_file,
            debian="default-jdk-headless",
        ),
        Language(
            "javascript",
            "node",
            "main.js",
            ("node", f"--max-old-space-size={HEAP}", "--stack-size=65500", "@/main.js"),
            version=("node", "--version"),
            processes=32,
            debian="nodejs",
        ),
    )
}
ALIASES = {"cpp": "cpp17", "c++": "cpp17", "python3": "python", "js": "javascript", "py": "python"}
TOOLS = tuple(sorted({name for known in LANGUAGES.values() for name in (known.tool, *known.needs)}))


def heap_mebibytes(memory_bytes: int) -> int:
    """The heap that a runtime is given under a limit, in MiB.

    Told nothing, it takes a share of what the whole slot has, which may be below the run's limit,
    or so far above it that it collects no garbage before the limit ends the run. The rest is the
    runtime's own: code, stacks, tables.
    """
    return max((memory_bytes - min(64 << 20, memory_bytes // 2)) >> 20, 1)


def find_language(name: str) -> Language:
    """Return the language called `name`; "cpp" is C++17, "python3" is Python.

    Raises:
        UnknownNameError: there is none; the message lists near names.
    """
    key = name.lower()
    found = LANGUAGES.get(ALIASES.get(key, key))
    if found is None:
        raise UnknownNameError.near("language", name, LANGUAGES)
    return found
