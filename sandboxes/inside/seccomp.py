"""A seccomp filter that refuses the system calls no judged program needs.

Refused calls fail with EPERM, so that a program that only tries one still gets its own verdict;
a call through another architecture's table kills it (SIGSYS).
"""

from __future__ import annotations

import os
import struct

__all__ = ["build_common_filter", "build_filter", "build_socket_filter"]

# Number on x86_64, number on aarch64 (None: that table lacks it).
_DENIED = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "syslog": (103, 116),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "vmsplice": (278, 75),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    # Objects that would outlive the run: System V IPC and POSIX message queues.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)
_SOCKETPAIR = (53, 199)
_IOCTL = (16, 29)

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_NAMESPACE_FLAGS = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24


def _code(op: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", op, yes, no, value)


def _rule(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for one system call; it ends in a return, and the number is in the register."""
    return [_code(_JEQ, number, 0, len(body)), *body]


def _column(machine: str | None) -> int | None:
    """Column of the tables for what `uname -m` says, None for a machine without one."""
    return {"x86_64": 0, "aarch64": 1}.get(machine or os.uname().machine)


def _start(column: int) -> list[bytes]:
    """Leave the call's number in the register; kill callers through another table."""
    code = [_code(_LOAD, _ARCH)]
    audit = (0xC000003E, 0xC00000B7)[column]
    code += [_code(_JEQ, audit, 1, 0), _code(_RET, _KILL_PROCESS), _code(_LOAD, _NR)]
    if column == 0:  # the x32 table lies above this bit
        code += [_code(_JGE, 0x40000000, 0, 1), _code(_RET, _KILL_PROCESS)]
    return code


def _dangerous(column: int) -> list[bytes]:
    code: list[bytes] = []
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            code += _rule(number, [_code(_RET, _ERRNO | _EPERM)])
    code += _rule(_CLONE3[column], [_code(_RET, _ERRNO | _ENOSYS)])
    code += _rule(
        _CLONE[column],
        [
            _code(_LOAD, _ARG0),
            _code(_JSET, _NAMESPACE_FLAGS, 0, 1),
            _code(_RET, _ERRNO | _EPERM),
            _code(_RET, _ALLOW),
        ],
    )
    body = [_code(_LOAD, _ARG1)]
    for request in (_TIOCSTI, _TIOCLINUX):
        body += [_code(_JEQ, request, 0, 1), _code(_RET, _ERRNO | _EPERM)]
    return code + _rule(_IOCTL[column], [*body, _code(_RET, _ALLOW)])


def _families(column: int, inet: bool) -> list[bytes]:
    code: list[bytes] = []
    families = [_AF_UNIX, *([_AF_INET, _AF_INET6] if inet else [])]
    for number in (_SOCKET[column], _SOCKETPAIR[column]):
        body = [_code(_LOAD, _ARG0)]
        for family in families:
            body += [_code(_JEQ, family, 0, 1), _code(_RET, _ALLOW)]
        code += _rule(number, [*body, _code(_RET, _ERRNO | _EAFNOSUPPORT)])
    return code


def build_filter(inet: bool = False, machine: str | None = None) -> bytes | None:
    """Return the whole filter as BPF instructions, or None for a machine without a table.

    Args:
        inet: leave IPv4 and IPv6 sockets usable (the loopback of a session's own network).
        machine: what `uname -m` says; None asks the kernel.
    """
    column = _column(machine)
    if column is None:
        return None
    rules = _dangerous(column) + _families(column, inet)
    return b"".join([*_start(column), *rules, _code(_RET, _ALLOW)])


def build_common_filter(machine: str | None = None) -> bytes | None:
    """The part that judged programs and sessions share: what is dangerous, no matter the sockets.

    The kernel translates a filter anew for each process that sets one, and the whole takes it a
    tenth of a millisecond. So a slot sets this part once, on the runner, from which all inherit.
    """
    column = _column(machine)
    if column is None:
        return None
    return b"".join([*_start(column), *_dangerous(column), _code(_RET, _ALLOW)])


def build_socket_filter(inet: bool = False, machine: str | None = None) -> bytes | None:
    """The rest, about sockets, which each program sets on top; the harder answer counts."""
    column = _column(machine)
    if column is None:
        return None
    return b"".join([*_start(column), *_families(column, inet), _code(_RET, _ALLOW)])
