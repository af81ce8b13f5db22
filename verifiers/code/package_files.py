"""Reads a problem package, a folder or a zip archive, as file names and contents."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cascade.errors import DataError, DataNotFoundError

__all__ = ["Files", "as_text", "linked", "read_files", "sub_files"]

Files = Mapping[str, bytes]
"""Relative path with forward slashes -> content."""

MAX_PACKAGE_BYTES = 2 << 30


def read_files(path: Path) -> Files:
    """Read all files of a package.

    A zip archive whose files all lie in one folder is read as that folder.

    Raises:
        DataNotFoundError: there is nothing at `path`.
        DataError: it is neither a folder nor a zip archive, or unpacks to more than 2 GiB.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataNotFoundError(f"there is no package at {str(path)!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            size = sum(entry.file_size for entry in entries)
            if size > MAX_PACKAGE_BYTES:
                raise DataError(
                    f"{path}: unpacks to {size:,} bytes, at most {MAX_PACKAGE_BYTES:,} are read"
                )
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable zip archive ({error})") from error
    tops = {name.partition("/")[0] for name in files}
    if len(tops) == 1 and all("/" in name for name in files):
        files = dict(sub_files(files, f"{tops.pop()}/"))
    return linked(files)


def _read_folder(path: Path) -> Files:
    root = path.resolve()
    files = {}
    for file in sorted(path.rglob("*")):
        if file.is_file():
            if not file.resolve().is_relative_to(root):
                raise DataError(f"{file}: a link that leaves the package")
            files[file.relative_to(path).as_posix()] = file.read_bytes()
    return linked(files)


_LONGEST_LINK = 400


def linked(files: Files) -> Files:
    """Follow links that were kept as text: in archives, and in checkouts without links.

    Such a file holds nothing but the relative path of another file of the package.
    """
    found = dict(files)
    for name, body in files.items():
        for _ in range(8):
            if not body.startswith((b"../", b"./")) or len(body) > _LONGEST_LINK or b"\n" in body:
                break
            target = posixpath.join(posixpath.dirname(name), body.decode("utf-8", "replace"))
            target = posixpath.normpath(target)
            if target not in files:
                break
            body = files[target]
        found[name] = body
    return found


def sub_files(files: Files, folder: str) -> Files:
    """Return the files below `folder` (ending in a slash), with names relative to it."""
    return {name[len(folder) :]: body for name, body in files.items() if name.startswith(folder)}


def as_text(body: bytes, name: str) -> str:
    """Decode a source or settings file.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 at byte {error.start}") from error
