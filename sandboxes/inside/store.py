"""Programs that a slot holds: sources and compiled files, by content, out of the programs' reach.

The store lies on a memory file system that only the runner can write to. The oldest program goes
when the store is full; the client is told, and sends it again when it is needed.
"""

from __future__ import annotations

import os
import shutil
from collections import OrderedDict

__all__ = ["Store"]


class Store:
    """Folders named by the client, each with the files of one program."""

    def __init__(self, path: str, capacity: int) -> None:
        self.path = path
        self.capacity = capacity
        self._sizes: OrderedDict[str, int] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(self._sizes.values())

    def has(self, name: str) -> bool:
        """Whether the program is there; marks it as used."""
        if name not in self._sizes:
            return False
        self._sizes.move_to_end(name)
        return True

    def folder(self, name: str) -> str:
        """Where the program lies."""
        return os.path.join(self.path, name)

    def put(self, name: str, files: list[tuple[str, bytes]], executable: bool) -> list[str]:
        """Store a program; return the names of those that had to go.

        Raises:
            OSError: it is larger than the store, or a name leaves the folder.
        """
        size = sum(len(body) + 4096 for _, body in files)
        if size > self.capacity:
            raise OSError(27, f"a program of {size:,} bytes; the store holds {self.capacity:,}")
        gone = []
        while self._sizes and self.size + size > self.capacity:
            oldest, _ = self._sizes.popitem(last=False)
            shutil.rmtree(self.folder(oldest))
            gone.append(oldest)
        folder = self.folder(name)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        for relative, body in files:
            path = os.path.join(folder, relative)
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            with open(path, "wb") as file:
                file.write(body)
            os.chmod(path, 0o755 if executable else 0o644)
        self._sizes[name] = size
        return gone
