"""What a run costs, beside the machine's floor and the other ways, in one sitting.

Absolute numbers depend on the machine and on what else it does; the ratios and the floor, which
are taken in the same minute, say what the sandbox adds.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import SandboxError
from cascade.sandboxes.opening import open_sandbox
from cascade.sandboxes.peers import OUTPUT, PYTHON, C, peers
from cascade.sandboxes.programs import Case, Program
from cascade.sandboxes.sandbox import Job, Sandbox

__all__ = ["Row", "bench_kind", "bench_peers", "floor"]

_CPP = (
    "#include <bits/stdc++.h>\n"
    "int main(){{int s=0,x;while(std::cin>>x)s+=x;std::cout<<s<<std::endl;}} // {}\n"
)
_CASE = Case("1 2 3\n", OUTPUT)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number."""

    what: str
    value: float
    unit: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.what:<52} {self.value:10.3f} {self.unit:<5} {self.target}"


def median_ms(action: Callable[[], object], repeats: int) -> float:
    """Median time of one call, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def floor() -> list[Row]:
    """What the machine itself takes: the least that any sandbox can cost."""

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def spawn() -> None:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)

    ballast = bytearray(10 << 20)
    rows = [
        Row("floor: start and end of /bin/true (vfork)", median_ms(spawn, 300), "ms"),
        Row("floor: fork of this Python, 10 MB of it written", median_ms(fork, 100), "ms"),
    ]
    ballast[:1] = b"x"
    return rows


def _per_test(box: Sandbox, program: Program, tests: int = 100, repeats: int = 5) -> float:
    """Median over repeats of the time a test takes in a program with many."""
    cases = [_CASE] * tests
    box.judge(program, cases[:5])

    def once() -> None:
        report = box.judge(program, cases)
        if not report.accepted:
            raise SandboxError(f"the bench program was not accepted: {report.reason}")

    return median_ms(once, repeats) / tests


def _rate(box: Sandbox, program: Program, seconds: float, tests: int = 50) -> float:
    """Tests a second with all workers busy."""
    box.judge(program, [_CASE])
    end = time.perf_counter() + seconds
    done = [0] * box.config.workers

    def work(index: int) -> None:
        while time.perf_counter() < end:
            if not box.judge(program, [_CASE] * tests).accepted:
                raise SandboxError("the bench program was not accepted")
            done[index] += tests

    start = time.perf_counter()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(done))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def _single(box: Sandbox, program: Program, repeats: int = 200) -> float:
    """Median time of a judgement of one test."""
    box.judge(program, [_CASE])
    return median_ms(lambda: box.judge(program, [_CASE]), repeats)


def bench_kind(kind: str, seconds: float = 2.0) -> list[Row]:
    """Measure one back end with two workers."""
    python, c = Program("python", PYTHON), Program("c", C)
    counter = iter(range(10**9))
    rows = []
    with open_sandbox(kind, workers=2) as box:
        cpp = Program("cpp17", _CPP.format("warm"))

        def fresh() -> None:
            program = Program("cpp17", _CPP.format(f"{os.getpid()}-{next(counter)}"))
            if not box.judge(program, [_CASE] * 100).accepted:
                raise SandboxError("the bench program was not accepted")

        rows += [
            Row(f"{kind}: Python test, one judgement", _single(box, python), "ms", "<= 1.8"),
            Row(f"{kind}: Python test, among 100", _per_test(box, python), "ms", "<= 1.8"),
            Row(f"{kind}: Python tests, 2 workers", _rate(box, python, seconds), "/s", ">= 1100"),
            Row(f"{kind}: C test, among 100", _per_test(box, c), "ms", ""),
            Row(f"{kind}: C++ test, among 100", _per_test(box, cpp), "ms", "<= 1.5"),
            Row(f"{kind}: C++ tests, 2 workers", _rate(box, cpp, seconds), "/s", ">= 1500"),
            Row(f"{kind}: compile + 100 C++ tests", median_ms(fresh, 5) / 1e3, "s", "<= 0.45"),
            Row(f"{kind}: 100 Python tests", _per_test(box, python) / 10, "s", "<= 0.18"),
            Row(f"{kind}: memory of an idle slot", _idle_megabytes(), "MB", "<= 30"),
        ]
        jobs = [Job(python, [_CASE], key=i) for i in range(300)]
        start = time.perf_counter()
        for _ in box.judge_many(jobs):
            pass
        rate = len(jobs) / (time.perf_counter() - start)
        rows.append(Row(f"{kind}: judge_many, one Python test each", rate, "/s"))
    rows += _numpy(kind)
    start = time.perf_counter()
    with open_sandbox(kind, workers=8, spare=False):
        rows.append(Row(f"{kind}: 8 slots ready", time.perf_counter() - start, "s", "<= 1.5"))
    return rows


def _numpy(kind: str) -> list[Row]:
    program = Program(
        "python", "import numpy as np\nprint(int(np.array(input().split(), int).sum()))"
    )
    try:
        with open_sandbox(kind, workers=1, spare=False, preload=("numpy",)) as box:
            value = _per_test(box, program)
    except SandboxError as error:
        print(f"{kind}: no NumPy in this sandbox: {str(error)[:120]}")
        return []
    return [Row(f"{kind}: Python test with NumPy preloaded", value, "ms", "<= 3")]


def _idle_megabytes() -> float:
    """Proportional memory of one slot: runner, helpers, and what Docker keeps for it."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if not any(mark in command for mark in (b"marshal.loads", b"spawner\0", b"-shim-")):
                continue
            text = (entry / "smaps_rollup").read_text()
        except OSError:
            continue
        line = next(row for row in text.splitlines() if row.startswith("Pss:"))
        total += int(line.split()[1]) / 1024
    return total / max(len(_spawners()), 1)


def _spawners() -> list[int]:
    """Process ids of spawners: one for each slot."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().startswith(b"spawner\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def bench_peers(repeats: int = 30) -> list[Row]:
    """Time the other ways."""
    rows = []
    with peers() as runners:
        for (way, language), run in sorted(runners.items()):
            run()
            count = repeats if way.startswith("docker") else 4 * repeats
            rows.append(Row(f"peer: {way}, {language}", median_ms(run, count), "ms"))
    return rows
