"""A cgroup for each local slot, where this user may make one."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

from cascade.sandboxes.settings import MAX_PROCESSES, OVERHEAD_BYTES, SandboxConfig

__all__ = ["Account", "open_account"]

_ROOT = Path("/sys/fs/cgroup")
_NAME = "cascade"
_V1 = {
    "cpuacct.usage": "cpuacct",
    "memory.usage_in_bytes": "memory",
    "memory.stat": "memory",
    "memory.oom_control": "memory",
    "pids.current": "pids",
}
_V2 = ("cpu.stat", "memory.current", "memory.stat", "memory.events", "pids.current")


class Account:
    """The cgroup folders of one slot, and their open account files."""

    def __init__(self, folders: list[Path], files: dict[str, int]) -> None:
        self.files = files
        self._folders = folders

    def take_in(self, pid: int) -> None:
        """Move a process, and all that it will start, into the account."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def close_files(self) -> None:
        """Close this side's copies of the files."""
        for fd in self.files.values():
            os.close(fd)
        self.files = {}

    def remove(self) -> None:
        """Remove the folders, once the last process in them is gone."""
        self.close_files()
        for folder in self._folders:
            for _ in range(100):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)


def _make_v1(name: str, config: SandboxConfig) -> list[Path]:
    folders = [_ROOT / kind / _NAME / name for kind in ("cpuacct", "memory", "pids")]
    for folder in folders:
        folder.mkdir(parents=True)
    memory = config.memory_bytes + OVERHEAD_BYTES
    (folders[1] / "memory.limit_in_bytes").write_text(str(memory))
    with contextlib.suppress(OSError):
        (folders[1] / "memory.memsw.limit_in_bytes").write_text(str(memory))
    (folders[2] / "pids.max").write_text(str(MAX_PROCESSES + 64))
    return folders


def _make_v2(name: str, config: SandboxConfig) -> list[Path]:
    parent = _ROOT / _NAME
    parent.mkdir(exist_ok=True)
    for folder in (_ROOT, parent):
        (folder / "cgroup.subtree_control").write_text("+cpu +memory +pids")
    folder = parent / name
    folder.mkdir()
    (folder / "memory.max").write_text(str(config.memory_bytes + OVERHEAD_BYTES))
    with contextlib.suppress(OSError):
        (folder / "memory.swap.max").write_text("0")
    (folder / "pids.max").write_text(str(MAX_PROCESSES + 64))
    return [folder]


def open_account(config: SandboxConfig) -> Account | None:
    """Make a cgroup for a slot; None where this user cannot (limits are then less exact)."""
    version = 2 if (_ROOT / "cgroup.controllers").exists() else 1
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    _remove_stale(version)
    folders: list[Path] = []
    try:
        folders = (_make_v2 if version == 2 else _make_v1)(name, config)
        files = {}
        for file in _V2 if version == 2 else _V1:
            index = 0 if version == 2 else ("cpuacct", "memory", "pids").index(_V1[file])
            files[file] = os.open(folders[index] / file, os.O_RDONLY)
    except OSError:
        for kind in ("", "cpuacct", "memory", "pids"):
            with contextlib.suppress(OSError):
                (_ROOT / kind / _NAME / name).rmdir()
        return None
    return Account(folders, files)


def _remove_stale(version: int) -> None:
    """Remove empty folders whose maker has died; the kernel refuses the others."""
    kinds = [""] if version == 2 else ["cpuacct", "memory", "pids"]
    for kind in kinds:
        parent = _ROOT / kind / _NAME
        if not parent.is_dir():
            continue
        for folder in parent.iterdir():
            owner = folder.name.partition("-")[0]
            if folder.is_dir() and owner.isdigit() and not Path(f"/proc/{owner}").exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
