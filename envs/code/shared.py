"""One sandbox for all environments of a process that ask for the same kind.

It opens at the first use and closes with its last user. A process that ends takes its slots along:
each lives only as long as its stream. A forked process never uses its parent's sandbox.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from cascade.errors import SandboxError
from cascade.sandboxes import Sandbox, Session, open_sandbox

__all__ = ["Lease", "Owned"]

_Key = tuple[int, str, tuple[tuple[str, Any], ...]]


@dataclass
class _Shared:
    sandbox: Sandbox | None = None
    users: int = 0
    opening: threading.Lock = field(default_factory=threading.Lock)
    rooms: list[Sandbox] = field(default_factory=list)
    """Sandboxes of one slot each, for sessions; those that are not in use."""
    closed: bool = False

    def close(self) -> None:
        """End all slots; a room in use ends when its session does."""
        self.closed = True
        rooms, self.rooms = self.rooms, []
        for sandbox in (*rooms, *([self.sandbox] if self.sandbox is not None else [])):
            sandbox.close()


_lock = threading.RLock()  # an environment may be collected, and closed, at any moment
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

    def session(self, stack: ExitStack) -> Session:
        """Open a session in a slot of its own; `stack` ends it and keeps the slot for the next.

        Sessions never take slots from programs that are judged: an episode that waits for a slot
        while it holds one could wait for ever.

        Raises:
            SandboxError: it cannot be opened here, or the lease was closed.
        """
        self.sandbox()
        with _lock:
            assert self._key is not None
            shared = _open[self._key]
            room = shared.rooms.pop() if shared.rooms else None
        if room is None:
            room = open_sandbox(self._kind, **{**self._settings, "workers": 1, "spare": False})
        stack.callback(_keep, shared, room)
        return stack.enter_context(room.session())

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
            shared.close()


class Owned:
    """A caller's sandbox, which is not closed here."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def sandbox(self) -> Sandbox:
        """Return the sandbox."""
        return self._sandbox

    def session(self, stack: ExitStack) -> Session:
        """Open a session in one of its slots, which has to be free."""
        return stack.enter_context(self._sandbox.session())

    def close(self) -> None:
        """Leave it to its owner."""


def _keep(shared: _Shared, room: Sandbox) -> None:
    """Keep a session's slot for the next session, unless its users have gone."""
    with _lock:
        if not shared.closed:
            shared.rooms.append(room)
            return
    room.close()
