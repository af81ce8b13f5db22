"""Run a piece of Python as a user without privileges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, unavailable

UID = 54_321
_DROP = (
    "import os, sys\n"
    f"os.setgroups([]); os.setresgid({UID}, {UID}, {UID}); os.setresuid({UID}, {UID}, {UID})\n"
    "os.environ['HOME'] = '/nowhere'\n"
    "import atexit, shutil, tempfile\n"
    "os.environ['CASCADE_CACHE'] = tempfile.mkdtemp()\n"
    "atexit.register(shutil.rmtree, os.environ['CASCADE_CACHE'], True)\n"
)


def run_as_nobody(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with the first interpreter that such a user may start; skip if there is none."""
    if os.geteuid() != 0:
        unavailable("only root can become another user")
    paths = [str(ROOT / "src"), *(path for path in sys.path if path.endswith("-packages"))]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(paths)}
    for interpreter in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(interpreter).exists() and _starts(interpreter, environment):
            return subprocess.run(
                [interpreter, "-c", _DROP + code, *args],
                capture_output=True,
                text=True,
                check=False,
                timeout=180,
                env=environment,
                cwd="/",
            )
    unavailable("no Python 3.11 that an ordinary user may start, with Cascade readable to it")
    raise AssertionError("not reached")


def _starts(interpreter: str, environment: dict[str, str]) -> bool:
    code = _DROP + "assert sys.version_info >= (3, 11)\nimport cascade.sandboxes, docker"
    done = subprocess.run(
        [interpreter, "-c", code], capture_output=True, check=False, env=environment, cwd="/"
    )
    return done.returncode == 0
