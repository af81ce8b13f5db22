"""Opens the PyTorch engine (``--engine torch``). torch is imported only when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError
from cascade.trainer.engines import engine_options

if TYPE_CHECKING:
    from cascade.trainer.engines.local import LocalEngine

__all__ = ["TorchOptions", "open_torch"]


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """Options of the PyTorch engine."""

    dtype: str = "float32"
    """Data type of weights and cache: float32, bfloat16 or float16."""
    device: str = "cpu"
    """A torch device: cpu, cuda, cuda:1, …"""
    max_batch: int = 64
    """Most samples that are decoded together."""
    max_length: int | None = None
    """Prompt and completion together, in tokens; None: what the model was built for."""
    chat_template: str | None = None
    """Name of a template of ours or path of a .jinja file; None: the tokenizer's own."""
    experts: str | None = None
    """How transformers runs experts: grouped_mm, batched_mm or eager; None: its default."""
    prefix_cache_tokens: int = 65_536
    """Prompt tokens whose keys and values are kept for later requests."""
    record_routes: bool = False
    """Return which experts each token was sent to (Mixture-of-Experts models)."""
    name: str | None = None
    """The model's name in reports; None: as it was given."""

    def __post_init__(self) -> None:
        """Refuse sizes below 1."""
        for field in ("max_batch", "max_length"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ConfigError(f"{field} must be 1 or more, got {value!r}")


def open_torch(model: str, **options: Any) -> LocalEngine:
    """Open a transformers causal language model on this machine.

    Args:
        model: a folder with a checkpoint and tokenizer, or a hub id.
        **options: fields of `TorchOptions`.

    Raises:
        ConfigError: torch is not installed, the model cannot be opened, or a bad option.
    """
    from cascade.trainer.models import end_token_ids, load_model, load_tokenizer, require

    require("torch", "transformers")
    chosen = engine_options(TorchOptions, options)

    from cascade.trainer.engines.generate import ContinuousBatch
    from cascade.trainer.engines.local import LocalEngine
    from cascade.trainer.engines.prompts import PromptCodec

    tokenizer = load_tokenizer(model)
    loaded = load_model(model, dtype=chosen.dtype, device=chosen.device)
    if chosen.experts is not None:
        loaded.set_experts_implementation(chosen.experts)
    built_for = getattr(loaded.config.get_text_config(), "max_position_embeddings", None)
    max_length = chosen.max_length or built_for
    if max_length is None:
        raise ConfigError(f"{model} does not say how long its texts may be: pass max_length")
    codec = PromptCodec.of(
        tokenizer,
        max_length=max_length,
        end_ids=end_token_ids(loaded, tokenizer),
        chat_template=chosen.chat_template,
    )
    batch = ContinuousBatch(
        loaded,
        max_batch=chosen.max_batch,
        max_length=max_length,
        prefix_cache_tokens=chosen.prefix_cache_tokens,
        record_routes=chosen.record_routes,
    )
    return LocalEngine(batch, codec, name=chosen.name or model)
