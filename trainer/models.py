"""Opens causal language models and their tokenizers through transformers, with clear complaints."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.envs.hub import is_away
from cascade.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["end_token_ids", "load_model", "load_tokenizer", "look_up", "require", "torch_dtype"]

_EXTRAS = {"torch": "local", "transformers": "local", "vllm": "vllm"}


def require(*modules: str) -> None:
    """Check that the modules of an extra are installed, without importing them.

    Raises:
        ConfigError: one is missing; the message says which command installs it.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            extra = _EXTRAS[module]
            raise ConfigError(
                f"this engine needs {module}, which is not installed: "
                f"pip install 'cascade-rl[{extra}]'"
            )


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch data type called `name`.

    Raises:
        ConfigError: no floating type of that name.
    """
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise ConfigError(f"dtype must be one of {', '.join(known)}, got {name!r}")
    return known[name]


def look_up(model: str) -> None:
    """Find out, for a model that is no folder here, whether its hub can be asked at all."""
    if not Path(model).is_dir():
        is_away()


def load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a folder or hub id.

    Raises:
        ConfigError: there is none, or it cannot be loaded.
    """
    from transformers import AutoTokenizer

    look_up(model)
    try:
        return AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load a tokenizer for model {model!r}: {error}") from error


def load_model(model: str, *, dtype: str = "float32", device: str = "cpu") -> PreTrainedModel:
    """Load a causal language model in evaluation mode.

    Args:
        model: a folder with a transformers checkpoint, or a hub id.
        dtype: "float32", "bfloat16" or "float16".
        device: a torch device, such as "cpu" or "cuda:0".

    Raises:
        ConfigError: no such model, not a causal language model, or no such device.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r} was asked for, but torch finds no CUDA device")
    look_up(model)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch_dtype(dtype))
        return loaded.to(torch.device(device)).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"cannot load model {model!r} on {device}: {error}") from error


def end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the ids that end a message: the generation config's, else the tokenizer's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None)
