"""From a bare interpreter in an isolated place to a runner that serves."""

from __future__ import annotations

import fcntl
import importlib
import os
import signal
import socket
from typing import Any

from cascade.sandboxes.inside.confine import (
    PR_SET_NO_NEW_PRIVS,
    Confinement,
    prctl,
    set_filter,
)
from cascade.sandboxes.inside.fork import Helper
from cascade.sandboxes.inside.seccomp import (
    build_common_filter,
    build_filter,
    build_socket_filter,
)
from cascade.sandboxes.inside.zygote import start_zygote

__all__ = ["main", "serve"]


def main(config: dict[str, Any], blobs: list[bytes]) -> None:
    """Serve as PID 1 of a container, on the standard streams."""
    inp, out = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 10)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    inp, out = _direct(config.get("door", ""), (inp, out))
    serve(config, inp, out, None, blobs)


def _direct(door: str, stream: tuple[int, int]) -> tuple[int, int]:
    """Call the client itself, where it has shown the container a way, or stay with the stream."""
    if not door:
        return stream
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(door)
    except OSError:  # another machine's engine, or a policy of this one
        sock.close()
        return stream
    for fd in stream:
        os.close(fd)
    inp = fcntl.fcntl(sock.detach(), fcntl.F_DUPFD_CLOEXEC, 10)
    return inp, inp


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
        cgroup: open files of the slot's account; None: look for the container's own.
        blobs: the compiled helpers, for programs and for the zygote, if the client brought them.
        landlock: a rule set for the programs, or -1.
        inner: first process of the programs' own process namespace and the namespace, if
            they have one.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    uid: int | None = config["uid"]
    init, namespace = inner or (None, -1)
    filters = _filters(config["seccomp"], namespace >= 0)
    confinement = Confinement(uid, filters, landlock, uid is None, namespace)
    confinement.prepare()
    spawner, forker = blobs or (None, None)
    secret = {inp, out, *(cgroup or {}).values()}
    zygote = start_zygote(confinement, config, secret, forker)
    # Only now: every page that the zygote holds is copied, or at least shared, by each program.
    serving = importlib.import_module("cascade.sandboxes.inside.serving")
    serving.run(config, (inp, out), cgroup, spawner, confinement, (zygote, init))


def _filters(wanted: bool, enters_namespace: bool) -> tuple[bytes | None, bytes | None]:
    """What programs and sessions set themselves; the common part is set here, on the runner.

    Not where the helpers still have to enter a process namespace, which that part forbids.
    """
    if not wanted:
        return None, None
    common = build_common_filter()
    if enters_namespace or common is None:
        return build_filter(), build_filter(inet=True)
    set_filter(common)
    return build_socket_filter(), build_socket_filter(inet=True)
