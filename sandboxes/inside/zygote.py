"""The warmed interpreter from which every Python program is forked.

Importing is not enough: the first program also pays for the parser's and the streams' first use,
for filling caches, and for every page that it writes to first. So the zygote runs a small program
itself, as a child does, and its children inherit all of that.
"""

from __future__ import annotations

import fcntl
import functools
import gc
import importlib
import io
import mmap
import os
import signal
import site
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cascade.sandboxes.inside.confine import PR_SET_DUMPABLE, Confinement, Rlimits, prctl
from cascade.sandboxes.inside.drivers import SCRIPT, drive, prepare_main, run_driver
from cascade.sandboxes.inside.fork import Helper, Request, begin, serve
from cascade.sandboxes.inside.forker import load, serve_compiled
from cascade.sandboxes.inside.hugetext import move_code

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

_POOL_BYTES, _POOL_HEAD = 1 << 14, 48
_MOST_BLOCKS = _POOL_BYTES // 16
_FILLERS: list[object] = []
_WARM_UP = b"""
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


def start_zygote(
    confinement: Confinement, config: dict[str, Any], close: set[int], forker: bytes | None
) -> Helper:
    """Fork the zygote from the runner, which must not have read anything secret yet.

    Args:
        confinement: of the programs.
        config: as the client sent it.
        close: descriptors that the zygote may not have.
        forker: the compiled helper, if the client brought one.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    pid = os.fork()
    if pid == 0:
        ours.close()
        for fd in close:
            os.close(fd)
        # Out of the way of a child's own descriptors: it may have to complain while it takes them.
        control = socket.socket(fileno=fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 64))
        theirs.close()
        _become(control, shared, confinement, config, forker)
    theirs.close()
    return Helper(pid, ours, shared)


def _become(
    control: socket.socket,
    shared: mmap.mmap,
    confinement: Confinement,
    config: dict[str, Any],
    brought: bytes | None,
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
        seed = _preload(config["preload"])
    except ImportError as error:
        control.send(f"cannot preload: {error}".encode()[:200])
        os._exit(1)
    _rehearse()
    _open_streams()
    prepare_main()
    sys.path_importer_cache.clear()
    library = load(brought)
    if seed is not None:
        seed()  # the first time is the dearest, here too
    move_code()
    prctl(PR_SET_DUMPABLE, 0)
    gc.collect()
    gc.freeze()
    gc.disable()
    _fill_pools()
    confinement.join()
    control.send(b"r" if library is None else b"c")
    if library is None:
        serve(control, shared, confinement, run_driver)
    serve_compiled(library, control, shared, confinement, run_driver, seed)


def _preload(wanted: Sequence[str]) -> Callable[[], object] | None:
    """Import what programs will find loaded; return what each child must call.

    That is to seed `random`, and stands for all that the interpreter does in a forked child: it
    makes locks anew that another thread might hold, which writes to 40 pages. None where there are
    threads, or modules that want more to be done.
    """
    hooks: list[dict[str, Any]] = []
    register = os.register_at_fork

    def registered(**hook: Any) -> None:
        hooks.append(hook)
        register(**hook)

    os.register_at_fork = registered
    try:
        for name in (*COMMON_MODULES, *wanted):
            importlib.import_module(name)
        if "numpy" in sys.modules:
            importlib.import_module("numpy.random")  # numpy 2 loads it late: in every child
            os.register_at_fork(after_in_child=_reseed_numpy)
    finally:
        os.register_at_fork = register
    random = sys.modules["random"]
    if len(os.listdir("/proc/self/task")) > 1 or hooks != [{"after_in_child": random.seed}]:
        return None
    return functools.partial(sys.modules["_random"].Random.seed, random.seed.__self__)


def _rehearse() -> None:
    """Run a small program as a child does, often enough for the interpreter to adapt the code."""
    null = os.dup(0)
    program, text = os.memfd_create("rehearsal"), os.memfd_create("input")
    os.write(program, _WARM_UP)
    os.write(text, b"1 2 3\n")
    os.dup2(text, 0)
    request = Request(SCRIPT, [f"/proc/self/fd/{program}"], [], "/", Rlimits(1, 1, 1, 1, 1)).pack()
    path = sys.path.copy()
    for _ in range(10):
        os.lseek(0, 0, os.SEEK_SET)
        _open_streams()
        prepare_main()
        begin(request, drive)
        sys.stdout.flush()
        sys.path[:] = path
    os.dup2(null, 0)
    for fd in (null, program, text):
        os.close(fd)


def _fill_pools() -> None:
    """Fill the holes of the interpreter's small-object pools.

    What a child allocates would otherwise lie scattered over pages that it shares with the zygote,
    each of which would be copied. Behind this it goes to the first page of a fresh pool of its
    size. Sizes are those of CPython 3.11 and later; wrong ones would cost speed only.
    """
    for size in range(16, 513, 16):
        for number in range(_MOST_BLOCKS):
            if size == 16:
                made: object = object()
            elif size == 32:
                made = float(number)
            else:
                made = bytes(size - 33)
            _FILLERS.append(made)
            if id(made) % _POOL_BYTES == _POOL_HEAD:
                break


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
