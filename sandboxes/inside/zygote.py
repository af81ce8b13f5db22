"""The warmed interpreter from which every Python program is forked.

Importing is not enough: the first program also pays for the parser's and the streams' first use.
So the zygote runs one small program itself, and its children inherit all of that.
"""

from __future__ import annotations

import gc
import importlib
import io
import mmap
import os
import signal
import site
import socket
import sys
import types
from typing import Any, NoReturn

from cascade.sandboxes.inside.confine import Confinement
from cascade.sandboxes.inside.drivers import run_driver
from cascade.sandboxes.inside.fork import Helper, serve

__all__ = ["COMMON_MODULES", "start_zygote"]

COMMON_MODULES = (
    "array",
    "bisect",
    "collections",
    "copy",
    "datetime",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "time",
    "typing",
)
"""What most programs import.

With those of the line of imports that LiveCodeBench puts before each program, of which `random` and
`statistics` took most of the time. Rarer modules would cost every run more than they save a few;
`threading` has a hook that runs in each forked child.
"""

_WARM_UP = """
import sys
def solve(values: list[int]) -> int:
    return sum(v * v for v in values if v % 2 == 0)
class Point:
    def __init__(self, x): self.x = x
try:
    line = input()
except EOFError:
    line = "1 2 3"
print(solve([int(x) for x in line.split()]), f"{Point(1).x:03d}", sorted([3, 1, 2]))
print("warm", file=sys.stderr)
sys.stdin.read()
"""


def start_zygote(confinement: Confinement, config: dict[str, Any], close: set[int]) -> Helper:
    """Fork the zygote from the runner, which must not have read anything secret yet."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    pid = os.fork()
    if pid == 0:
        ours.close()
        for fd in close:
            os.close(fd)
        _become(theirs, shared, confinement, config)
    theirs.close()
    return Helper(pid, ours, shared)


def _become(
    control: socket.socket, shared: mmap.mmap, confinement: Confinement, config: dict[str, Any]
) -> NoReturn:
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    site.setquit()
    sys.path += [folder for folder in site.getsitepackages() if os.path.isdir(folder)]
    sys.path += config.get("python_path", [])
    try:
        for name in (*COMMON_MODULES, *config["preload"]):
            importlib.import_module(name)
        if "numpy" in sys.modules:
            importlib.import_module("numpy.random")  # numpy 2 loads it late: in every child
    except ImportError as error:
        control.send(f"cannot preload: {error}".encode()[:200])
        os._exit(1)
    _open_streams()
    main = types.ModuleType("__main__")
    for _ in range(2):
        exec(compile(_WARM_UP, "<warm-up>", "exec", dont_inherit=True), main.__dict__)
        sys.stdout.flush()
    _open_streams()
    del main
    sys.path_importer_cache.clear()
    gc.collect()
    gc.freeze()
    gc.disable()
    if "numpy" in sys.modules:
        os.register_at_fork(after_in_child=_reseed_numpy)
    confinement.join()
    control.send(b"r")
    serve(control, shared, confinement, run_driver)


def _reseed_numpy() -> None:
    sys.modules["numpy"].random.seed(int.from_bytes(os.urandom(4), "little"))


def _open_streams() -> None:
    """Make the standard streams anew on descriptors 0, 1 and 2, as the interpreter does."""
    raw_in, raw_out, raw_err = (
        io.FileIO(0, "rb", False),
        io.FileIO(1, "wb", False),
        io.FileIO(2, "wb", False),
    )
    sys.stdin = io.TextIOWrapper(io.BufferedReader(raw_in), "utf-8", "strict")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw_out), "utf-8", "strict")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw_err), "utf-8", "backslashreplace", line_buffering=True
    )
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)
