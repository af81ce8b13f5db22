"""Weight merging by task arithmetic: what distillation has to beat.

merged = base + scale * sum over teachers of (teacher - base) (arXiv 2212.04089). It needs no data
and no training, and naive distillation has lost to it (arXiv 2608.19098: 28.05 against 30.46).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cascade.errors import ConfigError

__all__ = ["merge_weights"]


def merge_weights(base: Path, teachers: Sequence[Path], target: Path, *, scale: float) -> Path:
    """Write the merge of `teachers`, all trained from `base`, to the new folder `target`.

    Args:
        base: the checkpoint that the teachers started from.
        teachers: theirs; give equal ones once.
        target: folder of the result, with the tokenizer of `base`.
        scale: factor of the summed differences; 1 / number of teachers is their mean.

    Raises:
        ConfigError: no teachers, a scale that is not positive, or another architecture.
        DataError: a checkpoint cannot be loaded.
    """
    import torch

    from cascade.trainer.checkpoint import load_weights, save_model
    from cascade.trainer.models import load_tokenizer

    if not teachers:
        raise ConfigError("a merge needs at least one teacher, got none")
    if not scale > 0:
        raise ConfigError(f"scale must be above 0, got {scale!r}")
    model = load_weights(base, dtype="float32", device="cpu")
    ours: dict[str, Any] = model.state_dict()
    total = {name: torch.zeros_like(tensor) for name, tensor in ours.items()}
    for folder in teachers:
        theirs = load_weights(folder, dtype="float32", device="cpu").state_dict()
        for name, tensor in ours.items():
            if name not in theirs or theirs[name].shape != tensor.shape:
                raise ConfigError(f"teacher {folder} is of another architecture: {name} differs")
            if tensor.is_floating_point():
                total[name] += theirs[name] - tensor
    with torch.no_grad():
        for name, tensor in ours.items():
            if tensor.is_floating_point():
                tensor += scale * total[name]
    return save_model(target.parent, target.name, model, load_tokenizer(str(base)))
