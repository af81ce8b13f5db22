"""The domains: their tools, and where their published files are found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cascade.envs.tau2 import airline, retail
from cascade.envs.tau2.documents import Document, Documents
from cascade.envs.toolworld import Toolbox
from cascade.errors import DataError, DataNotFoundError, UnknownNameError

__all__ = ["DOMAINS", "Domain", "find_domain", "open_database", "read_json"]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain whose final state decides."""

    name: str
    toolbox: Toolbox
    tables: tuple[str, ...]
    defaults: Mapping[str, tuple[str, ...]]
    """Table -> fields that a document without them has as null."""


DOMAINS: Mapping[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain("retail", retail.RETAIL, ("users", "orders", "products"), retail.DEFAULTS),
        Domain("airline", airline.AIRLINE, ("users", "reservations", "flights"), airline.DEFAULTS),
    )
}


def find_domain(name: str) -> Domain:
    """Return a domain.

    Raises:
        UnknownNameError: there is none of that name here (telecom, whose users have devices with
            tools of their own, is not).
    """
    if name not in DOMAINS:
        raise UnknownNameError.near("τ²-bench domain", name, DOMAINS)
    return DOMAINS[name]


def open_database(domain: Domain, data_dir: Path | None) -> Documents:
    """Return the published data base of a domain, as it is at the start of every episode.

    Looked for below `data_dir`: ``tau2/domains/NAME/db.json`` (the folder ``data`` of a checkout of
    tau2-bench), ``tau2_toolorchestra/domains/NAME/db.json.gz``, and ``tau_bench/NAME/TABLE.json``
    (the same tables in sierra-research/tau-bench).

    Raises:
        DataNotFoundError: none of them is there.
        DataError: a file that is no such data base.
    """
    places = [] if data_dir is None else [
        (data_dir / f"tau2/domains/{domain.name}/db.json",),
        (data_dir / f"tau2_toolorchestra/domains/{domain.name}/db.json.gz",),
        tuple(data_dir / f"tau_bench/{domain.name}/{table}.json" for table in domain.tables),
    ]  # fmt: skip
    for paths in places:
        if all(path.is_file() for path in paths):
            return _loaded(domain.name, paths).copy()
    looked = "; ".join(str(paths[0]) for paths in places) or "nowhere: no data folder was given"
    raise DataNotFoundError(
        f"the data base of τ²-bench's domain {domain.name!r} is not on this machine (looked at: "
        f"{looked}). Put the folder data/tau2 of sierra-research/tau2-bench into the data folder"
    )


@lru_cache(maxsize=8)
def _loaded(name: str, paths: tuple[Path, ...]) -> Documents:
    domain = DOMAINS[name]
    if len(paths) == 1:
        tables = read_json(paths[0])
    else:
        tables = {t: read_json(p) for t, p in zip(domain.tables, paths, strict=True)}
    if not isinstance(tables, dict) or not set(domain.tables) <= tables.keys():
        raise DataError(f"{paths[0]}: a data base of {name} has {', '.join(domain.tables)}")
    return Documents(
        {
            table: {
                key: _complete(document, domain.defaults.get(table, ()))
                for key, document in tables[table].items()
            }
            for table in domain.tables
        }
    )


def _complete(document: Document, names: tuple[str, ...]) -> Document:
    return {**document, **{name: None for name in names if name not in document}}


def read_json(path: Path) -> Any:
    """Read a JSON file, gzipped or not.

    Raises:
        DataNotFoundError, DataError: it is not there, or no JSON.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {str(path)!r}")
    raw = path.read_bytes()
    try:
        return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
