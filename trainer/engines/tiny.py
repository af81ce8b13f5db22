"""Opens the toy model (``--engine tiny``): trained at first use, run by the PyTorch engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade.errors import UnknownNameError

if TYPE_CHECKING:
    from cascade.trainer.engines.local import LocalEngine

__all__ = ["open_tiny"]

_NAMES = ("toy", "tiny")


def open_tiny(model: str = "toy", **options: Any) -> LocalEngine:
    """Open the toy model; the first call on a machine trains it, for about a minute.

    Args:
        model: "toy".
        **options: fields of `cascade.trainer.engines.torch.TorchOptions`, and `show_progress`
            (default True): a progress bar on standard error while it is trained.

    Raises:
        UnknownNameError: another model's name; use the torch engine for that.
        ConfigError: torch is not installed, or the cache folder cannot be written.
    """
    from cascade.trainer.engines.torch import open_torch
    from cascade.trainer.models import require
    from cascade.trainer.toy import cached_toy

    if model not in _NAMES:
        raise UnknownNameError.near("toy model", model, _NAMES)
    require("torch", "transformers")
    show_progress = bool(options.pop("show_progress", True))
    folder = cached_toy(show_progress=show_progress)
    return open_torch(str(folder), **{"name": "toy"} | options)
