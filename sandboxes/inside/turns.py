"""Whose turn it is in a conversation: waiting for the others is not charged to a program.

What a program writes is carried by three processes before it is read, which may take longer than
all that the program itself does; and where several talk with one judge, each waits for the rest.
"""

from __future__ import annotations

import array
import fcntl
import termios
import time
from collections.abc import Callable

__all__ = ["Turns", "unread"]

_PERIOD = 0.2
_BUSY = 0.1
"""Share of a period in which one must compute, or wait for a CPU, not to be called idle."""


class Turns:
    """The clock of one program. Its turn ends with what it writes and begins with what it is sent.

    Before it was sent anything it waits, too: one that does not wait has the first word, and the
    client notices if that never comes.

    Args:
        most: seconds of waiting that are not charged; 0 where there is nobody to wait for.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._before = 0.0
        self._since: float | None = None
        self._looked = 0.0
        self._account = 0.0

    def begin(self, now: float) -> None:
        """Start the clock."""
        self._looked = now
        self._since = now if self._most else None

    def take(self) -> None:
        """Note that the program was sent something."""
        if self._since is not None:
            self._before += time.perf_counter() - self._since
            self._since = None

    def pass_on(self) -> None:
        """Note that the program has written, and read all that it was sent."""
        if self._since is None:
            self._since = time.perf_counter()

    def waited(self, now: float) -> float:
        """Seconds until `now` that are not charged."""
        current = 0.0 if self._since is None else max(now - self._since, 0.0)
        return min(self._before + current, self._most)

    def is_busy(self, now: float, account: Callable[[], float]) -> bool:
        """Whether the program is at work, for the client to know; asked once in a while.

        Args:
            now: what the clock says.
            account: seconds in which it has used a CPU or waited for one.
        """
        if not self._most or now - self._looked < _PERIOD:
            return False
        used, period = account(), now - self._looked
        busy = used - self._account > _BUSY * period
        self._account, self._looked = used, now
        return busy


def unread(fd: int) -> int:
    """Bytes in a pipe that nobody has read; 0 for a closed one (-1)."""
    if fd < 0:
        return 0
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]
