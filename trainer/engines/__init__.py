"""Engines that run a model on this machine: PyTorch, vLLM, and the toy model for mini tasks.

They are found by name through the entry-point group ``cascade.engines``; each factory imports
torch or vLLM only when it is called.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from cascade.errors import UnknownNameError

__all__ = ["engine_options"]

_Config = TypeVar("_Config")


def engine_options(config: type[_Config], options: Mapping[str, Any]) -> _Config:
    """Build an engine's config dataclass from the options that a factory was called with.

    Raises:
        UnknownNameError: an option that the engine does not have.
    """
    known = {f.name for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise UnknownNameError.near("engine option", name, known)
    return config(**options)
