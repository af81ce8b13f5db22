"""A root file system made of read-only views of the host's programs, and little else."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Any

from cascade.sandboxes.inside.confine import libc

__all__ = ["build_root", "unshare"]

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_BIND, MS_REC, MS_PRIVATE = 32, 1024, 4096, 16384, 1 << 18
MS_NODIRATIME, MS_RELATIME = 2048, 1 << 21
MNT_DETACH = 2
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def check(result: int, what: str) -> None:
    """Raise OSError for a failed call of the C library."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave the namespaces given by `flags`."""
    check(libc.unshare(flags), f"unshare({flags:#x})")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system."""
    result = libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    check(result, f"mount {source} on {target}")


def bind(source: str, target: str, writable: bool = False) -> None:
    """Show `source` at `target`, read-only unless told otherwise; keeps the source's own locks."""
    mount(source, target, "", MS_BIND)
    info = os.statvfs(target).f_flag
    flags = MS_REMOUNT | MS_BIND | MS_NOSUID | (0 if writable else MS_RDONLY)
    for bit, flag in (
        (os.ST_NODEV, MS_NODEV),
        (os.ST_NOEXEC, MS_NOEXEC),
        (os.ST_RDONLY, MS_RDONLY),
        (os.ST_NOATIME, MS_NOATIME),
        (os.ST_NODIRATIME, MS_NODIRATIME),
        (os.ST_RELATIME, MS_RELATIME),
    ):
        if info & bit:
            flags |= flag
    mount("", target, "", flags)


def _place(root: str, path: str) -> str:
    """Make an empty file or folder in the new root for `path` to be shown at."""
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "ab"):
            pass
    return target


def build_root(config: dict[str, Any]) -> None:
    """Build the root in a fresh mount namespace and move into it."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    root = config["base"]
    mount("root", root, "tmpfs", MS_NOSUID, "size=4m,mode=0755")
    for path in config["show"]:
        if os.path.islink(path):
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(os.readlink(path), root + path)
        elif os.path.exists(path):
            bind(path, _place(root, path))
    for source, path in config["headers"]:
        os.makedirs(root + path, exist_ok=True)
        bind(source, root + path)
    _etc(root, config)
    _dev(root)
    owner = config["uid"] if config["uid"] is not None else 0
    box = f"size={config['disk_bytes']},nr_inodes={config['inodes']},mode=0755"
    for path, options in (
        ("/tmp", f"{box},uid={owner},gid={owner}"),
        ("/dev/shm", "size=16m,nr_inodes=1024,mode=1777"),
        (
            config["store"],
            f"size={config['store_bytes'] + (8 << 20)},mode=0755{config['store_owner']}",
        ),
    ):
        os.makedirs(root + path, exist_ok=True)
        mount("tmpfs", root + path, "tmpfs", MS_NOSUID | MS_NODEV, options)
    os.makedirs(root + "/proc")
    _proc(root + "/proc", config["runner_uid"] if config["uid"] is not None else None)
    _enter(root)


def _proc(target: str, reader: int | None) -> None:
    """Mount /proc; where programs have a user of their own, only the group `reader` sees others."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    hidden = [] if reader is None else [f"hidepid={how},gid={reader}" for how in ("invisible", "2")]
    for options in (*hidden, ""):
        with contextlib.suppress(OSError):
            mount("proc", target, "proc", flags, options)
            return
    raise OSError(1, "cannot mount /proc")


def _etc(root: str, config: dict[str, Any]) -> None:
    os.makedirs(root + "/etc", exist_ok=True)
    uid = config["uid"] if config["uid"] is not None else 0
    lines = ["root:x:0:0:root:/root:/usr/sbin/nologin"]
    if uid:
        lines.append(f"sandbox:x:{uid}:{uid}::/tmp:/bin/sh")
    for name, text in (
        ("passwd", "\n".join(lines) + "\n"),
        ("group", f"root:x:0:\nsandbox:x:{uid}:\n" if uid else "root:x:0:\n"),
        ("hosts", "127.0.0.1 localhost\n"),
    ):
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def _dev(root: str) -> None:
    os.makedirs(root + "/dev")
    for name in _DEVICES:
        path = f"/dev/{name}"
        bind(path, _place(root, path), writable=True)
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")


def _enter(root: str) -> None:
    old = root + "/.old"
    os.mkdir(old)
    os.chdir(root)
    check(libc.syscall(155 if os.uname().machine == "x86_64" else 41, b".", b".old"), "pivot_root")
    os.chdir("/")
    check(libc.umount2(b"/.old", MNT_DETACH), "umount the old root")
    os.rmdir("/.old")
    mount("", "/", "", MS_REMOUNT | MS_BIND | MS_NOSUID | MS_RDONLY)
