"""Proof of each limit: a program that breaks it, and the status that shows that it held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cascade.sandboxes.programs import Case, Limits, Program
from cascade.sandboxes.sandbox import Sandbox
from cascade.sandboxes.verdicts import Status

__all__ = ["PROBES", "Probe", "run_probes"]

_LIMITS = Limits(cpu_seconds=0.3, wall_seconds=1.0, memory_bytes=96 << 20, processes=24)


@dataclass(frozen=True, slots=True)
class Probe:
    """One limit and the program that tries to break it."""

    limit: str
    source: str
    shows: tuple[Status, ...]
    """Statuses by which the limit is seen to hold."""


_TRIED = (Status.ACCEPTED,)

PROBES = (
    Probe("CPU time", "while True: pass", (Status.TIME_LIMIT,)),
    Probe(
        "CPU time of children",
        "import os, time\nif os.fork():\n    time.sleep(9)\nwhile True: pass",
        (Status.TIME_LIMIT,),
    ),
    Probe("elapsed time", "import time; time.sleep(9)", (Status.WALL_LIMIT,)),
    Probe("memory", "x = b'x' * (200 << 20)", (Status.MEMORY_LIMIT,)),
    Probe(
        "memory of children",
        "import os, time\n"
        "for _ in range(5):\n"
        "    if not os.fork():\n"
        "        x = b'x' * (40 << 20); time.sleep(9)\n"
        "time.sleep(9)",
        (Status.MEMORY_LIMIT,),
    ),
    Probe("output", "while True: print('x' * 9999)", (Status.OUTPUT_LIMIT,)),
    Probe(
        "processes",
        "import os, time\nfor _ in range(99):\n    if not os.fork(): time.sleep(9)",
        (Status.RUNTIME_ERROR,),
    ),
    Probe(
        "disk",
        "for i in range(99): open(f'f{i}', 'wb').write(b'x' * (8 << 20))",
        (Status.FILE_LIMIT, Status.MEMORY_LIMIT),
    ),
    Probe(
        "network",
        "import socket\n"
        "try: socket.create_connection(('1.1.1.1', 53), 0.3); raise SystemExit(1)\n"
        "except OSError: pass",
        _TRIED,
    ),
    Probe(
        "read-only system",
        "for p in ('/usr/x', '/etc/x', '/x'):\n"
        "    try: open(p, 'w'); raise SystemExit(p)\n"
        "    except OSError: pass",
        _TRIED,
    ),
    Probe(
        "processes of others",
        "import os, signal\n"
        "seen = 0\n"
        "for pid in range(1, 400):\n"
        "    if pid != os.getpid():\n"
        "        try: os.kill(pid, 0); seen += 1\n"
        "        except OSError: pass\n"
        "raise SystemExit(seen)",
        _TRIED,
    ),
    Probe(
        "privileges",
        "import ctypes, os\n"
        "c = ctypes.CDLL(None)\n"
        "raise SystemExit(sum(f() == 0 for f in (lambda: c.unshare(0x10000000), "
        "lambda: c.ptrace(16, os.getppid(), 0, 0), lambda: c.setuid(0) if os.getuid() else 1)))",
        _TRIED,
    ),
    Probe("left-over processes", "import os, time\nif not os.fork(): time.sleep(99)", _TRIED),
    Probe(
        "left-over files",
        "import os\nraise SystemExit(bool(os.listdir(os.environ['TMPDIR'])))",
        _TRIED,
    ),
)


def run_probes(box: Sandbox) -> Iterator[tuple[Probe, Status, str]]:
    """Run every probe; yields it with the status it got and the reason."""
    for probe in PROBES:
        limits = _LIMITS
        if probe.limit == "disk":
            limits = Limits(cpu_seconds=5, wall_seconds=9, memory_bytes=512 << 20)
        report = box.judge(Program("python", probe.source), [Case("")], limits)
        yield probe, report.status, report.reason
