"""A set of slots of which each caller borrows one. Lost and worn-out slots are replaced behind.

A spare slot stands ready, so that a replacement costs the caller nothing.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from cascade.errors import SandboxError
from cascade.sandboxes.link import Link
from cascade.sandboxes.settings import SandboxConfig
from cascade.sandboxes.slot import Slot
from cascade.sandboxes.verdicts import Isolation

__all__ = ["Backend", "Pool"]

_ATTEMPTS = 3


class Backend(Protocol):
    """What opens slots: Docker containers, or namespaces of this machine."""

    name: str
    config: SandboxConfig
    versions: dict[str, str]

    def open(self) -> Link:
        """Start a place and its runner.

        Raises:
            SandboxError: it cannot be started.
        """
        ...

    def isolation(self, hello: dict[str, Any]) -> Isolation:
        """Name what stands between a program and the machine."""
        ...

    def close(self) -> None:
        """Release what is shared by all slots."""
        ...


class Pool:
    """Borrow with `with pool.slot() as slot`; any number of threads may.

    Args:
        backend: opens slots.
        size: most slots that are lent at once.
        spare: keep one more.
        eager: open all at `start`; else each when it is first wanted.
    """

    def __init__(self, backend: Backend, size: int, spare: bool, eager: bool = True) -> None:
        self._backend = backend
        self._size = size
        self._target = size + spare if eager else 0
        self._idle: list[Slot] = []
        self._lent = 0
        self._opening = 0
        self._closed = False
        self._failure: SandboxError | None = None
        self._state = threading.Condition()
        self._threads = ThreadPoolExecutor(
            min(size + spare, 16), thread_name_prefix="cascade-slots"
        )

    def start(self) -> None:
        """Open all slots, side by side; returns when `size` of them are ready.

        Raises:
            SandboxError: a slot cannot be opened.
        """
        with self._state:
            self._fill()
        try:
            with self._state:
                while len(self._idle) < self._size:
                    if self._failure is not None:
                        raise self._failure
                    self._state.wait()
        except BaseException:
            self.close()
            raise

    def _fill(self) -> None:
        """Start opening what is missing. Called with the state held."""
        missing = self._target - len(self._idle) - self._lent - self._opening
        for _ in range(missing):
            self._opening += 1
            self._threads.submit(self._open)

    def _open(self) -> None:
        """Add a slot, or note why there is none: nobody may wait for one that does not come."""
        slot, failure = None, None
        try:
            slot = self._open_patiently()
        except SandboxError as error:
            failure = error
        finally:
            if (unforeseen := sys.exception()) is not None:
                failure = SandboxError(f"cannot open a slot: {unforeseen!r}")
            with self._state:
                self._opening -= 1
                if slot is not None and not self._closed:
                    self._idle.insert(0, slot)
                    slot = None
                    self._failure = None
                elif slot is None:
                    self._failure = failure
                self._state.notify_all()
        if slot is not None:
            slot.close()

    def _open_patiently(self) -> Slot:
        failure = SandboxError("the sandbox is closed")
        for attempt in range(_ATTEMPTS):
            try:
                return self._open_one()
            except SandboxError as error:
                failure = error
            if self._closed:
                break
            time.sleep(0.1 * 4**attempt)
        raise failure

    def _open_one(self) -> Slot:
        link = self._backend.open()
        try:
            slot = Slot(link, self._backend.config)
            slot.isolation = self._backend.isolation(slot.hello)
            slot.lent = lambda: self._lent
        except BaseException:
            link.close()
            raise
        return slot

    @contextlib.contextmanager
    def slot(self) -> Iterator[Slot]:
        """Borrow a slot; an error while it is out throws it away.

        Raises:
            SandboxError: the pool is closed, or no slot can be opened.
        """
        slot = self._borrow()
        try:
            yield slot
        except BaseException:
            self._give_back(slot, False)
            raise
        self._give_back(slot, not slot.worn_out)

    def _borrow(self) -> Slot:
        with self._state:
            while True:
                if self._closed:
                    raise SandboxError("the sandbox is closed")
                if self._idle and self._lent < self._size:
                    self._lent += 1
                    return self._idle.pop()
                if not self._idle and not self._opening:
                    if self._failure is not None:
                        failure, self._failure = self._failure, None
                        raise failure
                    self._target = max(self._target, min(self._lent + 1, self._size))
                    self._fill()
                self._state.wait()

    def _give_back(self, slot: Slot, well: bool) -> None:
        with self._state:
            self._lent -= 1
            keep = well and not self._closed
            if keep:
                self._idle.append(slot)
            elif not self._closed:
                self._fill()
            self._state.notify_all()
            if not keep and not self._closed:
                self._threads.submit(slot.close)
                return
        if not keep:
            slot.close()

    def close(self) -> None:
        """Close all slots. Slots that are lent out close when they come back."""
        with self._state:
            self._closed = True
            idle, self._idle = self._idle, []
            self._state.notify_all()
        for done in [self._threads.submit(slot.close) for slot in idle]:
            done.result()
        self._threads.shutdown(wait=True)
