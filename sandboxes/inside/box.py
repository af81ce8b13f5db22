"""The one folder that programs may write to, and how it is read, filled and wiped.

All of it happens as the programs' own user, so a hostile tree has no more rights than its maker,
and no link is ever followed.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator

__all__ = ["Box"]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Box:
    """A writable folder of a slot, owned by `uid` (None: by the runner's own user)."""

    def __init__(self, path: str, uid: int | None, others: tuple[str, ...] = ()) -> None:
        self.path = path
        self.uid = uid
        self.folders = (path, *others)
        self._modes = {folder: stat.S_IMODE(os.stat(folder).st_mode) for folder in self.folders}
        self._fixed = {folder: set(os.listdir(folder)) for folder in self.folders}
        """What is there from the start is the slot's: folders of the machine, shown read-only."""

    @contextlib.contextmanager
    def as_owner(self) -> Iterator[None]:
        """Act as the programs' user. Their processes cannot signal the runner meanwhile."""
        if self.uid is None:
            yield
            return
        os.setegid(self.uid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def is_clean(self) -> bool:
        """Whether nothing of the programs is left in any writable folder."""
        try:
            for folder in self.folders:
                if (
                    set(os.listdir(folder)) != self._fixed[folder]
                    or stat.S_IMODE(os.stat(folder).st_mode) != self._modes[folder]
                ):
                    return False
        except OSError:
            return False
        return True

    def wipe(self) -> bool:
        """Remove everything; False if something would not go."""
        with self.as_owner():
            for folder in self.folders:
                with contextlib.suppress(OSError):
                    self._wipe_folder(folder)
        return self.is_clean()

    def _wipe_folder(self, folder: str) -> None:
        """Empty a tree of any depth: every subfolder is moved to the top, then emptied there."""
        with contextlib.suppress(OSError):
            os.chmod(folder, self._modes[folder])
        top = os.open(folder, _FOLDER)
        fixed = {os.fsencode(name) for name in self._fixed[folder]}
        number = 0
        try:
            while names := set(os.listdir(folder.encode())) - fixed:
                progress = False
                for name in names:
                    if _unlink(name, top):
                        progress = True
                        continue
                    sub = _open_folder(name, top)
                    if sub < 0:
                        continue
                    try:
                        for inner in os.listdir(sub):
                            if not _unlink(os.fsencode(inner), sub):
                                number += 1
                                _lift(os.fsencode(inner), sub, b"\xff%d" % number, top)
                    finally:
                        os.close(sub)
                    with contextlib.suppress(OSError):
                        os.rmdir(name, dir_fd=top)
                        progress = True
                if not progress:
                    return
        finally:
            os.close(top)

    def is_full(self) -> bool:
        """Whether blocks or inodes of a writable folder have run out."""
        for folder in self.folders:
            info = os.statvfs(folder)
            if (info.f_blocks and info.f_bfree == 0) or (info.f_files and info.f_ffree == 0):
                return True
        return False

    def has_less_than(self, size: int) -> bool:
        """Whether the disk below the box has not so many bytes, or no inode, for this user."""
        info = os.statvfs(self.path)
        blocks = info.f_bfree if os.geteuid() == 0 else info.f_bavail
        return blocks * info.f_frsize < size or bool(info.f_files and not info.f_favail)

    def write(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file of the box, with the folders above it.

        Raises:
            OSError: it cannot be written; an existing link is not followed.
        """
        with self.as_owner():
            path = os.path.join(self.path, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(path, flags | os.O_CLOEXEC, mode)
            with open(fd, "wb") as file:
                file.write(data)

    def read(self, name: str, limit: int) -> bytes:
        """Read a regular file of the box.

        Raises:
            OSError: it is missing, a link, a pipe, a socket, a folder, or above `limit` bytes.
        """
        with self.as_owner():
            fd = os.open(os.path.join(self.path, name), _READ)
            with open(fd, "rb") as file:
                info = os.fstat(fd)
                if not stat.S_ISREG(info.st_mode):
                    raise OSError(22, "not a regular file", name)
                if info.st_size > limit:
                    raise OSError(27, f"larger than {limit:,} bytes", name)
                return file.read(limit + 1)[:limit]

    def pack(self) -> bytes:
        """Return the box as an uncompressed tar archive; special files are left out."""
        buffer = io.BytesIO()

        def keep(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
            return info if info.isfile() or info.isdir() or info.issym() else None

        with self.as_owner(), tarfile.open(fileobj=buffer, mode="w") as archive:
            for name in sorted(set(os.listdir(self.path)) - self._fixed[self.path]):
                archive.add(os.path.join(self.path, name), arcname=name, filter=keep)
        return buffer.getvalue()

    def unpack(self, data: bytes) -> None:
        """Add the content of a tar archive that `pack` made.

        Raises:
            OSError: a name leaves the box, or the box is full.
        """
        try:
            with self.as_owner(), tarfile.open(fileobj=io.BytesIO(data)) as archive:
                archive.extraction_filter = lambda member, _: member
                for member in archive:
                    if member.name.startswith("/") or ".." in member.name.split("/"):
                        raise OSError(1, "the name leaves the box", member.name)
                    archive.extract(member, self.path)
        except tarfile.TarError as error:
            raise OSError(22, f"no archive: {error}") from None


def _unlink(name: bytes, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
        return True
    except OSError:
        return False


def _open_folder(name: bytes, parent: int) -> int:
    with contextlib.suppress(OSError):
        return os.open(name, _FOLDER, dir_fd=parent)
    with contextlib.suppress(OSError):
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)
    return -1


def _lift(name: bytes, folder: int, target: bytes, top: int) -> None:
    """Move a subfolder to the top. Moving a folder needs write permission on itself."""
    with contextlib.suppress(OSError):
        os.chmod(name, 0o700, dir_fd=folder)
    with contextlib.suppress(OSError):
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=top)
