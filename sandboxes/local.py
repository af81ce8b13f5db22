"""Slots in namespaces of this machine, or under Landlock: no daemon, the same runner."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cascade.errors import SandboxError
from cascade.sandboxes.accounts import Account, open_account
from cascade.sandboxes.bootstrap import LOADER, OPTIONS, payload
from cascade.sandboxes.inside import landlock
from cascade.sandboxes.inside.seccomp import build_filter
from cascade.sandboxes.link import Link
from cascade.sandboxes.settings import (
    BOX,
    ENVIRONMENT,
    STORE,
    SandboxConfig,
    fresh_uid,
    slot_config,
)
from cascade.sandboxes.toolchain import PCH_FOLDER, HostTools, host_tools
from cascade.sandboxes.verdicts import Isolation

__all__ = ["LEVELS", "LocalBackend", "best_level"]

LEVELS = ("namespaces", "landlock", "weak")
"""Strongest first."""
_SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_OWN = (BOX, STORE, "/dev/shm", "/proc")
_SHOWN_ETC = (
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"),
    *sorted(glob.glob("/etc/java-*-openjdk")),
)


def namespaces_work() -> str:
    """Try to make every namespace a slot needs; return why it fails, or nothing."""
    code = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "user = 0 if os.geteuid() == 0 else 0x10000000\n"
        "flags = user | 0x20000000 | 0x40000000 | 0x8000000 | 0x4000000 | 0x20000\n"
        "if libc.unshare(flags): sys.exit(os.strerror(ctypes.get_errno()))\n"
    )
    done = subprocess.run(
        [interpreter(), "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    return done.stderr.strip() if done.returncode else ""


def best_level() -> tuple[str, list[str]]:
    """The strongest level that works here, and why stronger ones do not."""
    reasons: list[str] = []
    problem = "not Linux" if sys.platform != "linux" else namespaces_work()
    if not problem:
        return "namespaces", reasons
    reasons.append(f"namespaces: {problem}")
    if sys.platform == "linux" and landlock.abi() >= 1 and build_filter() is not None:
        return "landlock", reasons
    reasons.append("landlock: the kernel has none (Linux 5.13 or later, and lsm=landlock, needed)")
    return "weak", reasons


def interpreter() -> str:
    """The real interpreter under a virtual environment or a shim."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


