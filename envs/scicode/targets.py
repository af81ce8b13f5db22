"""Expected values of SciCode's tests: where they are stored, and how they get into a sandbox.

The published ones lie in ``test_data.h5`` (HDF5), which needs h5py; rows that somebody writes may
bring theirs as JSON. Source of the layout: scicode-bench/SciCode, src/scicode/parse/parse.py at
019de40.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cascade.errors import DataError, DataNotFoundError

__all__ = ["Sparse", "expression", "read_targets"]


class Sparse(dict[str, Any]):
    """A sparse matrix as its parts: shape, data, and indices of one of SciPy's forms."""


def read_targets(path: Path, step: str, count: int) -> list[Any]:
    """Return the expected values of `count` tests of a step such as "10.2".

    Raises:
        DataNotFoundError: the file is missing, or h5py is not installed.
        DataError: the step or one of its tests is not in the file.
    """
    if not path.is_file():
        raise DataNotFoundError(
            f"the expected values of SciCode are not on this machine: put test_data.h5 (its README "
            f"links to it) at {path}"
        )
    try:
        import h5py
    except ImportError as error:
        raise DataNotFoundError(f"reading {path} needs h5py: pip install h5py") from error
    with h5py.File(path, "r") as file:
        try:
            return [_test(file[f"{step}/test{number}"]) for number in range(1, count + 1)]
        except (KeyError, AttributeError) as error:
            raise DataError(f"{path} lacks a test of step {step}: {error}") from error


def _test(group: Any) -> Any:
    """One value, or the tuple of several."""
    values = [_value(group[name]) for name in group]
    return values[0] if len(values) == 1 else tuple(values)


def _value(node: Any) -> Any:
    """A data set, a list, a sparse matrix, or a dictionary (whose keys may be numbers)."""
    if not hasattr(node, "keys"):
        value = node[()]
        return value.decode("utf-8") if isinstance(value, bytes) else value
    if "list" in node:
        return [_value(node["list"][name]) for name in node["list"]]
    if "sparse_matrix" in node:
        return Sparse({name: part[()] for name, part in node["sparse_matrix"].items()})
    return {_key(name): _value(part) for name, part in node.items()}


def _key(name: str) -> str | float:
    try:
        return float(name)
    except ValueError:
        return name


def expression(value: Any) -> str:
    """Return Python source that makes the value, exactly; numbers and arrays become NumPy's.

    Raises:
        DataError: a value of another kind.
    """
    if isinstance(value, Sparse):
        return _sparse(value)
    if value is None or isinstance(value, str | bool):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {expression(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = "".join(f"{expression(part)}, " for part in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    array = np.asarray(value)
    if array.dtype.kind not in "biufcS":
        raise DataError(f"an expected value of type {type(value).__name__} cannot be compared")
    packed = base64.b64encode(array.tobytes()).decode()
    return (
        f"__import__('numpy').frombuffer(__import__('base64').b64decode('{packed}'), "
        f"'{array.dtype.str}').reshape({array.shape}).copy()[()]"
    )


def _sparse(parts: Sparse) -> str:
    def part(name: str) -> str:
        return expression(parts[name])

    shape = tuple(int(size) for size in parts["shape"])
    module = "__import__('scipy.sparse').sparse"
    if "row" in parts:
        return f"{module}.coo_matrix(({part('data')}, ({part('row')}, {part('col')})), {shape})"
    inner = f"({part('data')}, {part('indices')}, {part('indptr')}), {shape}"
    if "blocksize" in parts:
        size = tuple(int(side) for side in parts["blocksize"])
        return f"{module}.bsr_matrix({inner}, blocksize={size})"
    return f"{module}.csr_matrix({inner})"
