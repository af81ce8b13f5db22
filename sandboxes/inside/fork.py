"""The request to start a process, and the helpers that fork on the runner's behalf.

A helper is a process of its own, so that what the runner has read (other tests' inputs, other
programs' outputs) is in no memory that a program inherits. The runner passes the descriptors and
the limits over a socket, the helper forks, waits, and answers with how the child ended.
"""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from cascade.sandboxes.inside.confine import RLIMITS, Confinement, Rlimits, make_dumpable

__all__ = ["EXEC", "ChildEnd", "Helper", "Request", "Runner", "begin", "serve"]

EXEC = 0
"""Kind of a request that replaces the child by argv[0]; other kinds are names of drivers."""
INET = 1
"""Flag: leave loopback sockets usable."""
DETACH = 2
"""Flag: do not wait for the child; its process id is answered at once, as `user_us`."""
AHEAD = 4
"""Flag: fork the child of the next request while this one runs, where the helper can."""

_HEAD = struct.Struct("<HHII")
_REPLY = struct.Struct("<iiqqq")
_WAIT = struct.Struct("<i")
_SPACE = socket.CMSG_SPACE(16 * array.array("i").itemsize)
_STRINGS = _HEAD.size + RLIMITS.size
MAX_REQUEST = 160_000
MAX_MESSAGE = MAX_REQUEST + _STRINGS
Runner = Callable[[int, list[str]], NoReturn]
"""Runs a driver of the given kind in the child; never returns."""


class Request(NamedTuple):
    """Start one process."""

    kind: int
    argv: list[str]
    env: list[str]
    cwd: str
    rlimits: Rlimits
    inet: bool = False
    detach: bool = False
    ahead: bool = False

    def pack(self) -> bytes:
        """Encode for the helper.

        Raises:
            ValueError: the arguments hold a NUL byte, or are too long.
        """
        strings = [self.cwd, *self.argv, *self.env]
        text = "\0".join(strings).encode("utf-8", "surrogateescape") + b"\0"
        if text.count(b"\0") != len(strings) or len(text) > MAX_REQUEST:
            raise ValueError("program arguments hold a NUL byte or are longer than 160,000 bytes")
        flags = INET * self.inet | DETACH * self.detach | AHEAD * self.ahead
        head = _HEAD.pack(self.kind, flags, len(self.argv), len(self.env))
        return head + self.rlimits.pack() + text

    @classmethod
    def unpack(cls, data: bytes) -> Request:
        """Decode on the helper's side."""
        kind, flags, nargs, nenv = _HEAD.unpack_from(data)
        rlimits = Rlimits(*RLIMITS.unpack_from(data, _HEAD.size))
        text = data[_STRINGS:-1].decode("utf-8", "surrogateescape").split("\0")
        argv, env = text[1 : 1 + nargs], text[1 + nargs : 1 + nargs + nenv]
        chosen = [bool(flags & flag) for flag in (INET, DETACH, AHEAD)]
        return cls(kind, argv, env, text[0], rlimits, *chosen)


class ChildEnd(NamedTuple):
    """How a child ended; `error` is an errno where it could not be started."""

    status: int
    error: int
    user_us: int
    system_us: int
    peak_kb: int

    def pack(self) -> bytes:
        """Encode for the runner."""
        return _REPLY.pack(*self)


class Helper:
    """The runner's end of a process that forks."""

    def __init__(self, pid: int, control: socket.socket, shared: mmap.mmap) -> None:
        self.pid = pid
        self.control = control
        self._shared = shared
        self._fds = array.array("i")

    def start(self, request: bytes, fds: list[int]) -> None:
        """Ask for a process; its end arrives on `control`."""
        rights = array.array("i", fds)
        self._shared[0:4] = b"\0\0\0\0"
        self.control.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    def wait(self, pid: int) -> None:
        """Have the helper reap a detached child, which must have been killed."""
        self.control.send(_WAIT.pack(pid))
        self.end()

    def spare(self) -> int:
        """Process id of the child that waits for its request, or 0."""
        return int.from_bytes(self._shared[4:8], sys.byteorder)

    def child(self) -> int:
        """Process id of the child that runs now (as the helper sees it), or 0."""
        return int.from_bytes(self._shared[0:4], sys.byteorder)

    def end(self) -> ChildEnd:
        """Read how the child ended; call when `control` is readable.

        Raises:
            EOFError: the helper itself died.
        """
        data = self.control.recv(256)
        if len(data) != _REPLY.size:
            text = data.decode(errors="replace") or "it has died"
            raise EOFError(f"the helper that forks: {text}")
        end = ChildEnd(*_REPLY.unpack(data))
        if end.error < 0:
            raise EOFError(f"the helper that forks: {os.strerror(-end.error)}")
        return end


