"""A way into a container that does not lead through the engine: a socket of this process's own.

The engine copies every byte of a stream twice, which for a conversation of many short words is
most of the time. Where engine and client share a machine, the runner calls the client instead. Once
it has, nobody listens at the door any more and its name is gone, so a program that finds the mount
finds nothing behind it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile

import docker.types

__all__ = ["DOOR", "Door"]

DOOR = "/run/cascade-door"
"""Where a container has it."""


class Door:
    """Listens for one caller.

    Raises:
        OSError: no folder for the socket can be made.
    """

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="cascade-door-")
        self.source = os.path.join(self._folder, "door")
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.bind(self.source)
            # In a folder of mode 0700: only who has it mounted gets at it. The container's root may
            # be another user here, and has given up the right to pass by permissions.
            os.chmod(self.source, 0o666)
            self.sock.listen(1)
        except BaseException:
            self.close()
            raise

    def mount(self) -> docker.types.Mount:
        """Show it to a container."""
        return docker.types.Mount(DOOR, self.source, type="bind", read_only=True)

    def is_named(self, error: str) -> bool:
        """Whether an error of the engine is about it."""
        return self.source in error or DOOR in error

    def admit(self) -> socket.socket:
        """Take in the caller that waits."""
        caller, _ = self.sock.accept()
        return caller

    def close(self) -> None:
        """Stop listening and remove its name."""
        self.sock.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder)
