"""Test groups of Kattis packages: ``testdata.yaml`` and what it means for points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, cast

import yaml

from cascade.errors import DataError
from cascade.verifiers.code.groups import Combine, Group
from cascade.verifiers.code.package_files import Files, as_text

__all__ = ["scoring_of", "settings_of"]

_COMBINE = ("sum", "min", "max", "avg")


def settings_of(files: Files) -> Mapping[str, Mapping[str, Any]]:
    """Return the settings of every folder below ``data/``; a folder inherits its parent's.

    Raises:
        DataError: a testdata.yaml that is no mapping, or that asks for a custom grader.
    """
    own: dict[str, Mapping[str, Any]] = {}
    folders = {""}
    for path, body in files.items():
        if not path.startswith("data/"):
            continue
        inner = PurePosixPath(path[len("data/") :])
        folders.update("" if str(p) == "." else str(p) for p in inner.parents)
        if inner.name in ("testdata.yaml", "test_group.yaml"):
            own["" if str(inner.parent) == "." else str(inner.parent)] = _read(body, path)
    settings: dict[str, Mapping[str, Any]] = {}
    for folder in sorted(folders, key=lambda name: (name != "", name.count("/"), name)):
        parent = folder.rpartition("/")[0]
        inherited = settings.get(parent, {}) if folder else {}
        settings[folder] = {**inherited, **own.get(folder, {})}
    return settings


def _read(body: bytes, path: str) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(as_text(body, path))
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: must be a mapping, got {type(value).__name__}")
    if value.get("grading", "default") == "custom":
        raise DataError(f"{path}: custom graders are not supported")
    return value


def scoring_of(files: Files, settings: Mapping[str, Mapping[str, Any]]) -> Group:
    """Return the points of the folder ``data/``.

    The default grader: a group is the `sum` (or min, max, avg) of its tests and subgroups; a test
    is worth `accept_score`, or `reject_score` if it fails. ``ignore_sample`` leaves the samples
    out. A group that breaks at its first failure still counts what passed before it only where it
    sums; with `min` that makes no difference.
    """
    tests: dict[str, list[str]] = {}
    for path in sorted(files):
        if path.startswith("data/") and path.endswith(".in"):
            stem = path[len("data/") : -len(".in")]
            tests.setdefault(stem.rpartition("/")[0], []).append(stem)
    return _group("", settings, tests)


def _group(
    folder: str, settings: Mapping[str, Mapping[str, Any]], tests: Mapping[str, list[str]]
) -> Group:
    own = settings[folder]
    flags = str(own.get("grader_flags", "")).split()
    children = sorted(
        name for name in settings if name and name.rpartition("/")[0] == folder and name != folder
    )
    if "ignore_sample" in flags:
        children = [name for name in children if name != "sample"]
    return Group(
        name=folder or "data",
        tests=tuple(tests.get(folder, ())),
        groups=tuple(_group(name, settings, tests) for name in children),
        combine=cast("Combine", next((flag for flag in flags if flag in _COMBINE), "sum")),
        accept=_number(own.get("accept_score", 1), folder),
        reject=_number(own.get("reject_score", 0), folder),
        ceiling=_ceiling(own.get("range"), folder),
    )


def _ceiling(given: Any, folder: str) -> float | None:
    if given is None:
        return None
    top = _number(str(given).split()[-1], folder)
    return None if top == float("inf") else top


def _number(given: Any, folder: str) -> float:
    try:
        return float(given)
    except (TypeError, ValueError) as error:
        raise DataError(f"data/{folder}/testdata.yaml: {given!r} is not a number") from error
