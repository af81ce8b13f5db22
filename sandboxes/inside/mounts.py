"""A root file system made of read-only views of the host's programs, and little else."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable
from typing import Any

from cascade.sandboxes.inside.confine import libc

__all__ = ["build_root", "unshare"]

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_BIND, MS_REC, MS_PRIVATE = 32, 1024, 4096, 16384, 1 << 18
MS_NODIRATIME, MS_RELATIME = 2048, 1 << 21
MNT_DETACH = 2
_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))
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


class _Source:
    """A file or folder of the host, held open: what is mounted above its path hides it no more."""

    def __init__(self, path: str) -> None:
        self.link = os.readlink(path) if os.path.islink(path) else ""
        self.target = os.path.realpath(path)
        self.is_folder = os.path.isdir(path)
        self._fd = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def show(self, target: str, writable: bool = False) -> None:
        """Bind it to `target`, which is made."""
        if self.is_folder:
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "ab"):
                pass
        bind(f"/proc/self/fd/{self._fd}", target, writable)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def build_root(config: dict[str, Any]) -> None:
    """Build the root in a fresh mount namespace and move into it.

    All that will be shown is opened first, since the new root, and the slot's own folders in it,
    may lie above it: a cache, an interpreter or a checkout in /tmp.
    """
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    root = config["base"]
    places = {path: path for path in config["show"]}
    places |= {path: source for source, path in config["headers"]}
    sources = {
        path: _Source(places[path])
        for path in sorted(places, key=len)  # a folder before what lies in it
        if os.path.exists(places[path])
    }
    devices = {path: _Source(path) for path in _DEVICES}
    mount("root", root, "tmpfs", MS_NOSUID, "size=4m,mode=0755")
    _etc(root, config)
    for path, source in devices.items():
        source.show(root + path, writable=True)
    for name, link in _LINKS.items():
        os.symlink(link, f"{root}/dev/{name}")
    owned = _own_folders(root, config)
    _show(root, sources, owned)
    for source in (*sources.values(), *devices.values()):
        source.close()
    os.makedirs(root + "/proc")
    _proc(root + "/proc", config["runner_uid"] if config["uid"] is not None else None)
    _enter(root)


def _own_folders(root: str, config: dict[str, Any]) -> tuple[str, ...]:
    """Mount the slot's own memory file systems; return where."""
    owner = config["uid"] if config["uid"] is not None else 0
    box = f"size={config['disk_bytes']},nr_inodes={config['inodes']},mode=0755"
    store = f"size={config['store_bytes'] + (8 << 20)},mode=0755{config['store_owner']}"
    folders = {
        config["box"]: f"{box},uid={owner},gid={owner}",
        "/dev/shm": "size=16m,nr_inodes=1024,mode=1777",
        config["store"]: store,
    }
    for path, options in folders.items():
        os.makedirs(root + path, exist_ok=True)
        mount("tmpfs", root + path, "tmpfs", MS_NOSUID | MS_NODEV, options)
    return tuple(folders)


def _show(root: str, sources: dict[str, _Source], owned: tuple[str, ...]) -> None:
    """Show each source read-only at its path in the new root.

    Below a writable folder, the first step of the path becomes a read-only mount of its own:
    what is a mount can be neither renamed nor removed by a program.
    """
    covers: set[str] = set()
    for path, source in sources.items():
        if source.link and _below(source.target, sources):
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(source.link, root + path)
            continue
        for folder in owned:
            if path.startswith(folder + "/"):
                cover = root + folder + "/" + path[len(folder) + 1 :].partition("/")[0]
                if cover != root + path and not os.path.ismount(cover):
                    os.makedirs(cover, exist_ok=True)
                    mount("cover", cover, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755")
                    covers.add(cover)
        source.show(root + path)
    for cover in covers:
        mount("", cover, "", MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_RDONLY)


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


def _enter(root: str) -> None:
    old = root + "/.old"
    os.mkdir(old)
    os.chdir(root)
    check(libc.syscall(155 if os.uname().machine == "x86_64" else 41, b".", b".old"), "pivot_root")
    os.chdir("/")
    check(libc.umount2(b"/.old", MNT_DETACH), "umount the old root")
    os.rmdir("/.old")
    mount("", "/", "", MS_REMOUNT | MS_BIND | MS_NOSUID | MS_RDONLY)
