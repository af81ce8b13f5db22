"""AdamW with the learning rate as a plain function of the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cascade.errors import ConfigError
from cascade.trainer.settings import Range, check_fields

if TYPE_CHECKING:
    import torch

__all__ = ["OptimizerConfig", "adamw", "learning_rate", "load_moments", "moments"]


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """How gradients change weights."""

    peak_learning_rate: Annotated[float, Range(above=0)] = 3e-6
    """Reached after the warm-up; the published RL stages use 3e-6."""
    initial_learning_rate: Annotated[float, Range(0)] = 0.0
    """Where the linear warm-up starts."""
    warmup_steps: Annotated[int, Range(0)] = 0
    """Updates of warm-up; 0 starts at the peak."""
    decay_steps: Annotated[int, Range(1)] | None = None
    """Updates of linear decay after the warm-up; None keeps the peak."""
    final_learning_rate: Annotated[float, Range(0)] = 0.0
    """Where the decay ends."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    epsilon: Annotated[float, Range(above=0)] = 1e-8
    """Added to the root of AdamW's second moment."""
    weight_decay: Annotated[float, Range(0)] = 0.0
    """Decoupled decay; not applied to vectors (norms, biases)."""
    max_grad_norm: Annotated[float, Range(above=0)] = 1.0
    """Gradients are scaled down to this global norm."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        check_fields(self)
        for name in ("initial_learning_rate", "final_learning_rate"):
            if getattr(self, name) > self.peak_learning_rate:
                raise ConfigError(
                    f"{name} must be at most peak_learning_rate "
                    f"({self.peak_learning_rate!r}), got {getattr(self, name)!r}"
                )


def learning_rate(step: int, config: OptimizerConfig) -> float:
    """Linear warm-up to the peak, then constant or a linear decay; `step` counts from 0."""
    peak = config.peak_learning_rate
    if step < config.warmup_steps:
        rise = peak - config.initial_learning_rate
        return config.initial_learning_rate + rise * (step + 1) / config.warmup_steps
    if config.decay_steps is None:
        return peak
    done = min(1.0, (step - config.warmup_steps) / config.decay_steps)
    return peak + done * (config.final_learning_rate - peak)


def adamw(
    model: torch.nn.Module,
    *,
    betas: tuple[float, float],
    weight_decay: float,
    epsilon: float = 1e-8,
) -> torch.optim.AdamW:
    """Build the optimizer of all parameters that take gradients; vectors are not decayed."""
    import torch

    trained = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=betas, eps=epsilon, fused=True)


def moments(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, torch.Tensor]]:
    """Return the optimizer's state by name of parameter, whole and on the CPU.

    Every rank must call it for a sharded model; each gets all of it.
    """
    from torch.distributed.tensor import DTensor

    return {
        name: {
            key: (t.full_tensor() if isinstance(t, DTensor) else t).cpu().clone()
            for key, t in optimizer.state[parameter].items()
        }
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


def load_moments(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Mapping[str, torch.Tensor]],
) -> None:
    """Go on from the state that `moments` gave, of a model that may have been sharded otherwise.

    Raises:
        ConfigError: it is of a model with other parameters.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    parameters = dict(model.named_parameters())
    for name, tensors in state.items():
        parameter = parameters.get(name)
        if parameter is None or tensors["exp_avg"].shape != parameter.shape:
            raise ConfigError(f"the optimizer's state is of another model: {name} does not fit")
        placed: dict[str, torch.Tensor] = {}
        for key, value in tensors.items():
            if isinstance(parameter, DTensor) and value.ndim:
                # Every rank has the whole tensor and cuts its own part out of it.
                placed[key] = distribute_tensor(
                    value.to(parameter.device), parameter.device_mesh, parameter.placements,
                    src_data_rank=None,
                )  # fmt: skip
            else:
                placed[key] = value.to(parameter.device).clone()
        optimizer.state[parameter] = placed
