"""Landlock: an allow-list of folders for processes that share the host's file system."""

from __future__ import annotations

import ctypes
import os
import struct

from cascade.sandboxes.inside.confine import libc

__all__ = ["abi", "make_ruleset"]

_CREATE, _ADD = 444, 445
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read file, read folder
_ALL_V1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_ONLY = 1 << 0 | 1 << 1 | 1 << 2 | _TRUNCATE | _IOCTL_DEV
_NET_ALL = 0b11
_SCOPE_ALL = 0b11  # abstract sockets, signals
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def abi() -> int:
    """Version of Landlock that the kernel has; 0 for none."""
    version = int(libc.syscall(_CREATE, None, 0, 1))
    return max(version, 0)


def make_ruleset(readable: list[str], writable: list[str]) -> int:
    """Return the descriptor of a rule set: read and execute here, everything there.

    Raises:
        OSError: the kernel has no Landlock.
    """
    version = abi()
    if version < 1:
        raise OSError(38, "the kernel has no Landlock")
    handled = _ALL_V1
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    handled |= _IOCTL_DEV if version >= 5 else 0
    net = _NET_ALL if version >= 4 else 0
    scope = _SCOPE_ALL if version >= 6 else 0
    attributes = struct.pack("<QQQ", handled, net, scope)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = int(libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for paths, access in ((readable, _READ), (writable, handled), (_DEVICES, 0b110 | _TRUNCATE)):
        for path in paths:
            if os.path.exists(path):
                _allow(ruleset, os.path.realpath(path), access & handled)
    return ruleset


def _allow(ruleset: int, path: str, access: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            access &= _FILE_ONLY
        rule = struct.pack("<Qi", access, fd)
        if libc.syscall(_ADD, ruleset, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(fd)
