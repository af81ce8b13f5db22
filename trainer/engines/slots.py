"""A preallocated key/value cache whose rows are requests of different lengths.

Row r of the cache holds the keys and values of one request in columns 0 to length_r - 1. Live
requests are kept in the first rows, so that a decoding step reads plain slices: nothing is
gathered, concatenated or padded anew. Shapes: S slots, B live rows, H key/value heads, C columns,
D head dimension, L layers, P prompt tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

__all__ = ["Prefix", "SlotCache"]

_BLOCK = 128


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """What the model computed for one prompt."""

    keys: tuple[torch.Tensor, ...]
    """L tensors [H, P, D]."""
    values: tuple[torch.Tensor, ...]
    logits_V: torch.Tensor
    """Logits of the token after the prompt."""
    routes: Any = None
    """[P, L, K] experts of its tokens, int16; None if they are not recorded."""

    @property
    def length(self) -> int:
        """P."""
        return int(self.keys[0].shape[1])


@dataclass(slots=True)
class _Frontier:
    """Where the layers read and write in the current step; shared by them all."""

    rows_B: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    columns_B: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    width: int = 0


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, [S, H, C, D]."""

    is_sliding = False

    def __init__(self, slots: int, frontier: _Frontier) -> None:
        super().__init__()
        self.slots = slots
        self.frontier = frontier

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        heads = key_states.shape[1]
        self.keys = key_states.new_zeros((self.slots, heads, 0, key_states.shape[-1]))
        self.values = value_states.new_zeros((self.slots, heads, 0, value_states.shape[-1]))
        self.is_initialized = True

    def reserve(self, columns: int) -> None:
        """Have at least `columns` columns, doubling so that copying stays rare."""
        held = self.keys.shape[2]
        if columns <= held:
            return
        new = max(-(-columns // _BLOCK) * _BLOCK, 2 * held)
        for name in ("keys", "values"):
            old = getattr(self, name)
            grown = old.new_zeros((self.slots, old.shape[1], new, old.shape[3]))
            grown[:, :, :held] = old
            setattr(self, name, grown)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, columns, width = self.frontier.rows_B, self.frontier.columns_B, self.frontier.width
        self.keys[rows, :, columns] = key_states[:, :, 0]
        self.values[rows, :, columns] = value_states[:, :, 0]
        return self.keys[: len(rows), :, :width], self.values[: len(rows), :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.frontier.width, 0

    def get_seq_length(self) -> int:
        return self.frontier.width - 1

    def get_max_length(self) -> int:
        return -1


class SlotCache(Cache):  # type: ignore[misc]
    """The cache that a model's forward writes one new token per live row into."""

    def __init__(self, num_layers: int, slots: int) -> None:
        self.frontier = _Frontier()
        super().__init__(layers=[_SlotLayer(slots, self.frontier) for _ in range(num_layers)])

    def load(self, row: int, prefix: Prefix) -> None:
        """Copy a prompt's keys and values into a row."""
        for layer, keys_H_P_D, values_H_P_D in zip(
            self.layers, prefix.keys, prefix.values, strict=True
        ):
            if not layer.is_initialized:
                layer.lazy_initialization(keys_H_P_D[None], values_H_P_D[None])
            layer.reserve(prefix.length + 1)
            layer.keys[row, :, : prefix.length] = keys_H_P_D
            layer.values[row, :, : prefix.length] = values_H_P_D

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` columns of one row over another."""
        for layer in self.layers:
            layer.keys[target, :, :length] = layer.keys[source, :, :length]
            layer.values[target, :, :length] = layer.values[source, :, :length]

    def advance(self, lengths_B: torch.Tensor) -> None:
        """Say that the next forward adds a token to rows 0 to B - 1, which hold `lengths_B`."""
        self.frontier.rows_B = torch.arange(len(lengths_B), device=lengths_B.device)
        self.frontier.columns_B = lengths_B
        self.frontier.width = int(lengths_B.max()) + 1
        for layer in self.layers:
            layer.reserve(self.frontier.width)
