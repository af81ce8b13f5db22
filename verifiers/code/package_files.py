"""Reads a problem package, a folder or a zip archive, as file names and contents."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from cascade.errors import DataError, DataNotFoundError

__all__ = ["Files", "as_text", "read_files", "sub_files"]

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
        return {
            file.relative_to(path).as_posix(): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
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
        return sub_files(files, f"{tops.pop()}/")
    return files


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
