"""From source to something that runs in a slot. What was compiled once is not compiled again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from cascade.errors import SandboxError
from cascade.sandboxes.classify import classify_compilation
from cascade.sandboxes.languages import HEAP, Language, find_language, heap_mebibytes
from cascade.sandboxes.programs import Limits, Program, as_bytes
from cascade.sandboxes.slot import Run, Slot
from cascade.sandboxes.verdicts import Outcome, Status

__all__ = ["Builder", "Built"]


@dataclass(frozen=True, slots=True)
class Built:
    """A program that can be put into any slot and run there."""

    name: str
    """Hash of all that went into it."""
    files: tuple[tuple[str, bytes], ...]
    argv: tuple[str, ...]
    """The command as the language has it; `command` makes one for a run."""
    driver: int
    executable: bool
    extra_processes: int

    def command(self, limits: Limits) -> tuple[str, ...]:
        """The command of a run under these limits."""
        heap = str(heap_mebibytes(limits.memory_bytes))
        return tuple(part.replace(HEAP, heap) for part in self.argv)

    def place(self, slot: Slot) -> None:
        """Make sure that the slot holds it."""
        slot.put(self.name, self.files, self.executable)


class Builder:
    """Compiles in slots and remembers the results by content, up to `capacity` bytes."""

    def __init__(self, versions: Mapping[str, str], capacity: int = 512 << 20) -> None:
        self._versions = versions
        self._capacity = capacity
        self._held = 0
        self._cache: OrderedDict[str, tuple[Built | None, Outcome]] = OrderedDict()
        self._lock = threading.Lock()

    def build(
        self, slot: Slot, program: Program, limits: Limits
    ) -> tuple[Built | None, Outcome | None]:
        """Return the program ready to run, and the compiler's run if there was one just now.

        Raises:
            SandboxError: the image lacks the language; the message names what to do.
        """
        language = find_language(program.language)
        check_tool(slot, language)
        source = as_bytes(program.source)
        files = tuple((path, as_bytes(body)) for path, body in program.files.items())
        main = language.rename(source) if language.rename else language.source
        name = self._hash(language, program, main, source, files)
        if not language.compile:
            return self._built(language, program, name, ((main, source), *files)), None
        with self._lock:
            if name in self._cache:
                self._cache.move_to_end(name)
                built, outcome = self._cache[name]
                return built, (None if built else outcome)
        return self._compile(slot, language, program, name, ((main, source), *files), limits)

    def _hash(
        self,
        language: Language,
        program: Program,
        main: str,
        source: bytes,
        files: tuple[tuple[str, bytes], ...],
    ) -> str:
        digest = hashlib.sha256()
        image = self._versions.get("image", "")
        for part in (
            *(image, language.name, " ".join(language.compile), main),
            *(*program.flags, "\0"),
        ):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
        for path, body in ((main, source), *files):
            digest.update(path.encode("utf-8", "surrogatepass") + b"\0%d\0" % len(body))
            digest.update(body)
        return digest.hexdigest()[:32]

    def _built(
        self,
        language: Language,
        program: Program,
        name: str,
        files: tuple[tuple[str, bytes], ...],
    ) -> Built:
        argv = tuple(
            f"@/{name}{part[1:]}" if part.startswith("@/") else part for part in language.run
        )
        compiled = bool(language.compile)
        return Built(name, files, argv, language.driver, compiled, language.processes)

    def _compile(
        self,
        slot: Slot,
        language: Language,
        program: Program,
        name: str,
        files: tuple[tuple[str, bytes], ...],
        limits: Limits,
    ) -> tuple[Built | None, Outcome]:
        main = files[0][0]
        argv = [main if part == language.source else part for part in language.compile]
        slot.check(limits)
        raw = slot.run(
            Run(
                (*argv, *program.flags),
                limits,
                files=files,
                collect=(language.artefact,),
                collect_limit=limits.file_bytes,
                store=name,
                extra_processes=language.processes,
            )
        )
        outcome = classify_compilation(raw, limits, language.artefact)
        built = None
        if outcome.status is Status.ACCEPTED:
            slot.stored.add(name)
            built = self._built(language, program, name, tuple(raw.files.items()))
        if outcome.status in (Status.ACCEPTED, Status.COMPILE_ERROR):
            self._remember(name, built, outcome)
        return built, outcome

    def _remember(self, name: str, built: Built | None, outcome: Outcome) -> None:
        with self._lock:
            self._cache[name] = (built, outcome)
            self._held += _size(built)
            while self._held > self._capacity and len(self._cache) > 1:
                _, (old, _) = self._cache.popitem(last=False)
                self._held -= _size(old)


def _size(built: Built | None) -> int:
    return 1024 + sum(len(body) for _, body in built.files) if built else 1024


def check_tool(slot: Slot, language: Language) -> None:
    """Raise SandboxError if the slot lacks a command that the language needs."""
    command = language.missing(slot.hello["tools"])
    if command:
        raise SandboxError(
            f"language {language.name!r} is missing from this sandbox: it has no command "
            f"{command!r}. Build an image with it (`cascade-sandbox build --languages "
            f"{language.name}`), or install the package {language.debian} for the local back end"
        )
