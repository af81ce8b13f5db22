"""What a run costs, beside the machine's floor and the other ways, in one sitting.

Absolute numbers depend on the machine and on what else it does. So everything is measured in
rounds, one after another, and the best round counts; the ratios and the floor, which come from the
same minutes, say what the sandbox adds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cascade.errors import SandboxError
from cascade.sandboxes.footprint import idle_megabytes, processor_seconds
from cascade.sandboxes.judges import Interactor
from cascade.sandboxes.opening import open_sandbox
from cascade.sandboxes.peers import ANSWERS, ASKS, OUTPUT, PYTHON, C, peers, talk
from cascade.sandboxes.programs import Case, Limits, Program
from cascade.sandboxes.sandbox import Job, Sandbox

__all__ = ["Row", "bench", "median_ms"]

_CPP = (
    "#include <bits/stdc++.h>\n"
    "int main(){{int s=0,x;while(std::cin>>x)s+=x;std::cout<<s<<std::endl;}} // {}\n"
)
_NUMPY = "import numpy as np\nprint(int(np.array(input().split(), int).sum()))"
_IMPORTS = (
    "from collections import *; from math import *; from random import *; import statistics\n"
)
"""What contest programs begin with, or are given by their graders."""
_CASE = Case("1 2 3\n", OUTPUT)
_WORDS = 2000
"""Words in a conversation, with an answer to each."""
_RATES = ("/s", "times")
"""Units of which more is better."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number, and the one that was to be reached, if there is one."""

    what: str
    value: float
    unit: str
    target: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.unit in _RATES else self.value <= self.target

    def __str__(self) -> str:
        text = f"{self.what:<46} {self.value:10.3f} {self.unit:<5}"
        if self.target is None:
            return text.rstrip()
        sign = ">=" if self.unit in _RATES else "<="
        return f"{text} {sign} {self.target:<6g} {'reached' if self.reached else 'NOT REACHED'}"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that is taken once a round."""

    what: str
    unit: str
    target: float | None
    take: Callable[[], float]


def median_ms(action: Callable[[], object], repeats: int) -> float:
    """Median time of one call, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def bench(
    kinds: Sequence[str], rounds: int = 5, say: Callable[[str], None] = print
) -> Iterator[Row]:
    """Measure the floor, the peers and the back ends in interleaved rounds.

    Args:
        kinds: back ends; one that cannot be opened is told of and left out.
        rounds: the best of so many counts.
        say: told about progress.
    """
    with contextlib.ExitStack() as stack:
        measures = [*_floor(), *_peers(stack)]
        for kind in kinds:
            try:
                measures += _measures(stack, kind)
                measures += _numpy(stack, kind)
            except SandboxError as error:
                say(f"{kind}: not measured: {str(error)[:160]}")
        values: dict[str, list[float]] = {measure.what: [] for measure in measures}
        for number in range(rounds):
            start = time.perf_counter()
            for measure in measures:
                values[measure.what].append(measure.take())
            say(f"round {number + 1} of {rounds}: {time.perf_counter() - start:.0f} s")
    best = {
        measure.what: (max if measure.unit in _RATES else min)(values[measure.what])
        for measure in measures
    }
    for measure in measures:
        yield Row(measure.what, best[measure.what], measure.unit, measure.target)
    yield from _ratios(kinds, best)


def _ratios(kinds: Sequence[str], best: dict[str, float]) -> Iterator[Row]:
    """How much dearer the other ways are, and how the two back ends compare."""
    targets = {("docker", "docker run"): 140.0, ("docker", "docker exec"): 40.0}
    for kind, way in itertools.product(kinds, ("docker run", "docker exec", "plain", "bwrap")):
        mine, theirs = best.get(f"{kind}: Python test"), best.get(f"peer: {way}, python")
        if mine and theirs:
            yield Row(f"{way} / {kind}, a Python test", theirs / mine, "times",
                      targets.get((kind, way)))  # fmt: skip
    for what in ("Python test", "C++ test"):
        docker, local = best.get(f"docker: {what}"), best.get(f"local: {what}")
        if docker and local:
            yield Row(f"local / docker, a {what}", local / docker, "", 1.2)


def _floor() -> list[Measure]:
    """What the machine itself takes: the least that any sandbox can cost."""
    ballast = bytearray(10 << 20)

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def forked() -> float:
        ballast[:1] = b"x"
        return median_ms(fork, 50)

    def spawn() -> None:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)

    return [
        Measure("floor: start and end of /bin/true (vfork)", "ms", None,
                lambda: median_ms(spawn, 200)),
        Measure("floor: fork of this Python, 10 MB of it written", "ms", None, forked),
    ]  # fmt: skip


def _peers(stack: contextlib.ExitStack) -> list[Measure]:
    """The other ways to run the same programs."""
    found = []
    for (way, language), run in sorted(stack.enter_context(peers()).items()):
        run()
        count = 6 if way.startswith("docker") else 30
        found.append(
            Measure(f"peer: {way}, {language}", "ms", None,
                    lambda run=run, count=count: median_ms(run, count))  # type: ignore[misc]
        )  # fmt: skip
    if shutil.which("gcc"):
        plain = stack.enter_context(talk(_WORDS))
        found.append(
            Measure("peer: plain, a word and its answer", "us", None,
                    lambda: median_ms(plain, 5) / _WORDS * 1e3)
        )  # fmt: skip
    return found


