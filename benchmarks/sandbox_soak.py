"""Thousands of runs on a machine that is asked for too much; every verdict is known beforehand.

    python benchmarks/sandbox_soak.py [--kind docker|local] [--runs 10000] [--faults 1000]
    python benchmarks/sandbox_soak.py --workers 1      # each Python child is forked ahead

First `--runs` runs with four workers for each CPU, so that every program waits for its turn; then
`--talks` conversations with an interactor on as many workers; then `--faults` runs of which 5 %
have their slot destroyed under them. Prints the count of every verdict. A wrong one ends the
programme with exit code 1; a FAULT is no verdict, and is counted.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cascade.sandboxes import (
    Case,
    Interactor,
    Job,
    Limits,
    Program,
    Sandbox,
    SandboxConfig,
    Status,
)
from cascade.sandboxes.opening import open_backend
from cascade.sandboxes.pool import Backend

LIMITS = Limits(cpu_seconds=1.0, memory_bytes=128 << 20)
SHORT = Limits(cpu_seconds=0.3, wall_seconds=1.0, memory_bytes=64 << 20)
CASES = [Case(f"{i} {i + 1}\n", f"{2 * i + 1}\n") for i in range(5)]
MIX: list[tuple[int, Program, Limits, set[Status]]] = [
    (60, Program("python", "a, b = map(int, input().split())\nprint(a + b)\n"), LIMITS,
     {Status.ACCEPTED}),
    (20, Program("c", '#include <stdio.h>\nint main(){int a,b;scanf("%d%d",&a,&b);'
                      'printf("%d",a+b);}'), LIMITS, {Status.ACCEPTED}),
    (6, Program("python", "sum(i * i for i in range(1_000_000))\n"
                          "print(sum(map(int, input().split())))\n"), LIMITS, {Status.ACCEPTED}),
    (5, Program("python", "print(0, input())"), LIMITS, {Status.WRONG_ANSWER}),
    (3, Program("python", "1 / 0"), LIMITS, {Status.RUNTIME_ERROR}),
    (2, Program("python", "while True: pass"), SHORT, {Status.TIME_LIMIT}),
    (1, Program("python", "import time; time.sleep(9)"), SHORT, {Status.WALL_LIMIT}),
    (1, Program("python", "x = b'x' * (200 << 20)"), SHORT, {Status.MEMORY_LIMIT}),
    (1, Program("python", "while True: print('x' * 9999)"), SHORT, {Status.OUTPUT_LIMIT}),
    (1, Program("python", "import os, time\nif os.fork() == 0: time.sleep(9)\n"
                          "else: print(sum(map(int, input().split())))"), LIMITS,
     {Status.ACCEPTED}),
]  # fmt: skip

ASKS = Interactor(
    Program(
        "python",
        "import sys\n"
        "for i in range(int(open(sys.argv[1]).read())):\n"
        "    print(i, flush=True)\n"
        "    if sys.stdin.readline() != f'{2 * i}\\n': sys.exit(43)\n"
        "sys.exit(42)\n",
    )
)
TWICE = '#include <stdio.h>\nint main(){int i;while(scanf("%%d",&i)==1){%s}}'
TALKS: list[tuple[int, Program, Limits, Status]] = [
    (40, Program("c", TWICE % 'printf("%d\\n",2*i);fflush(stdout);'), LIMITS, Status.ACCEPTED),
    (20, Program("python", "try:\n    while True: print(2 * int(input()), flush=True)\n"
                           "except EOFError: pass"), LIMITS, Status.ACCEPTED),
    (10, Program("c", TWICE % 'printf("%d\\n",i==7?0:2*i);fflush(stdout);'), LIMITS,
     Status.WRONG_ANSWER),
    (5, Program("c", TWICE % 'printf("%d\\n",2*i);'), SHORT, Status.WALL_LIMIT),
    (5, Program("python", "import time\nwhile True: print(end='0', flush=True); time.sleep(0.2)"),
     SHORT, Status.WALL_LIMIT),
    (5, Program("python", "import time\ninput(); time.sleep(9)"), SHORT, Status.WALL_LIMIT),
    (5, Program("python", "input()\nwhile True: pass"), SHORT, Status.TIME_LIMIT),
    (5, Program("python", "input(); 1 / 0"), LIMITS, Status.RUNTIME_ERROR),
    (5, Program("python", "input()"), LIMITS, Status.WRONG_ANSWER),
]  # fmt: skip


class Faulty:
    """A back end that destroys the slot under a share of the runs."""

    def __init__(self, inner: Backend, share: float) -> None:
        self.inner, self.share, self.random = inner, share, random.Random(1)
        self.name, self.config, self.versions = inner.name, inner.config, inner.versions
        self.faults = 0
        self._lock = threading.Lock()

    def open(self) -> Any:
        """Open a link that breaks before some runs."""
        link = self.inner.open()
        send = link.send_raw

        def breaking(data: bytes) -> None:
            with self._lock:
                broken = b'"op":"run"' in data[:60] and self.random.random() < self.share
                self.faults += broken
            if broken:
                link.place.destroy()
            send(data)

        link.send_raw = breaking  # type: ignore[method-assign]
        return link

    def isolation(self, hello: dict[str, Any]) -> Any:
        """As the back end under it."""
        return self.inner.isolation(hello)

    def close(self) -> None:
        """As the back end under it."""
        self.inner.close()


def jobs(runs: int, cases: int) -> Iterator[Job]:
    """Programs drawn from the mix, until they have made so many runs; the key is what is right."""
    draw = random.Random(0)
    weights = [row[0] for row in MIX]
    while runs > 0:
        _, program, limits, right = draw.choices(MIX, weights)[0]
        runs -= cases if Status.ACCEPTED in right else 1  # the first failure ends it
        yield Job(program, CASES[:cases], limits, key=right)


def soak(box: Sandbox, runs: int, cases: int) -> int:
    """Judge, count and print; returns the number of wrong verdicts."""
    counts: collections.Counter[str] = collections.Counter()
    wrong = retries = made = 0
    start = time.perf_counter()
    for job, report in box.judge_many(jobs(runs, cases)):
        counts[report.status.value] += 1
        retries += report.retries
        made += sum(outcome.status is not Status.SKIPPED for outcome in report.outcomes)
        right: Any = job.key
        if report.status is not Status.FAULT and report.status not in right:
            wrong += 1
            print(f"WRONG: {report.status} ({report.reason}), not {right}: {job.program.source!r}")
    seconds = time.perf_counter() - start
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    print(f"  {made} runs in {seconds:.1f} s; programs: {shown}; retries {retries}; wrong {wrong}")
    return wrong


def soak_talks(box: Sandbox, talks: int, workers: int) -> int:
    """The same for conversations of up to 2,000 words; returns the number of wrong verdicts."""
    draw = random.Random(0)
    weights = [row[0] for row in TALKS]
    counts: collections.Counter[str] = collections.Counter()
    wrong = retries = 0
    start = time.perf_counter()

    def judge(drawn: tuple[Any, int]) -> tuple[Any, Any]:
        (_, program, limits, right), words = drawn
        report = box.judge_interactive(program, [Case(str(words))], ASKS, limits)
        return (program, right), report

    drawn = [(draw.choices(TALKS, weights)[0], draw.choice([10, 50, 1000])) for _ in range(talks)]
    with ThreadPoolExecutor(workers) as threads:
        for (program, right), report in threads.map(judge, drawn):
            counts[report.status.value] += 1
            retries += report.retries
            if report.status not in (right, Status.FAULT):
                wrong += 1
                print(f"WRONG: {report.status} ({report.reason}), not {right}: {program.source!r}")
    seconds = time.perf_counter() - start
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    print(f"  {talks} conversations in {seconds:.1f} s; {shown}; retries {retries}; wrong {wrong}")
    return wrong


def main() -> int:
    """Run all soaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("docker", "local"), default="docker")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--talks", type=int, default=1_000)
    parser.add_argument("--faults", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=4 * (os.cpu_count() or 1))
    options = parser.parse_args()
    workers = options.workers
    print(f"{options.kind}: {options.runs} runs on {workers} workers")
    with Sandbox(open_backend(options.kind, SandboxConfig(workers=workers))) as box:
        wrong = soak(box, options.runs, len(CASES))
        print(f"{options.kind}: {options.talks} conversations")
        wrong += soak_talks(box, options.talks, workers)
    print(f"{options.kind}: {options.faults} runs, the slot destroyed under 5 %")
    faulty = Faulty(open_backend(options.kind, SandboxConfig(workers=min(4, workers))), 0.05)
    with Sandbox(faulty) as box:
        wrong += soak(box, options.faults, 1)
    print(f"  {faulty.faults} faults injected")
    return 1 if wrong or not faulty.faults else 0


if __name__ == "__main__":
    sys.exit(main())
