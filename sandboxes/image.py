"""Builds the image that Docker slots run from: by a Dockerfile, or from Debian packages alone."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import docker.errors

from cascade.errors import SandboxError
from cascade.sandboxes.docker import IMAGE, IMAGE_VERSION, connect
from cascade.sandboxes.languages import find_language
from cascade.sandboxes.toolchain import HELPER_FLAGS

__all__ = ["DEFAULT_LANGUAGES", "build_image", "packages_for"]

DEFAULT_LANGUAGES = ("python", "c", "cpp17", "cpp20")
FULL_LANGUAGES = (*DEFAULT_LANGUAGES, "rust", "go", "java", "javascript")
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"

SETUP = r"""set -eu
cd /opt/cascade
if command -v gcc >/dev/null; then
@HELPERS@
fi
if command -v g++ >/dev/null; then
  for standard in gnu++17 gnu++20; do
    mkdir -p pch/$standard/bits
    echo '#include_next <bits/stdc++.h>' > pch/$standard/bits/stdc++.h
    g++ -std=$standard -O2 -pipe -pthread -w -x c++-header pch/$standard/bits/stdc++.h \
      -o pch/$standard/bits/stdc++.h.gch
  done
fi
version() {
  name=$1; shift
  if command -v "$1" >/dev/null; then
    shown=$("$@" 2>&1) || { echo "$1 does not run: $shown" >&2; exit 1; }
    echo "$name=$(echo "$shown" | head -n 1)"
  fi
}
{
  version python python3 -c 'import platform; print(platform.python_version())'
  if python3 -c 'import numpy' 2>/dev/null; then
    version numpy python3 -c 'import numpy; print(numpy.__version__)'
  fi
  version cpp17 g++ -dumpfullversion
  version c gcc -dumpfullversion
  version rust rustc --version
  version go go version
  version java javac --version
  version javascript node --version
  for package in ${EXTRA-}; do dpkg-query -W -f '${Package}=${Version}\n' "$package"; done
} > versions
""".replace(
    "@HELPERS@",
    "\n".join(
        f"  gcc {' '.join(flags)} -o {name} spawner.c" for name, flags in HELPER_FLAGS.items()
    ),
)


def packages_for(languages: Sequence[str], numpy: bool) -> list[str]:
    """Debian packages that bring the languages; Python is always among them.

    Raises:
        UnknownNameError: a language that is not known.
    """
    wanted = ["python3", "libc6-dev"]
    wanted += [find_language(name).debian for name in languages]
    if "cpp17" in languages or "cpp20" in languages:
        wanted.append("gcc")
    if numpy:
        wanted.append("python3-numpy")
    return list(dict.fromkeys(wanted))


def build_image(
    languages: Sequence[str] = DEFAULT_LANGUAGES,
    *,
    extra: Sequence[str] = (),
    numpy: bool = True,
    tag: str = IMAGE,
    method: str = "auto",
    say: Callable[[str], None] = print,
) -> str:
    """Build the image and return its id.

    Args:
        languages: what programs may be written in.
        extra: further Debian packages, for example "python3-pandas"; reports name their versions.
        numpy: include NumPy, for `preload=("numpy",)`.
        tag: name of the image.
        method: "dockerfile" (needs a registry), "debootstrap" (needs root and debootstrap, and
            only a Debian mirror), or "auto": the first that works.
        say: told about progress.

    Raises:
        SandboxError: no engine, or neither way works; says what each lacks.
    """
    client = connect()
    packages = packages_for(languages, numpy)
    problems = []
    for name, build in (("dockerfile", _from_dockerfile), ("debootstrap", _from_debian)):
        if method not in ("auto", name):
            continue
        say(f"building {tag} by {name}: {' '.join([*packages, *extra])}")
        try:
            return build(client, packages, extra, tag)
        except SandboxError as error:
            problems.append(f"{name}: {error}")
            say(f"  not possible: {error}")
    if not problems:
        raise SandboxError(f'method must be "auto", "dockerfile" or "debootstrap", got {method!r}')
    raise SandboxError("cannot build the image. " + " | ".join(problems))


def _context(extra: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, body in extra.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    buffer.seek(0)
    return buffer


def _spawner_source() -> bytes:
    return files("cascade.sandboxes.inside").joinpath("spawner.c").read_bytes()


def _labels(versions: str) -> dict[str, str]:
    found = {"cascade.image": IMAGE_VERSION}
    for line in versions.splitlines():
        name, _, value = line.partition("=")
        if value:
            found[f"cascade.version.{name}"] = value.strip()
    return found


def _from_dockerfile(client: Any, packages: Sequence[str], extra: Sequence[str], tag: str) -> str:
    dockerfile = files("cascade.sandboxes").joinpath("Dockerfile").read_bytes()
    context = _context(
        {"Dockerfile": dockerfile, "spawner.c": _spawner_source(), "setup.sh": SETUP.encode()}
    )
    try:
        image, _ = client.images.build(
            fileobj=context,
            custom_context=True,
            rm=True,
            buildargs={"PACKAGES": " ".join([*packages, *extra]), "EXTRA": " ".join(extra)},
        )
        shown = client.containers.run(
            image.id, ["cat", "/opt/cascade/versions"], remove=True, network_mode="none"
        )
        labels = _labels(shown.decode())
        again = f'FROM {image.id}\nCMD ["sh"]\n'.encode()
        image, _ = client.images.build(
            fileobj=_context({"Dockerfile": again}),
            custom_context=True,
            rm=True,
            labels=labels,
            tag=tag,
        )
    except (docker.errors.BuildError, docker.errors.APIError) as error:
        raise SandboxError(str(error).strip()[:300]) from None
    return str(image.id)


def _from_debian(client: Any, packages: Sequence[str], extra: Sequence[str], tag: str) -> str:
    if os.geteuid() != 0:
        raise SandboxError("debootstrap needs root")
    if shutil.which("debootstrap") is None:
        raise SandboxError("debootstrap is not installed (apt-get install debootstrap)")
    with tempfile.TemporaryDirectory(prefix="cascade-image-", dir="/var/tmp") as scratch:
        root = Path(scratch) / "root"
        _run(
            ["debootstrap", "--variant=minbase", f"--include={','.join([*packages, *extra])}",
             SUITE, str(root), MIRROR]
        )  # fmt: skip
        home = root / "opt" / "cascade"
        home.mkdir(parents=True)
        (home / "spawner.c").write_bytes(_spawner_source())
        (home / "setup.sh").write_text(SETUP)
        _run(["mount", "-t", "proc", "proc", str(root / "proc")])  # Java finds itself there
        try:
            _run(
                ["chroot", str(root), "env", f"EXTRA={' '.join(extra)}",
                 "sh", "/opt/cascade/setup.sh"]
            )  # fmt: skip
        finally:
            _run(["umount", str(root / "proc")])
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(root / waste, ignore_errors=True)
        labels = _labels((home / "versions").read_text())
        changes = [f'LABEL {name}="{value}"' for name, value in labels.items()]
        return _import(client, root, tag, changes)


def _import(client: Any, root: Path, tag: str, changes: list[str]) -> str:
    repository, _, version = tag.partition(":")
    with tempfile.TemporaryFile(dir="/var/tmp") as archive:
        command = ["tar", "-C", str(root), "--exclude=./proc/*", "--exclude=./sys/*", "-c", "."]
        subprocess.run(command, stdout=archive, check=True)
        archive.seek(0)
        client.api.import_image_from_data(
            archive, repository=repository, tag=version or "latest", changes=changes
        )
    return str(client.api.inspect_image(tag)["Id"])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = (done.stdout + done.stderr).strip().splitlines()[-3:]
        raise SandboxError(f"{command[0]} failed: {' / '.join(tail)}")
