"""Records which experts a model's routers choose while it samples, for router replay in training.

Shapes: M tokens of a forward pass, L layers with experts, K experts per token.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cascade.errors import ConfigError
from cascade.trainer.moe import find_routers

__all__ = ["RouteRecorder"]


class RouteRecorder:
    """Listens to the routers of a model while it is asked to."""

    def __init__(self, model: nn.Module) -> None:
        """Hook into the routers.

        Raises:
            ConfigError: the model has none that are known.
        """
        self._seen: list[torch.Tensor] | None = None
        routers = find_routers(model)
        if not routers:
            raise ConfigError(
                f"record_routes is on, but {type(model).__name__} has no routers that are known"
            )
        for router in routers:
            router.module.register_forward_hook(self._note)

    def _note(self, module: Any, args: Any, output: Any) -> None:
        if self._seen is not None:
            self._seen.append(output[2])

    def start(self) -> None:
        """Listen to the next forward pass."""
        self._seen = []

    def stop(self) -> npt.NDArray[np.int16]:
        """Stop listening, and return the experts [M, L, K] of the pass."""
        assert self._seen is not None
        routes_M_L_K = torch.stack(self._seen, dim=1).to(torch.int16).cpu()
        self._seen = None
        return routes_M_L_K.numpy()