class _Processes:
    """A process tree on this machine as the place of a runner."""

    def __init__(self, process: subprocess.Popen[bytes], account: Account | None, folder: str):
        self._process = process
        self._account = account
        self._folder = folder
        self.errors = process.stderr

    def destroy(self) -> None:
        """Kill the runner, and with it the namespace and all in it."""
        process = self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        if process.returncode is None:
            for pid in (*_children(process.pid), process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # On a machine that is badly overloaded the kernel takes its time; it will be done.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if self.errors is not None:
            self.errors.close()
        if self._account is not None:
            self._account.remove()
            self._account = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def diagnose(self) -> str:
        """Say how the runner ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        text = ""
        if self.errors is not None and not self.errors.closed:
            os.set_blocking(self.errors.fileno(), False)
            text = (self.errors.read() or b"").decode(errors="replace").strip()
        code = self._process.returncode
        state = "runs still" if code is None else f"exit {code}"
        return f"process {self._process.pid} {state}" + (f": {text[-2000:]}" if text else "")


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(part) for part in text.split()]


def _check_shown(paths: tuple[str, ...]) -> None:
    """Refuse folders that are not there, or that would cover a slot's own."""
    for path in paths:
        if not os.path.isabs(path) or os.path.normpath(path) != path or not os.path.exists(path):
            raise SandboxError(
                f"read_only_paths: {path!r} is not the absolute path of a file or folder here"
            )
        if any(f"{folder}/".startswith(path.rstrip("/") + "/") for folder in _OWN):
            raise SandboxError(
                f"read_only_paths: {path!r} would cover a folder that every sandbox has of its "
                f"own ({', '.join(_OWN)}); name folders below it"
            )


class LocalBackend:
    """Opens slots at the strongest level that this machine allows.

    Raises:
        SandboxError: the machine can isolate by neither namespaces nor Landlock, and
            `allow_weak` was not given; or the level asked for does not work; or a folder
            that is to be shown is not there, or would cover a slot's own.
    """

    name = "local"

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        _check_shown(config.read_only_paths)
        level, reasons = best_level()
        if config.level is not None:
            if config.level not in LEVELS:
                raise SandboxError(
                    f"unknown level {config.level!r}; levels are {', '.join(LEVELS)}"
                )
            if LEVELS.index(config.level) < LEVELS.index(level):
                raise SandboxError(f"level {config.level!r} does not work: {'; '.join(reasons)}")
            level = config.level
        if level == "weak" and not config.allow_weak:
            raise SandboxError(
                "this machine cannot isolate untrusted programs: "
                + "; ".join(reasons or ["the weak level was asked for"])
                + ". Use Docker, or pass allow_weak=True for programs that you trust"
            )
        self.level = level
        self.rooted = os.geteuid() == 0 and level == "namespaces"
        self.tools: HostTools = host_tools(config.precompile and level == "namespaces")
        self.versions = {**self.tools.versions, "python": platform.python_version()}

    def isolation(self, hello: dict[str, Any]) -> Isolation:
        """Name what stands between a program and the machine."""
        features = ["rlimits"]
        if self.level == "namespaces":
            features += ["user", "pid", "net", "mount", "ipc", "uts", "capabilities"]
        if self.rooted:
            features.append("uid")
        if hello["meter"].startswith("cgroup"):
            features.append("cgroup")
        if self.level == "landlock":
            features.append(f"landlock {landlock.abi()}")
        if hello["seccomp"] and self.level != "weak":
            features.append("seccomp")
        return Isolation(self.level, tuple(features))

    def open(self) -> Link:
        """Start a runner in namespaces of its own.

        Raises:
            SandboxError: the machine refused.
        """
        try:
            return self._open()
        except OSError as error:
            raise SandboxError(f"cannot start a local slot: {error}") from error

    def _open(self) -> Link:
        config = self._config()
        folder = "" if self.level == "namespaces" else self._make_folders(config)
        account = open_account(self.config)
        files = account.files if account else {}
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(
                [interpreter(), *OPTIONS, "-c", LOADER],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=dict(ENVIRONMENT),
                cwd="/",
                pass_fds=tuple(files.values()),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            if account:
                account.remove()
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            theirs.close()
        place = _Processes(process, account, folder)
        link = Link(ours, place, None, self.config.silence_seconds)
        try:
            if account:
                account.take_in(process.pid)
            config["cgroup"] = files or None
            link.send_raw(payload("launch", config, list(self.tools.helpers)))
        except BaseException:
            link.close()
            raise
        finally:
            if account:
                account.close_files()
        return link

    def _config(self) -> dict[str, Any]:
        uid = fresh_uid() if self.rooted else None
        shown = [*_SHOWN, *_SHOWN_ETC, *self.tools.folders, *self.config.read_only_paths]
        prefix = sys.base_prefix
        if not prefix.startswith("/usr"):
            shown.append(prefix)
        packages = self._preload_folders()
        return {
            **slot_config(self.config, uid),
            "level": self.level,
            "base": "/tmp",
            "runner_uid": (uid or 0) + (1 << 30),
            "show": [*shown, *packages],
            "headers": [[self.tools.headers, PCH_FOLDER]] if self.tools.headers else [],
            "disk_bytes": self.config.disk_bytes,
            "inodes": self.config.inodes,
            "store_owner": f",uid={(uid or 0) + (1 << 30)}" if uid else "",
            "python_path": packages,
            "sweep_tree": self.level != "namespaces",
        }

    def _preload_folders(self) -> list[str]:
        """Folders of this interpreter's path that the preloaded modules lie in."""
        folders = []
        for name in self.config.preload:
            spec = importlib.util.find_spec(name.partition(".")[0])
            if spec is None or spec.origin is None:
                raise SandboxError(f"cannot preload {name!r}: this Python does not have it")
            folder = Path(spec.origin).resolve().parent
            if spec.submodule_search_locations:
                folder = folder.parent
            if not str(folder).startswith("/usr/lib/python3"):
                folders.append(str(folder))
        return list(dict.fromkeys(folders))

    def _make_folders(self, config: dict[str, Any]) -> str:
        free, wanted = shutil.disk_usage(tempfile.gettempdir()).free, self.config.disk_bytes
        if free < wanted:
            raise SandboxError(
                f"cannot start a local slot: {tempfile.gettempdir()} has {free >> 20} MiB free, "
                f"and at level {self.level!r} programs may write {wanted >> 20} MiB there: free "
                "some, set TMPDIR, or lower disk_bytes"
            )
        config["disk_floor"] = wanted
        folder = tempfile.mkdtemp(prefix="cascade-slot-")
        for name in ("box", "store"):
            os.mkdir(f"{folder}/{name}", 0o755)
        config["box"], config["store"] = f"{folder}/box", f"{folder}/store"
        config["writable"] = []
        config["env"] = [
            item.replace("=/tmp", f"={folder}/box", 1)
            if item.startswith(("HOME=", "TMPDIR="))
            else item
            for item in config["env"]
        ]
        return folder

    def close(self) -> None:
        """Nothing is shared between slots."""
