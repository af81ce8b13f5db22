"""The kernel's own account of a slot: CPU time, memory and processes, from its cgroup.

One slot is one cgroup, so what a program used is the difference of two readings, whatever it did
with its children. Without a cgroup the same numbers are summed over the processes, less exactly.
"""

from __future__ import annotations

import contextlib
import os
import resource

__all__ = ["CgroupMeter", "Meter", "ProcessMeter", "RunDelay", "find_cgroup", "is_ending"]

_EXITING = 4
"""PF_EXITING in the kernel's flags of a process."""


class Meter:
    """Readings of a slot; the unit of time is the second."""

    name = "none"
    counts_runner = True
    """Whether the CPU time holds the runner's own."""

    def cpu(self) -> float:
        """CPU seconds used so far by everything in the slot."""
        raise LookupError

    def memory(self) -> int:
        """Bytes charged now, cheap and too high by what the kernel caches."""
        raise LookupError

    def working_set(self) -> int:
        """Bytes that cannot be dropped now: anonymous memory and memory files."""
        raise LookupError

    def oom_kills(self) -> int:
        """Processes killed so far for want of memory."""
        return 0

    def processes(self) -> int | None:
        """Processes and threads now, or None where that is not known."""
        return None


class CgroupMeter(Meter):
    """Reads open files of a version 1 or version 2 cgroup."""

    def __init__(self, files: dict[str, int]) -> None:
        self._files = files
        self.version = 2 if "cpu.stat" in files else 1
        self.name = f"cgroup v{self.version}"

    def _read(self, name: str) -> bytes:
        return os.pread(self._files[name], 8192, 0)

    def _field(self, name: str, key: bytes) -> int:
        for line in self._read(name).splitlines():
            if line.startswith(key + b" "):
                return int(line[len(key) + 1 :])
        return 0

    def cpu(self) -> float:
        """CPU seconds used so far."""
        if self.version == 1:
            return int(self._read("cpuacct.usage")) / 1e9
        return self._field("cpu.stat", b"usage_usec") / 1e6

    def memory(self) -> int:
        """Bytes charged now."""
        name = "memory.usage_in_bytes" if self.version == 1 else "memory.current"
        return int(self._read(name))

    def working_set(self) -> int:
        """Anonymous memory and memory files."""
        anonymous = b"rss" if self.version == 1 else b"anon"
        found = 0
        for line in self._read("memory.stat").splitlines():
            key, _, value = line.partition(b" ")
            if key in (anonymous, b"shmem"):
                found += int(value)
        return found

    def oom_kills(self) -> int:
        """Processes killed so far for want of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return self._field(name, b"oom_kill")

    def processes(self) -> int | None:
        """Processes and threads now."""
        return int(self._read("pids.current"))


_V1 = {
    "cpuacct.usage": "cpuacct",
    "memory.usage_in_bytes": "memory",
    "memory.stat": "memory",
    "memory.oom_control": "memory",
    "pids.current": "pids",
}
_V2 = ("cpu.stat", "memory.current", "memory.stat", "memory.events", "pids.current")


def find_cgroup(root: str = "/sys/fs/cgroup") -> dict[str, int] | None:
    """Open the account files of the cgroup that is mounted at `root`; None if any is missing."""
    for paths in (
        {name: f"{root}/{name}" for name in _V2},
        {name: f"{root}/{folder}/{name}" for name, folder in _V1.items()},
    ):
        opened: dict[str, int] = {}
        try:
            for name, path in paths.items():
                opened[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return opened
        except OSError:
            for fd in opened.values():
                os.close(fd)
    return None


class ProcessMeter(Meter):
    """Sums over the runner's descendants in /proc; misses what lives and dies between readings."""

    name = "processes"
    counts_runner = False

    def __init__(self, own: set[int]) -> None:
        self._own = own
        self._page = resource.getpagesize()
        self._tick = 1 / os.sysconf("SC_CLK_TCK")

    def _strangers(self) -> list[int]:
        own = self._own
        return [pid for pid in descendants(os.getpid()) if pid not in own]

    def cpu(self) -> float:
        """CPU seconds of the descendants, dead and reaped ones included."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = used.ru_utime + used.ru_stime
        for pid in (*self._own, *self._strangers()):
            try:
                with open(f"/proc/{pid}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15])) * self._tick
        return total

    def memory(self) -> int:
        """Resident memory that is not shared with files."""
        total = 0
        for pid in self._strangers():
            try:
                with open(f"/proc/{pid}/statm", "rb") as file:
                    fields = file.read().split()
            except OSError:
                continue
            total += (int(fields[1]) - int(fields[2])) * self._page
        return total

    def working_set(self) -> int:
        """The same as `memory`: nothing here is droppable."""
        return self.memory()


class RunDelay:
    """How long processes were ready to run while no CPU was free, from open files of /proc."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        self._files: list[int] = []
        for pid in pids:
            with contextlib.suppress(OSError):
                path = f"/proc/{pid}/schedstat"
                self._files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def read(self) -> int:
        """Nanoseconds so far, of all of them together."""
        total = 0
        for file in self._files:
            with contextlib.suppress(OSError, IndexError, ValueError):
                total += int(os.pread(file, 100, 0).split()[1])
        return total


def is_ending(pid: int) -> bool:
    """Whether a process has ended or is about to, which the kernel notes before it closes files.

    False for 0, and where /proc is not mounted.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return pid > 0 and os.path.exists("/proc/self/stat")
    return bool(int(fields[6]) & _EXITING)


def descendants(root: int) -> list[int]:
    """Process ids below `root`, from /proc; empty where /proc is not mounted."""
    found: list[int] = []
    queue = [root]
    try:
        while queue:
            children = _children(queue.pop())
            found += children
            queue += children
    except FileNotFoundError:
        return _scan(root)
    return found


def _children(pid: int) -> list[int]:
    """Children of all threads of a process; none if it has just ended.

    Raises:
        FileNotFoundError: the kernel does not keep such a list.
    """
    children: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
        except OSError:
            if os.path.exists(f"/proc/{pid}/task/{thread}/stat"):
                raise FileNotFoundError from None
    return children


def _scan(root: int) -> list[int]:
    """The same from the parents of all processes, which takes longer."""
    parents: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    queue = [root]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found
