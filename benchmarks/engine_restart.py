"""Kills the Docker engine in the middle of a stream of programs, and starts it again.

    python benchmarks/engine_restart.py [--runs 2000] [--down 3]

Needs root and dockerd. The engine is one of its own, in a folder of its own, without a network;
the image is copied from the engine of DOCKER_HOST. A wrong verdict, a stream that does not go on
after the restart, or anything left at the end gives the exit code 1. A FAULT is no verdict, and is
counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sandbox_soak import CASES, jobs  # type: ignore[import-not-found]

from cascade.errors import SandboxError
from cascade.sandboxes import SandboxConfig, Status
from cascade.sandboxes.docker import IMAGE, LABEL, DockerBackend, connect
from cascade.sandboxes.sandbox import Sandbox


class Engine:
    """A Docker engine of our own."""

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._log: IO[bytes] = open(folder / "log", "ab")  # noqa: SIM115 - closed by `close`
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        folder = self._folder
        with contextlib.suppress(FileNotFoundError):
            (folder / "pid").unlink()
        self._process = subprocess.Popen(
            ["dockerd", "--host", self.host, "--data-root", f"{folder}/data",
             "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid",
             "--bridge", "none", "--iptables=false", "--ip6tables=false"],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        for _ in range(240):
            done = subprocess.run(
                ["docker", "-H", self.host, "version"], capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.25)
        raise SystemExit(f"dockerd does not answer: {(folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it in good order."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)
        self._log.close()
        # The one that was killed could not undo its mounts.
        while not subprocess.run(
            ["umount", f"{self._folder}/data"], capture_output=True, check=False
        ).returncode:
            pass

    def copy_image(self) -> None:
        """Take the image over from the engine of DOCKER_HOST."""
        save = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "-H", self.host, "load"], stdin=save.stdout, check=True, capture_output=True
        )
        if save.wait():
            raise SystemExit(f"no image {IMAGE} at DOCKER_HOST: run cascade-sandbox build")

    def leftovers(self) -> list[str]:
        """Containers of any sandbox, and shims that hold one."""
        client = connect()
        found = client.api.containers(all=True, filters={"label": LABEL})
        client.close()
        return [c["Id"] for c in found] + [
            f"process {entry.name}"
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self._is_shim(entry)
        ]

    def _is_shim(self, entry: Path) -> bool:
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            return b"containerd-shim" in line and str(self._folder).encode() in line
        return False


def judge(engine: Engine, runs: int, down: float) -> bool:
    """Judge a stream, kill the engine after a quarter of it; return whether all was right."""
    counts: Counter[str] = Counter()
    wrong = after = 0
    reasons: Counter[str] = Counter()
    back = threading.Event()

    def crash() -> None:
        engine.kill()
        time.sleep(down)
        engine.start()
        back.set()

    crasher = threading.Thread(target=crash)
    box = Sandbox(DockerBackend(SandboxConfig(workers=4)))
    with contextlib.closing(box):
        total = runs // len(CASES)
        for number, (job, report) in enumerate(box.judge_many(paced(runs, back))):
            if number == total // 4:
                crasher.start()
            counts[report.status.value] += 1
            right: Any = job.key
            if report.status is Status.FAULT:
                reasons[re.sub(r"[0-9a-f]{12,}", "…", report.reason)[:110]] += 1
            elif report.status not in right:
                wrong += 1
                print(f"WRONG: {report.status} ({report.reason}), not {right}")
            elif back.is_set():
                after += 1
        crasher.join()
    print(f"  {sum(counts.values())} programs: {dict(counts)}; right after the restart: {after}")
    for reason, count in reasons.most_common(5):
        print(f"  {count} faults: {reason}")
    return not wrong and after > 0


def paced(runs: int, back: threading.Event) -> Iterator[Any]:
    """The jobs; the second half waits for the engine, as faults would use it up in no time."""
    everything = list(jobs(runs, len(CASES)))
    for number, job in enumerate(everything):
        if number == len(everything) // 2:
            back.wait(120)
        yield job


def main() -> int:
    """Start an engine, break it, look what is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--down", type=float, default=3.0, help="seconds without an engine")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cascade-engine-", dir="/var/tmp") as name:
        engine = Engine(Path(name))
        start = time.perf_counter()
        engine.start()
        try:
            engine.copy_image()
            os.environ["DOCKER_HOST"] = engine.host
            print(f"engine and image after {time.perf_counter() - start:.1f} s", flush=True)
            good = judge(engine, options.runs, options.down)
            deadline = time.monotonic() + 10
            while (left := engine.leftovers()) and time.monotonic() < deadline:
                time.sleep(0.2)
            print(f"  left: {left or 'nothing'}; {time.perf_counter() - start:.1f} s in all")
        except SandboxError as error:
            print(f"the run ended with an error: {error}")
            return 1
        finally:
            engine.close()
    return 0 if good and not left else 1


if __name__ == "__main__":
    sys.exit(main())
