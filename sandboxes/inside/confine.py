"""What a child gives up between fork and running a stranger's code.

`Confinement` is fixed for a slot; `enter` is called in the child, `prepare` once before any fork
(it loads libc and builds the buffers, so that a child does only system calls).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from typing import NamedTuple

__all__ = [
    "Confinement",
    "FilterProgram",
    "Rlimits",
    "keep_capabilities",
    "libc",
    "make_dumpable",
    "prctl",
    "set_filter",
]

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 36, 38, 47
_NOROOT_LOCKED = 0b11 | 0b1100 | 0b110000
_NEWPID = 0x20000000
_CAP_VERSION_3 = 0x20080522
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

RLIMITS = struct.Struct("<6q")
libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *values: int) -> int:
    """Call prctl; the unused arguments are 0. Returns what the kernel returned."""
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)][:4]
    return int(libc.prctl(option, *padded))


def keep_capabilities(kept: tuple[int, ...]) -> None:
    """Give up all capabilities but these, for good.

    Raises:
        OSError: the kernel refused.
    """
    for capability in range(64):
        if capability not in kept and prctl(PR_CAPBSET_DROP, capability) != 0:
            break
    mask = sum(1 << capability for capability in kept)
    data = struct.pack("<6I", mask, mask, 0, 0, 0, 0)
    if libc.capset(struct.pack("<II", _CAP_VERSION_3, 0), data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


class FilterProgram(ctypes.Structure):
    """A seccomp program as the kernel takes it."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _pointer(program: FilterProgram) -> ctypes.c_ulong:
    return ctypes.c_ulong(ctypes.addressof(program))


_ZERO, _ONE, _FILTER = ctypes.c_ulong(0), ctypes.c_ulong(1), ctypes.c_ulong(2)
"""Made once: a child that makes its own writes to, and so copies, some pages more."""


def make_dumpable() -> None:
    """Give a child back what the change of its user took: its own /proc files."""
    libc.prctl(PR_SET_DUMPABLE, _ONE, _ZERO, _ZERO, _ZERO)


def set_filter(code: bytes) -> None:
    """Put this process, and all it will fork, under a seccomp filter for good.

    Raises:
        OSError: the kernel refused.
    """
    program = FilterProgram(len(code) // 8, code)
    if libc.prctl(PR_SET_SECCOMP, _FILTER, _pointer(program), _ZERO, _ZERO) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


class Rlimits(NamedTuple):
    """Limits that the kernel keeps for each process (the slot's account keeps the rest)."""

    cpu_seconds: int
    stack_bytes: int
    file_bytes: int
    open_files: int
    processes: int
    data_bytes: int = -1
    """-1: no limit; only set where no cgroup bounds the memory."""

    def pack(self) -> bytes:
        """Encode for the helper that forks."""
        return RLIMITS.pack(*self)

    def apply(self) -> None:
        """Set them on this process."""
        set_limit = resource.setrlimit
        set_limit(resource.RLIMIT_CPU, (self.cpu_seconds, self.cpu_seconds + 1))
        for kind, value in (
            (resource.RLIMIT_STACK, self.stack_bytes),
            (resource.RLIMIT_FSIZE, self.file_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_NPROC, self.processes),
            (resource.RLIMIT_DATA, self.data_bytes),
        ):
            if value >= 0:
                set_limit(kind, (value, value))


class Confinement:
    """How a slot confines its programs.

    With `uid`, every program runs as that user and the runner stays root of its own namespace.
    Without, programs share the runner's user, and lose its capabilities instead.

    Args:
        uid: user of the programs.
        filters: seccomp programs, for judged programs and for sessions with a loopback network.
        landlock: file descriptor of a Landlock rule set, or -1.
        drop_capabilities: take all capabilities from the programs.
        pid_namespace: process namespace that programs are born into, as a descriptor, or -1.
    """

    def __init__(
        self,
        uid: int | None,
        filters: tuple[bytes | None, bytes | None] = (None, None),
        landlock: int = -1,
        drop_capabilities: bool = False,
        pid_namespace: int = -1,
    ) -> None:
        self.uid = uid
        self.filters = filters
        self.landlock = landlock
        self.drop_capabilities = drop_capabilities
        self.pid_namespace = pid_namespace

    def join(self) -> None:
        """Make the caller's later children be born into the programs' process namespace."""
        if self.pid_namespace >= 0:
            if libc.setns(self.pid_namespace, _NEWPID) != 0:
                code = ctypes.get_errno()
                raise OSError(code, f"setns: {os.strerror(code)}")
            os.close(self.pid_namespace)

    def prepare(self) -> None:
        """Build the buffers that `enter` hands to the kernel."""
        self._programs = [
            FilterProgram(len(code) // 8, code) if code else None for code in self.filters
        ]
        self._pointers = [_pointer(program) if program else None for program in self._programs]
        self._empty_caps = struct.pack("<II6I", _CAP_VERSION_3, 0, *([0] * 6))

    def enter(self, inet: bool = False) -> None:
        """Give up user, capabilities, files and system calls. There is no way back.

        That no new privileges can be gained was set on the runner, and is inherited.
        """
        if self.uid is not None:
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        elif self.drop_capabilities:
            self._drop_capabilities()
        if self.landlock >= 0 and libc.syscall(_LANDLOCK_RESTRICT, self.landlock, 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
        pointer = self._pointers[inet]
        if pointer is not None and libc.prctl(PR_SET_SECCOMP, _FILTER, pointer, _ZERO, _ZERO) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")

    def _drop_capabilities(self) -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for capability in range(64):
            if prctl(PR_CAPBSET_DROP, capability) != 0:
                break
        prctl(PR_SET_SECUREBITS, _NOROOT_LOCKED)
        if libc.capset(self._empty_caps[:8], self._empty_caps[8:]) != 0:
            raise OSError(ctypes.get_errno(), "capset")