def _measures(stack: contextlib.ExitStack, kind: str) -> list[Measure]:
    """The numbers of one back end with two workers."""
    before = time.perf_counter()
    box = stack.enter_context(open_sandbox(kind, workers=2))
    opened = time.perf_counter() - before
    python, c, cpp = Program("python", PYTHON), Program("c", C), Program("cpp17", _CPP.format(0))
    contest = Program("python", _IMPORTS + PYTHON)
    idle = idle_megabytes(kind)
    counter = itertools.count(1)

    def compiled() -> float:
        program = Program("cpp17", _CPP.format(f"{os.getpid()}-{next(counter)}"))
        return _seconds(box, program, 100)

    found = [
        Measure(f"{kind}: Python test", "ms", 1.8, lambda: _per_test(box, python)),
        Measure(f"{kind}: Python test, judged alone", "ms", None,
                lambda: median_ms(lambda: _judge(box, python, 1), 50)),
        Measure(f"{kind}: Python test, contest imports", "ms", None,
                lambda: _per_test(box, contest)),
        Measure(f"{kind}: Python tests, 2 workers", "/s", 1100, lambda: _rate(box, python)),
        Measure(f"{kind}: 100 Python tests", "s", 0.18, lambda: _seconds(box, python, 100)),
        Measure(f"{kind}: processor time of a Python test", "ms", None,
                lambda: _processor_ms(kind, box, python)),
        Measure(f"{kind}: processor time of a C++ test", "ms", None,
                lambda: _processor_ms(kind, box, cpp)),
        Measure(f"{kind}: C test", "ms", None, lambda: _per_test(box, c)),
        Measure(f"{kind}: C++ test", "ms", 1.5, lambda: _per_test(box, cpp)),
        Measure(f"{kind}: C++ tests, 2 workers", "/s", 1500, lambda: _rate(box, cpp)),
        Measure(f"{kind}: compile + 100 C++ tests", "s", 0.45, compiled),
        Measure(f"{kind}: one test each, judge_many", "/s", None, lambda: _stream(box, python)),
        Measure(f"{kind}: a word and its answer", "us", None,
                lambda: median_ms(lambda: _talk(box), 3) / _WORDS * 1e3),
        Measure(f"{kind}: 8 slots ready", "s", 1.5, lambda: _ready(kind)),
        Measure(f"{kind}: first slot of a sandbox", "s", None, lambda: opened),
    ]  # fmt: skip
    if idle is not None:
        found.append(Measure(f"{kind}: memory of an idle slot", "MB", 30, lambda: idle))
    for program in (python, contest, c, cpp):
        _judge(box, program, 5)
    _talk(box)
    return found


def _numpy(stack: contextlib.ExitStack, kind: str) -> list[Measure]:
    box = stack.enter_context(open_sandbox(kind, workers=1, spare=False, preload=("numpy",)))
    program = Program("python", _NUMPY)
    _judge(box, program, 5)
    return [
        Measure(f"{kind}: Python test, NumPy preloaded", "ms", 3, lambda: _per_test(box, program))
    ]


def _judge(box: Sandbox, program: Program, tests: int) -> None:
    report = box.judge(program, [_CASE] * tests)
    if not report.accepted:
        raise SandboxError(f"the bench program was not accepted: {report.reason}")


def _talk(box: Sandbox) -> None:
    report = box.judge_interactive(
        Program("c", ANSWERS), [Case(str(_WORDS))], Interactor(Program("c", ASKS)), Limits()
    )
    if not report.accepted:
        raise SandboxError(f"the bench conversation was not accepted: {report.reason}")


def _seconds(box: Sandbox, program: Program, tests: int) -> float:
    start = time.perf_counter()
    _judge(box, program, tests)
    return time.perf_counter() - start


def _per_test(box: Sandbox, program: Program, tests: int = 50, repeats: int = 5) -> float:
    """Median over repeats of the milliseconds that a test takes in a program with many."""
    return median_ms(lambda: _judge(box, program, tests), repeats) / tests


def _processor_ms(kind: str, box: Sandbox, program: Program, tests: int = 400) -> float:
    """Processor time of a test, here and in the slots: what a busy machine changes least."""
    before = time.process_time() + processor_seconds(kind)
    _judge(box, program, tests)
    return (time.process_time() + processor_seconds(kind) - before) / tests * 1e3


def _rate(box: Sandbox, program: Program, seconds: float = 1.0, tests: int = 50) -> float:
    """Tests a second with all workers busy."""
    start = time.perf_counter()
    done = [0] * box.config.workers

    def work(index: int) -> None:
        while time.perf_counter() < start + seconds:
            _judge(box, program, tests)
            done[index] += tests

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(done))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def _stream(box: Sandbox, program: Program, count: int = 200) -> float:
    """Judgements of one test each, a second."""
    start = time.perf_counter()
    for _ in box.judge_many([Job(program, [_CASE], key=i) for i in range(count)]):
        pass
    return count / (time.perf_counter() - start)


def _ready(kind: str) -> float:
    """Seconds until eight slots are ready."""
    start = time.perf_counter()
    with open_sandbox(kind, workers=8, spare=False):
        return time.perf_counter() - start
