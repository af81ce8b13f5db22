"""The rest of the runner's start, behind the fork of the zygote, which need not carry it."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import shutil
import signal
import socket
import struct
import sys
from typing import Any

from cascade.sandboxes.inside.box import Box
from cascade.sandboxes.inside.confine import PR_SET_DUMPABLE, Confinement, prctl
from cascade.sandboxes.inside.fork import Helper
from cascade.sandboxes.inside.meter import CgroupMeter, Meter, ProcessMeter, find_cgroup
from cascade.sandboxes.inside.runner import PATH, Runner
from cascade.sandboxes.inside.store import Store
from cascade.sandboxes.inside.supervise import Slot
from cascade.sandboxes.inside.wire import pack, write_all

__all__ = ["run"]

SPAWNER = "/opt/cascade/spawner"


def run(
    config: dict[str, Any],
    stream: tuple[int, int],
    cgroup: dict[str, int] | None,
    brought: bytes | None,
    confinement: Confinement,
    first: tuple[Helper, Helper | None],
) -> None:
    """Start what the runner still lacks, greet the client, and serve it.

    Args:
        config: as the client sent it.
        stream: descriptors to read frames from and to write them to.
        cgroup: open files of the slot's account; None: look for the container's own.
        brought: the compiled helper, if the client brought one.
        confinement: of the programs.
        first: the zygote, and the first process of the programs' own process namespace.
    """
    inp, out = stream
    zygote, init = first
    spawner = _start_spawner(confinement, brought)
    _order_oom_victims(zygote, spawner)
    prctl(PR_SET_DUMPABLE, 0)
    helpers = tuple(helper.pid for helper in (zygote, spawner, init) if helper is not None)
    if cgroup is None and not config.get("level"):
        cgroup = find_cgroup()
    meter: Meter = CgroupMeter(cgroup) if cgroup else ProcessMeter(set(helpers))
    greeting = zygote.control.recv(256)
    if greeting not in (b"r", b"c"):
        sys.stderr.write(greeting.decode(errors="replace") or "the zygote did not start")
        sys.stderr.flush()
        os._exit(78)
    slot = Slot(
        Box(config["box"], confinement.uid, tuple(config["writable"])),
        meter,
        helpers,
        len(os.sched_getaffinity(0)),
        sweep_tree=config.get("sweep_tree", False),
        init=init,
        zygote=zygote,
    )
    store = Store(config["store"], config["store_bytes"])
    runner = Runner(inp, out, slot, store, (zygote, spawner), config)
    compiled = (spawner is not None, greeting == b"c")
    write_all(out, pack(_hello(config, meter, compiled, confinement)))
    runner.serve()
    slot.kill_strangers()


def _order_oom_victims(zygote: Helper, spawner: Helper | None) -> None:
    """Out of memory, compiled programs go first, then the zygote's children, the runner last."""
    for helper, score in ((zygote, 500), (spawner, 900)):
        if helper is not None:
            path = f"/proc/{helper.pid}/oom_score_adj"
            with contextlib.suppress(OSError), open(path, "w") as file:
                file.write(str(score))


def _hello(
    config: dict[str, Any], meter: Meter, compiled: tuple[bool, bool], confinement: Confinement
) -> dict[str, Any]:
    hard = {
        name: resource.getrlimit(getattr(resource, name))[1]
        for name in ("RLIMIT_STACK", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC")
    }
    return {
        "op": "hello",
        "python": ".".join(map(str, sys.version_info[:3])),
        "machine": os.uname().machine,
        "meter": meter.name,
        "spawner": compiled[0],
        "forker": compiled[1],
        "seccomp": confinement.filters[0] is not None,
        "hard": hard,
        "tools": {tool: shutil.which(tool, path=PATH) for tool in config["tools"]},
    }


def _start_spawner(confinement: Confinement, brought: bytes | None) -> Helper | None:
    """Start the compiled helper, from the client's copy or the image's; None if there is none."""
    program = -1
    path = SPAWNER
    if brought is not None:
        program = os.memfd_create("spawner", 0)
        os.write(program, brought)
        path = f"/proc/self/fd/{program}"
    elif not os.access(SPAWNER, os.X_OK):
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared_fd = os.memfd_create("shared")
    os.ftruncate(shared_fd, mmap.PAGESIZE)
    filter_fd = os.memfd_create("filters")
    for code in confinement.filters:
        os.write(filter_fd, struct.pack("<I", len(code or b"")) + (code or b""))
    os.lseek(filter_fd, 0, os.SEEK_SET)
    uid = -1 if confinement.uid is None else confinement.uid
    fds = [theirs.fileno(), shared_fd, filter_fd, confinement.landlock, confinement.pid_namespace]
    for fd in fds:
        if fd >= 0:
            os.set_inheritable(fd, True)
    numbers = [*fds[:3], uid, fds[3], int(confinement.drop_capabilities), fds[4]]
    argv = ["spawner", *map(str, numbers)]
    pid = os.posix_spawn(path, argv, {}, setsigdef=[signal.SIGINT, signal.SIGPIPE])
    theirs.close()
    os.close(filter_fd)
    if program >= 0:
        os.close(program)
    shared = mmap.mmap(shared_fd, mmap.PAGESIZE)
    os.close(shared_fd)
    return Helper(pid, ours, shared)
