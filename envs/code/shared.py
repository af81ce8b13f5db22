"""One sandbox for all environments of a process that ask for the same kind.

It opens at the first use and closes with its last user, or with the process. A forked process
never uses its parent's sandbox.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cascade.errors import SandboxError
from cascade.sandboxes import Sandbox, open_sandbox

__all__ = ["Lease", "lease"]

_Key = tuple[int, str, tuple[tuple[str, Any], ...]]


@dataclass
class _Shared:
    sandbox: Sandbox | None = None
    users: int = 0
    opening: threading.Lock = field(default_factory=threading.Lock)


_lock = threading.Lock()
_open: dict[_Key, _Shared] = {}


class Lease:
    """A share of a sandbox. Any number of threads may use it; `close` gives it back."""

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        self._kind = kind
        self._settings = dict(settings)
        self._key: _Key | None = None
        self._closed = False
        self._own = threading.Lock()

    def sandbox(self) -> Sandbox:
        """Return the sandbox; the first user of its kind waits until it is open.

        Raises:
            SandboxError: it cannot be opened here, or the lease was closed.
        """
        with self._own:
            if self._closed:
                raise SandboxError("the environment was closed, and its sandbox with it")
            key = (os.getpid(), self._kind, tuple(sorted(self._settings.items())))
            with _lock:
                shared = _open.setdefault(key, _Shared())
                if self._key != key:
                    shared.users += 1
                    self._key = key
        with shared.opening:
            if shared.sandbox is None:
                shared.sandbox = open_sandbox(self._kind, **self._settings)
            return shared.sandbox

    def close(self) -> None:
        """Give the share back; the last one closes the sandbox. Calling it twice is harmless."""
        with self._own:
            self._closed = True
            key, self._key = self._key, None
        if key is None or key[0] != os.getpid():
            return
        with _lock:
            shared = _open[key]
            shared.users -= 1
            if shared.users:
                return
            del _open[key]
        with shared.opening:
            if shared.sandbox is not None:
                shared.sandbox.close()


def lease(sandbox: Sandbox | str, settings: Mapping[str, Any]) -> tuple[
    Callable[[], Sandbox], Callable[[], None]
]:  # fmt: skip
    """Return how to get the sandbox and how to give it back; an open one stays the caller's."""
    if isinstance(sandbox, Sandbox):
        return (lambda: sandbox), (lambda: None)
    share = Lease(sandbox, settings)
    return share.sandbox, share.close


@atexit.register
def _close_all() -> None:
    with _lock:
        mine = [shared for key, shared in _open.items() if key[0] == os.getpid()]
        _open.clear()
    for shared in mine:
        if shared.sandbox is not None:
            shared.sandbox.close()
