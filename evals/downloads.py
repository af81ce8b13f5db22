"""Published files that may be fetched: pinned by commit, checked by SHA-256, named by licence."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import ConfigError, DataError, DataNotFoundError

__all__ = ["Download", "fetch_missing"]

_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Download:
    """A file of a public repository."""

    path: str
    """Where it lies below the data folder; packed there if the name ends in ``.gz``."""
    url: str
    """Of one commit, not of a branch."""
    sha256: str
    """Of the file as it is published."""
    licence: str


def fetch_missing(downloads: Iterable[Download], data_dir: Path) -> list[Path]:
    """Fetch the files that are not in the data folder, and return them.

    Raises:
        DataNotFoundError: a file that cannot be fetched.
        DataError: a file that is not the one that was published.
        ConfigError: the folder cannot be written.
    """
    fetched = []
    for download in dict.fromkeys(downloads):
        place = data_dir / download.path
        if place.exists():
            continue
        content = _fetch(download)
        if place.suffix == ".gz":
            content = gzip.compress(content, mtime=0)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(place.name + ".part")
            part.write_bytes(content)
            part.replace(place)
        except OSError as error:
            raise ConfigError(f"{str(place)!r} cannot be written: {error}") from error
        fetched.append(place)
    return fetched


def _fetch(download: Download) -> bytes:
    import httpx

    try:
        answer = httpx.get(download.url, timeout=_TIMEOUT_SECONDS, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise DataNotFoundError(f"{download.url} cannot be fetched: {error}") from error
    digest = hashlib.sha256(answer.content).hexdigest()
    if digest != download.sha256:
        raise DataError(
            f"{download.url} is not the file that was published: SHA-256 {digest}, expected "
            f"{download.sha256}"
        )
    return answer.content
