"""From a bare interpreter in an isolated place to a runner that serves."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import platform
import resource
import shutil
import signal
import socket
import struct
import sys
from typing import Any

from cascade.sandboxes.inside.box import Box
from cascade.sandboxes.inside.confine import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    Confinement,
    prctl,
)
from cascade.sandboxes.inside.fork import Helper
from cascade.sandboxes.inside.meter import CgroupMeter, Meter, ProcessMeter, find_cgroup
from cascade.sandboxes.inside.runner import PATH, Runner
from cascade.sandboxes.inside.seccomp import build_filter
from cascade.sandboxes.inside.store import Store
from cascade.sandboxes.inside.supervise import Slot
from cascade.sandboxes.inside.wire import pack, write_all
from cascade.sandboxes.inside.zygote import start_zygote

__all__ = ["main", "serve"]

SPAWNER = "/opt/cascade/spawner"


def main(config: dict[str, Any], blobs: list[bytes]) -> None:
    """Serve as PID 1 of a container, on the standard streams."""
    inp, out = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 10)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    serve(config, inp, out, find_cgroup(), blobs)


def serve(
    config: dict[str, Any],
    inp: int,
    out: int,
    cgroup: dict[str, int] | None,
    blobs: list[bytes],
    landlock: int = -1,
    inner: tuple[Helper, int] | None = None,
) -> None:
    """Set the slot up and serve the client until it goes away.

    Args:
        config: as the client sent it.
        inp: where frames come from.
        out: where frames go to.
        cgroup: open files of the slot's account, if it has one.
        blobs: the compiled helper, if the client brought one.
        landlock: a rule set for the programs, or -1.
        inner: first process of the programs' own process namespace and the namespace, if
            they have one.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    filters = (build_filter(), build_filter(inet=True)) if config["seccomp"] else (None, None)
    uid: int | None = config["uid"]
    init, namespace = inner or (None, -1)
    confinement = Confinement(uid, filters, landlock, uid is None, namespace)
    confinement.prepare()
    zygote = start_zygote(confinement, config, {inp, out, *(cgroup or {}).values()})
    spawner = _start_spawner(confinement, blobs)
    # Out of memory, a compiled program goes before the zygote's children, they (larger than the
    # zygote) before the zygote, and the runner last.
    for helper, score in ((zygote, 500), (spawner, 900)):
        if helper is not None:
            with (
                contextlib.suppress(OSError),
                open(f"/proc/{helper.pid}/oom_score_adj", "w") as file,
            ):
                file.write(str(score))
    prctl(PR_SET_DUMPABLE, 0)
    helpers = tuple(helper.pid for helper in (zygote, spawner, init) if helper is not None)
    meter: Meter = CgroupMeter(cgroup) if cgroup else ProcessMeter(set(helpers))
    slot = Slot(
        Box(config["box"], uid, tuple(config["writable"])),
        meter,
        helpers,
        len(os.sched_getaffinity(0)),
        sweep_tree=config.get("sweep_tree", False),
        init=init,
    )
    store = Store(config["store"], config["store_bytes"])
    runner = Runner(inp, out, slot, store, (zygote, spawner), config["env"])
    if zygote.control.recv(1) != b"r":
        raise OSError(5, "the zygote did not start; does every preloaded module import?")
    write_all(out, pack(_hello(config, meter, spawner is not None, filters)))
    runner.serve()
    slot.kill_strangers()


def _hello(
    config: dict[str, Any], meter: Meter, spawner: bool, filters: tuple[bytes | None, ...]
) -> dict[str, Any]:
    hard = {
        name: resource.getrlimit(getattr(resource, name))[1]
        for name in ("RLIMIT_STACK", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC")
    }
    return {
        "op": "hello",
        "python": platform.python_version(),
        "machine": os.uname().machine,
        "meter": meter.name,
        "spawner": spawner,
        "seccomp": filters[0] is not None,
        "hard": hard,
        "tools": {tool: shutil.which(tool, path=PATH) for tool in config["tools"]},
    }


def _start_spawner(confinement: Confinement, blobs: list[bytes]) -> Helper | None:
    """Start the compiled helper, from the client's copy or the image's; None if there is none."""
    if blobs:
        program = os.memfd_create("spawner", 0)
        os.write(program, blobs[0])
        path = f"/proc/self/fd/{program}"
    elif os.access(SPAWNER, os.X_OK):
        path, program = SPAWNER, -1
    else:
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared_fd = os.memfd_create("shared")
    os.ftruncate(shared_fd, mmap.PAGESIZE)
    filter_fd = os.memfd_create("filters")
    for code in confinement.filters:
        os.write(filter_fd, struct.pack("<I", len(code or b"")) + (code or b""))
    os.lseek(filter_fd, 0, os.SEEK_SET)
    uid = -1 if confinement.uid is None else confinement.uid
    numbers = [theirs.fileno(), shared_fd, filter_fd, uid, confinement.landlock]
    numbers += [int(confinement.drop_capabilities), confinement.pid_namespace]
    argv = ["spawner", *map(str, numbers)]
    for fd in (
        theirs.fileno(),
        shared_fd,
        filter_fd,
        confinement.landlock,
        confinement.pid_namespace,
    ):
        if fd >= 0:
            os.set_inheritable(fd, True)
    pid = os.posix_spawn(path, argv, {}, setsigdef=[signal.SIGINT, signal.SIGPIPE])
    theirs.close()
    os.close(filter_fd)
    if program >= 0:
        os.close(program)
    shared = mmap.mmap(shared_fd, mmap.PAGESIZE)
    os.close(shared_fd)
    return Helper(pid, ours, shared)


def complain(text: str) -> None:
    """Say on standard error why the slot cannot start, and end."""
    sys.stderr.write(text + "\n")
    os._exit(78)
