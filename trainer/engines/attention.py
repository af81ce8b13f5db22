"""Attention of one new token per row, without copying the cache.

With grouped queries G query heads share a key/value head. transformers repeats keys and values G
times for that, which copies the whole cache at every token. For one new token the G heads can be
laid out as G positions instead, and the cache is read as it lies.

Shapes: B rows, H query heads, C columns of the cache, D head dimension.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

__all__ = ["grouped_decoding"]

_NAME = "cascade_grouped_decoding"


def _attend(
    module: Any,
    query_B_H_1_D: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Implement transformers' attention interface for one token per row."""
    rows, heads, new, size = query_B_H_1_D.shape
    if new != 1:
        attended: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query_B_H_1_D, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return attended
    output = torch.nn.functional.scaled_dot_product_attention(
        query_B_H_1_D.reshape(rows, key.shape[1], -1, size),
        key,
        value,
        attn_mask=attention_mask,
        scale=scaling,
    )
    return output.reshape(rows, 1, heads, -1), None


@contextlib.contextmanager
def grouped_decoding(model: PreTrainedModel) -> Iterator[None]:
    """Attend so within, where the model uses torch's attention; elsewhere nothing changes."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    if before == "sdpa":
        ALL_ATTENTION_FUNCTIONS.register(_NAME, _attend)
        config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before
