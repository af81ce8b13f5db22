"""What differs between families of Mixture-of-Experts models in transformers: their routers.

A router of these families is a module that returns (logits, weights, indices) for flat tokens.
Shapes: M tokens of a forward pass (rows * positions), X experts, K experts per token, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cascade.errors import ConfigError

__all__ = [
    "Router",
    "expert_biases",
    "find_routers",
    "freeze",
    "load_metrics",
    "require_expert_biases",
    "update_expert_biases",
]

_BIAS = "e_score_correction_bias"


@dataclass(frozen=True, slots=True, eq=False)
class Router:
    """One layer's router."""

    name: str
    """Path of the module in the model."""
    module: Any
    num_experts: int
    weigh: Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]
    """(module, logits_M_X, indices_M_K) -> the weights [M, K] that the family gives these experts;
    gradients reach the router through the logits."""


def _weigh_qwen3(module: Any, logits_M_X: torch.Tensor, indices_M_K: torch.Tensor) -> torch.Tensor:
    """Softmax over all experts, then normalised over the chosen ones if so configured."""
    probs_M_X = logits_M_X.softmax(-1, dtype=torch.float32)
    weights_M_K = probs_M_X.gather(-1, indices_M_K)
    if module.norm_topk_prob:
        weights_M_K = weights_M_K / weights_M_K.sum(-1, keepdim=True)
    return weights_M_K.to(logits_M_X.dtype)


def _weigh_gpt_oss(
    module: Any, logits_M_X: torch.Tensor, indices_M_K: torch.Tensor
) -> torch.Tensor:
    """Softmax over the chosen experts' logits."""
    return logits_M_X.gather(-1, indices_M_K).softmax(-1)


def _weigh_nemotron_h(
    module: Any, logits_M_X: torch.Tensor, indices_M_K: torch.Tensor
) -> torch.Tensor:
    """Sigmoid scores, without the bias that only chooses, normalised and scaled."""
    weights_M_K = logits_M_X.sigmoid().gather(-1, indices_M_K)
    if module.norm_topk_prob:
        weights_M_K = weights_M_K / (weights_M_K.sum(-1, keepdim=True) + 1e-20)
    scale: float = module.routed_scaling_factor
    return weights_M_K * scale


_FAMILIES = {
    "Qwen3MoeTopKRouter": _weigh_qwen3,
    "GptOssTopKRouter": _weigh_gpt_oss,
    "NemotronHTopkRouter": _weigh_nemotron_h,
}


def find_routers(model: nn.Module) -> tuple[Router, ...]:
    """Return the model's routers in the order of its layers; none for a dense model."""
    return tuple(
        Router(name, module, module.num_experts, _FAMILIES[type(module).__name__])
        for name, module in model.named_modules()
        if type(module).__name__ in _FAMILIES
    )


def freeze(routers: Sequence[Router]) -> None:
    """Take the routers' parameters out of training; their expert biases can still be updated."""
    for router in routers:
        for parameter in router.module.parameters():
            parameter.requires_grad_(False)


def load_metrics(counts_L_X: torch.Tensor) -> dict[str, float]:
    """Describe how evenly tokens were spread over experts.

    Args:
        counts_L_X: tokens that each expert of each layer was given.

    Returns:
        `router/max_load`, the busiest expert's tokens over the mean (1 is even), and
        `router/dead_experts`, how many got none: of the worst layer, and by layer
        (`router/0/max_load`).
    """
    load_L_X = counts_L_X / counts_L_X.mean(-1, keepdim=True).clamp(min=1e-9)
    max_L, dead_L = load_L_X.amax(-1).tolist(), (counts_L_X == 0).sum(-1).tolist()
    metrics = {"router/max_load": max(max_L), "router/dead_experts": float(max(dead_L))}
    for i, (load, dead) in enumerate(zip(max_L, dead_L, strict=True)):
        metrics[f"router/{i}/max_load"] = load
        metrics[f"router/{i}/dead_experts"] = float(dead)
    return metrics


def expert_biases(routers: Sequence[Router]) -> dict[str, torch.Tensor]:
    """Return the biases [X] that choose experts, by router; none where the family has no such bias.

    They are buffers, not parameters: no gradient reaches them, and what copies only parameters
    forgets them.
    """
    return {
        f"{router.name}.{_BIAS}": getattr(router.module, _BIAS)
        for router in routers
        if hasattr(router.module, _BIAS)
    }


def require_expert_biases(routers: Sequence[Router]) -> None:
    """Check that every router has a bias.

    Raises:
        ConfigError: one has none.
    """
    count = len(expert_biases(routers))
    if count != len(routers) or not routers:
        raise ConfigError(
            "expert_bias_rate needs routers with an expert bias (NemotronH has it); "
            f"{count} of the model's {len(routers)} routers have one: set it to 0"
        )


@torch.no_grad()
def update_expert_biases(routers: Sequence[Router], counts_L_X: torch.Tensor, rate: float) -> None:
    """Balance loads without an auxiliary loss: raise the bias of idle experts, lower others'.

    b_x += rate * sign(mean load - load_x) (arXiv 2408.15664; DeepSeek-V3 and Nemotron use 1e-3).

    Raises:
        ConfigError: the model's routers have no such bias.
    """
    require_expert_biases(routers)
    for bias_X, counts_X in zip(expert_biases(routers).values(), counts_L_X, strict=True):
        bias_X += rate * (counts_X.mean() - counts_X).sign().to(bias_X)
