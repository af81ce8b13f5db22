"""What the local back end needs of this machine's compilers, made once and kept in a cache.

The helper that starts compiled programs, and precompiled headers for C++. Both are optional: a
machine without a compiler runs Python all the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cascade.errors import SandboxError
from cascade.sandboxes.languages import LANGUAGES, TOOLS

__all__ = ["HELPER_FLAGS", "PCH_STANDARDS", "HostTools", "compile_helpers", "host_tools"]

PCH_STANDARDS = ("gnu++17", "gnu++20")
HELPER_FLAGS = {
    "spawner": ("-O2", "-static", "-s"),
    "forker.so": ("-O2", "-shared", "-fPIC", "-s"),
}
"""What `spawner.c` is made into, and how."""
PCH_FOLDER = "/opt/cascade/pch"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class HostTools:
    """Compilers of this machine, as slots see them."""

    versions: dict[str, str]
    helpers: tuple[bytes, ...]
    """The compiled helpers, for programs and for the zygote; empty without a C compiler."""
    headers: str
    """Folder of precompiled headers, shown to slots at `PCH_FOLDER`; empty without g++."""
    folders: tuple[str, ...] = ()
    """Further folders that the compilers need."""


def cache_folder() -> Path:
    """Where compiled helpers are kept: $CASCADE_CACHE, or the user's cache folder."""
    base = os.environ.get("CASCADE_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cascade" / "sandbox"


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def host_tools(precompile: bool) -> HostTools:
    """Find the compilers, and compile what is not in the cache yet.

    Raises:
        SandboxError: the cache cannot be written.
    """
    versions = {}
    found = {tool: shutil.which(tool, path=_PATH) for tool in TOOLS}
    for name, language in LANGUAGES.items():
        path = found[language.tool]
        if path is not None and not language.missing(found) and name != "cpp20":
            done = subprocess.run(
                [path, *language.version[1:]], capture_output=True, text=True, check=False
            )
            versions[name] = (done.stdout.strip().splitlines() or ["unknown"])[0]
    versions["image"] = (
        "host " + hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:12]
    )
    folder = cache_folder()
    gcc, gxx = shutil.which("gcc", path=_PATH), shutil.which("g++", path=_PATH)
    helpers: tuple[bytes, ...] = ()
    headers = ""
    try:
        with _locked(folder):
            if gcc:
                helpers = compile_helpers(gcc, folder)
            if gxx and precompile:
                headers = compile_headers(gxx, folder, versions["image"])
    except OSError as error:
        raise SandboxError(
            f"cannot keep compiled helpers in {folder}: {error.strerror}; free some space there, "
            "or set CASCADE_CACHE to another folder"
        ) from error
    return HostTools(versions, helpers, headers)


def compile_helpers(gcc: str, folder: Path) -> tuple[bytes, ...]:
    """Return the compiled helpers, from the cache or the compiler; none if one cannot be compiled.

    Args:
        gcc: the compiler.
        folder: the cache.
    """
    source = files("cascade.sandboxes.inside").joinpath("spawner.c").read_bytes()
    found = []
    for name, flags in HELPER_FLAGS.items():
        target = folder / f"{name}-{hashlib.sha256(source).hexdigest()[:16]}"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                (Path(scratch) / "spawner.c").write_bytes(source)
                command = [gcc, *flags, "-o", name, "spawner.c"]
                done = subprocess.run(command, cwd=scratch, capture_output=True, check=False)
                if done.returncode:
                    return ()
                os.replace(Path(scratch) / name, target)
        found.append(target.read_bytes())
    return tuple(found)


def compile_headers(gxx: str, folder: Path, version: str) -> str:
    """Return the folder of precompiled headers for this compiler, made if it is not there."""
    target = folder / f"pch-{version.split()[-1]}"
    if target.is_dir():
        return str(target)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch) / "pch"
        for standard in PCH_STANDARDS:
            bits = tree / standard / "bits"
            bits.mkdir(parents=True)
            header = bits / "stdc++.h"
            header.write_text("#include_next <bits/stdc++.h>\n")
            command = [gxx, f"-std={standard}", "-O2", "-pipe", "-pthread", "-x", "c++-header"]
            command += [str(header), "-o", f"{header}.gch"]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return ""
        os.replace(tree, target)
    return str(target)
