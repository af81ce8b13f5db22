"""Router replay (R3, arXiv 2510.11370): train through the experts that the sampler used.

Sampler and trainer round differently, so their routers choose other experts for some tokens, and
the ratio of their probabilities jumps. Replay takes the sampler's choice and weighs it with the
trainer's own logits: the gradient still reaches the router.

Shapes: M tokens of a forward pass (rows * positions), X experts, K experts per token, L layers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from cascade.errors import ContractError
from cascade.trainer.moe import Router

__all__ = ["RouteCounts", "RouterTaps"]


class RouteCounts(NamedTuple):
    """What routers did between two calls of `RouterTaps.take`."""

    counts_L_X: torch.Tensor
    """float64, tokens given to each expert of each layer; padding does not count."""
    agreed: float
    """Experts that were replayed and that the router would have chosen as well."""
    replayed: float
    """Experts that were replayed."""


class RouterTaps:
    """Hooks on a model's routers that replay routes and count what goes where.

    They act within `over` alone; elsewhere (sampling, for one) routers are as they were.
    With activation checkpointing a layer runs twice, both times on the same routes: counts double,
    their ratios stay.
    """

    def __init__(self, routers: Sequence[Router]) -> None:
        """Hook into the routers; `close` removes the hooks."""
        self._routers = tuple(routers)
        self._handles = [
            router.module.register_forward_hook(self._hook(layer, router))
            for layer, router in enumerate(self._routers)
        ]
        self._active = False
        self._routes_L_M_K: torch.Tensor | None = None
        self._is_real_M = torch.empty(0, dtype=torch.bool)
        self._reset()

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    @contextlib.contextmanager
    def over(
        self, is_padding_B_T: torch.Tensor, routes_L_M_K: torch.Tensor | None
    ) -> Iterator[None]:
        """Replay and count in the forward and backward passes within.

        Args:
            is_padding_B_T: tokens that do not count.
            routes_L_M_K: experts of each token; a token with a -1 takes its natural route, and so
                do all if None.

        Raises:
            ContractError: the routes have other layers than the model.
        """
        if routes_L_M_K is not None and len(routes_L_M_K) != len(self._routers):
            raise ContractError(
                f"the sampler recorded routes of {len(routes_L_M_K)} layers, but the model has "
                f"{len(self._routers)} routers: it is another model"
            )
        self._active = True
        self._routes_L_M_K, self._is_real_M = routes_L_M_K, ~is_padding_B_T.flatten()
        try:
            yield
        finally:
            self._active = False
            self._routes_L_M_K = None

    def take(self) -> RouteCounts:
        """Return the counts since the last call, and start anew."""
        counts = torch.stack(self._counts) if self._counts else torch.zeros(0, 0)
        taken = RouteCounts(counts.cpu(), float(self._agreed), float(self._replayed))
        self._reset()
        return taken

    def _reset(self) -> None:
        self._counts = [
            torch.zeros(router.num_experts, dtype=torch.float64) for router in self._routers
        ]
        self._agreed: Any = 0.0
        self._replayed: Any = 0.0

    def _hook(self, layer: int, router: Router) -> Any:
        def hook(module: Any, args: Any, output: Any) -> Any:
            if not self._active:
                return None
            logits_M_X, weights_M_K, natural_M_K = output
            chosen_M_K = natural_M_K
            if self._routes_L_M_K is not None:
                routes_M_K = self._routes_L_M_K[layer]
                known_M_1 = (routes_M_K >= 0).all(-1, keepdim=True)
                chosen_M_K = torch.where(known_M_1, routes_M_K, natural_M_K)
                replayed_M_K = router.weigh(module, logits_M_X, chosen_M_K)
                weights_M_K = torch.where(known_M_1, replayed_M_K, weights_M_K)
                self._compare(chosen_M_K, natural_M_K, known_M_1[:, 0] & self._is_real_M)
            self._count(layer, chosen_M_K[self._is_real_M], router.num_experts)
            return logits_M_X, weights_M_K, chosen_M_K

        return hook

    @torch.no_grad()
    def _compare(
        self, chosen_M_K: torch.Tensor, natural_M_K: torch.Tensor, counted_M: torch.Tensor
    ) -> None:
        shared_M = (chosen_M_K[:, :, None] == natural_M_K[:, None]).any(-1).sum(-1)
        self._agreed = self._agreed + (shared_M * counted_M).sum()
        self._replayed = self._replayed + counted_M.sum() * chosen_M_K.shape[-1]

    @torch.no_grad()
    def _count(self, layer: int, chosen_R_K: torch.Tensor, num_experts: int) -> None:
        counts_X = torch.bincount(chosen_R_K.flatten(), minlength=num_experts)
        self._counts[layer] = self._counts[layer].to(counts_X.device) + counts_X
