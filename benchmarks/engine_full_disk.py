"""Fills the disk of the Docker engine while a sandbox is open, and before another one opens.

    python benchmarks/engine_full_disk.py [--runs 500]

Needs root and dockerd. The engine is one of its own, with its data on a small file system in
memory; the image is copied from the engine of DOCKER_HOST. What is open must go on, though
worn-out slots cannot be replaced, and what opens must say what is wrong. A wrong verdict, a FAULT
or an error that does not name the disk gives the exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine_restart import Engine  # type: ignore[import-not-found]
from sandbox_soak import CASES, jobs  # type: ignore[import-not-found]

from cascade.errors import SandboxError
from cascade.sandboxes import Sandbox, SandboxConfig
from cascade.sandboxes.docker import DockerBackend


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system in memory at a folder."""
    folder.mkdir()
    options = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], capture_output=True, check=False)  # or the engine did


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no byte free."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    try:
        yield
    finally:
        ballast.unlink()


def judge(box: Sandbox, runs: int) -> tuple[Counter[str], int]:
    """Statuses of a stream of programs, and how many are wrong."""
    counts: Counter[str] = Counter()
    wrong = 0
    for job, report in box.judge_many(jobs(runs, len(CASES))):
        counts[report.status.value] += 1
        right: Any = job.key
        wrong += report.status not in right
    return counts, wrong


def main() -> int:
    """Start an engine, fill its disk, look what becomes of two sandboxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cascade-engine-", dir="/var/tmp") as name:
        data = Path(name) / "data"
        with small_disk(data, 1500), contextlib.closing(Engine(Path(name))) as engine:
            engine.start()
            engine.copy_image()
            os.environ["DOCKER_HOST"] = engine.host
            config = SandboxConfig(workers=2, runs_per_slot=50)
            with Sandbox(DockerBackend(config)) as box:
                with filled(data):
                    full, wrong = judge(box, options.runs)
                print(f"  disk full: {dict(full)}, wrong or FAULT: {wrong}")
                free, also = judge(box, options.runs)
                print(f"  free again: {dict(free)}, wrong or FAULT: {also}")
            with filled(data):
                try:
                    Sandbox(DockerBackend(config)).close()
                    said = "opened"
                except SandboxError as error:
                    said = str(error)
            print(f"  opening: {said[-120:]}")
    return 0 if wrong + also == 0 and "no space left" in said else 1


if __name__ == "__main__":
    sys.exit(main())