def child_limits(request: Request, confinement: Confinement, fds: list[int]) -> None:
    """Turn the freshly forked child into a confined process with its descriptors in place."""
    os.setsid()
    count = len(fds)
    while any(fd < count for fd in fds):
        fds = [fd if fd >= count else os.dup(fd) for fd in fds]
    for index, fd in enumerate(fds):
        os.dup2(fd, index)
    os.chdir(request.cwd)
    request.rlimits.apply()
    confinement.enter(request.inet)
    os.closerange(count, 256)
    make_dumpable()  # last: others of its user may now look into it


def _variables(env: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (item.partition("=") for item in env)}


def _exec(request: Request) -> NoReturn:
    try:
        os.execve(request.argv[0], request.argv, _variables(request.env))
    except OSError as error:
        os.write(2, f"cannot run {request.argv[0]!r}: {error.strerror}\n".encode())
        os._exit(127)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> array.array[int]:
    fds = array.array("i")
    for _, _, payload in ancillary:
        fds.frombytes(payload)
    return fds


def serve(
    control: socket.socket,
    shared: mmap.mmap,
    confinement: Confinement,
    run: Runner | None,
) -> NoReturn:
    """Fork for the runner until it goes away, where there is no compiled helper to do it.

    Args:
        control: where requests come from.
        shared: a page that the runner sees too: the child that runs.
        confinement: of the children.
        run: runs drivers; without it only EXEC works.
    """
    running = ctypes.c_int.from_buffer(shared)
    shared.madvise(mmap.MADV_DONTFORK)
    while True:
        data, ancillary, _, _ = control.recvmsg(MAX_MESSAGE, _SPACE)
        if not data:
            os._exit(0)
        if len(data) == _WAIT.size:
            os.waitpid(_WAIT.unpack(data)[0], 0)
            control.sendall(ChildEnd(0, 0, 0, 0, 0).pack())
            continue
        fds = _descriptors(ancillary)
        pid = os.fork()
        if pid == 0:
            _child(control, data, list(fds), confinement, run)
        for fd in fds:
            os.close(fd)
        if Request.unpack(data).detach:
            control.sendall(ChildEnd(0, 0, pid, 0, 0).pack())
            continue
        running.value = pid
        _, status, usage = os.wait4(pid, 0)
        running.value = 0
        end = ChildEnd(
            status, 0, int(usage.ru_utime * 1e6), int(usage.ru_stime * 1e6), usage.ru_maxrss
        )
        control.sendall(end.pack())


def _child(
    control: socket.socket,
    data: bytes,
    fds: list[int],
    confinement: Confinement,
    run: Runner | None,
) -> NoReturn:
    request = Request.unpack(data)
    try:
        child_limits(request, confinement, fds)
    except (OSError, ValueError) as error:
        # An answer of a wrong size: the runner gives the slot up, and the run is repeated.
        control.send(f"cannot confine the child: {error}".encode()[:100])
        os._exit(126)
    if request.kind == EXEC or run is None:
        _exec(request)
    begin(data, run)
    raise AssertionError("a driver came back")


def begin(request: bytes, run: Callable[[int, list[str]], None]) -> None:
    """Run the driver that a confined child was asked for.

    Decodes no more of the request than it needs: every child does this, and pays for each page.
    """
    kind, _, nargs, nenv = _HEAD.unpack_from(request)
    strings = request[_STRINGS:-1].decode("utf-8", "surrogateescape").split("\0")
    if nenv:
        os.environ.clear()
        os.environ.update(_variables(strings[1 + nargs :]))
    run(kind, strings[1 : 1 + nargs])
