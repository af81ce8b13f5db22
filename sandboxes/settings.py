"""How a sandbox is set up: what a slot is given, and what the client promises to keep."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import Any

from cascade.errors import ConfigError
from cascade.sandboxes.languages import TOOLS

__all__ = ["SandboxConfig", "slot_config"]

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GOFLAGS": "-mod=mod",
    "GO111MODULE": "off",
    "GOCACHE": "/tmp/.cache/go",
    "GOMAXPROCS": "2",
}
OVERHEAD_BYTES = 64 << 20
MAX_PROCESSES = 512
BOX = "/tmp"
"""The folder that programs may write to, as they see it."""
STORE = "/cascade"
"""Where a slot keeps programs, as they see it."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """What every slot of a sandbox is given.

    Raises:
        ConfigError: a value that no slot could have.
    """

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Programs that run at once; each has a slot of its own."""
    image: str | None = None
    """Docker image; None: the one that `cascade-sandbox build` makes."""
    preload: tuple[str, ...] = ()
    """Python modules that are imported before any program runs ("numpy")."""
    memory_bytes: int = 1 << 30
    """Memory of a slot: the most that a run's own limit may ask for."""
    disk_bytes: int = 128 << 20
    """Size of the writable folder, which lies in memory."""
    inodes: int = 16384
    """Files in the writable folder."""
    store_bytes: int = 192 << 20
    """Compiled programs that a slot keeps, which lie in memory."""
    spare: bool = True
    """Keep one more slot ready, to take the place of one that must be replaced."""
    runs_per_slot: int = 20_000
    """A slot is replaced after so many runs."""
    retries: int = 2
    """How often a run is repeated on a fresh slot after an infrastructure fault."""
    silence_seconds: float = 20.0
    """A runner that says nothing for so long is taken for lost."""
    runtime: str | None = None
    """Docker runtime; "runsc" is gVisor."""
    allow_weak: bool = False
    """Accept a machine that can isolate neither by namespaces nor by Landlock."""
    read_only_paths: tuple[str, ...] = ()
    """More folders of this machine that programs of the local back end may read."""
    precompile: bool = True
    """Precompile the standard headers of C++ once, for the local back end (some seconds)."""
    level: str | None = None
    """Force a level of the local back end; None: the strongest that works."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in ("workers", "runs_per_slot", "memory_bytes", "disk_bytes", "inodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)!r}")
        if self.memory_bytes < 64 << 20:
            raise ConfigError(f"memory_bytes must be at least 64 MiB, got {self.memory_bytes}")
        if self.retries < 0 or self.silence_seconds <= 0:
            raise ConfigError("retries must be 0 or more and silence_seconds positive")


def fresh_uid() -> int:
    """A user id that nothing else on the machine has: limits on processes count per user."""
    return (1 << 20) + secrets.randbelow((1 << 30) - (1 << 20))


def slot_config(config: SandboxConfig, uid: int | None) -> dict[str, Any]:
    """The configuration that the runner is started with."""
    return {
        "uid": uid,
        "preload": list(config.preload),
        "seccomp": True,
        "box": BOX,
        "writable": ["/dev/shm"],
        "store": STORE,
        "store_bytes": config.store_bytes,
        "tools": list(TOOLS),
        "beat_seconds": config.silence_seconds / 5,
        "env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
    }
