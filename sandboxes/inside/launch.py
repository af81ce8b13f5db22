"""Slots without Docker: from a process on the host to a runner in namespaces of its own.

Two ways in. Root maps two otherwise unused users into the slot, so programs are kept from the
runner by their user id, as in a container. An ordinary user has one id to give, so the programs
live in a process namespace below the runner's, and lose every capability.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
from typing import Any, NoReturn

from cascade.sandboxes.inside.boot import serve
from cascade.sandboxes.inside.confine import (
    PR_SET_CHILD_SUBREAPER,
    keep_capabilities,
    libc,
    prctl,
)
from cascade.sandboxes.inside.fork import Helper
from cascade.sandboxes.inside.landlock import make_ruleset
from cascade.sandboxes.inside.meter import descendants
from cascade.sandboxes.inside.mounts import build_root, unshare

__all__ = ["main"]

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7


def main(config: dict[str, Any], blobs: list[bytes]) -> None:
    """Isolate this process at the configured level and serve the client on its socket."""
    stream = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 20)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.umask(0o022)  # the caller's may hide the slot's own files from its programs
    cgroup: dict[str, int] | None = config["cgroup"]
    try:
        if config["level"] == "namespaces":
            _namespaces(config, stream, cgroup, blobs)
        else:
            _in_place(config, stream, cgroup, blobs)
    except OSError as error:
        sys.stderr.write(f"cannot isolate at level {config['level']}: {error}\n")
        sys.stderr.flush()
        os._exit(78)


def _namespaces(
    config: dict[str, Any], stream: int, cgroup: dict[str, int] | None, blobs: list[bytes]
) -> None:
    """Fork the runner into new namespaces and wait for its end."""
    rootless = config["uid"] is None
    if rootless:
        user, group = os.getuid(), os.getgid()
        unshare(NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
    unshare(NEWPID | NEWNET | NEWIPC | NEWUTS)
    with contextlib.suppress(OSError):
        unshare(NEWCGROUP)
    ask_r, ask_w = os.pipe()
    go_r, go_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ask_r)
        os.close(go_w)
        try:
            unshare(NEWNS)
            libc.sethostname(b"sandbox", 7)
            _loopback()
            build_root(config)
            inner = None
            if rootless:
                inner = _inner_namespace([stream, ask_w, go_r])
            else:
                unshare(NEWUSER)
                os.write(ask_w, b"m")
                os.read(go_r, 1)
                os.setresgid(0, 0, 0)
                os.setgroups([])
                os.setresuid(0, 0, 0)
                keep_capabilities((CAP_KILL, CAP_SETGID, CAP_SETUID))
            os.close(ask_w)
            os.close(go_r)
            serve(config, stream, stream, cgroup, blobs, inner=inner)
        except OSError as error:
            sys.stderr.write(f"cannot build the namespaces: {error}\n")
            sys.stderr.flush()
            os._exit(78)
        os._exit(0)
    os.close(ask_w)
    os.close(go_r)
    os.close(stream)
    if not rootless and os.read(ask_r, 1):
        uid, runner = config["uid"], config["runner_uid"]
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{pid}/{name}", f"0 {runner} 1\n{uid} {uid} 1\n")
        os.write(go_w, b"g")
    _wait(pid)


def _wait(pid: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _loopback() -> None:
    """Bring up the slot's own loopback, which reaches nothing else."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def _inner_namespace(close: list[int]) -> tuple[Helper, int]:
    """Make the process namespace that programs are born into; return its first process and it.

    The first process kills all others there on request. The runner and its helpers stay outside,
    where no program can see or signal them.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    middle = os.fork()
    if middle == 0:
        ours.close()
        for fd in close:
            os.close(fd)
        unshare(NEWPID)
        first = os.fork()
        if first:
            os._exit(0)
        _first_process(theirs)
    theirs.close()
    os.waitpid(middle, 0)
    if ours.recv(1) != b"r":
        raise OSError(1, "the inner namespace has no first process")
    (pid,) = descendants(os.getpid())
    namespace = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    return Helper(pid, ours, mmap.mmap(-1, mmap.PAGESIZE)), namespace


def _first_process(control: socket.socket) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the orphans
    control.send(b"r")
    while control.recv(1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        control.send(b"k")
    os._exit(0)


def _in_place(
    config: dict[str, Any], stream: int, cgroup: dict[str, int] | None, blobs: list[bytes]
) -> None:
    """Serve without namespaces: Landlock and seccomp where the level says so."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    landlock = -1
    if config["level"] == "landlock":
        landlock = make_ruleset(
            [*config["show"], config["store"], "/etc", "/proc"], [config["box"]]
        )
    else:
        config["seccomp"] = False
    serve(config, stream, stream, cgroup, blobs, landlock=landlock)
