"""Packs token rows: several texts share a row, told apart by positions that start again from 0.

Shapes: B rows of a batch, T tokens of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cascade.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from transformers import PreTrainedModel

__all__ = ["Place", "Rows", "first_fit", "lay_out", "packing_error", "packing_is_exact"]

_EXACT = 1e-4
"""Largest difference of a log-probability, in nats, that rounding explains; leaks are larger."""


class Place(NamedTuple):
    """Where a text lies: row, and first token in it."""

    row: int
    start: int


class Rows(NamedTuple):
    """Texts laid out for a model."""

    input_ids_B_T: torch.Tensor
    position_ids_B_T: torch.Tensor
    """Starts again from 0 at each text: transformers keeps packed texts apart by it. Padding
    continues the last text, so that a row of one text needs no mask."""
    places: tuple[Place, ...]
    """Of each text, in the order of the rows."""


def first_fit(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Put texts of these lengths into few rows: the longest first, each into the first with room.

    First-fit decreasing needs at most 11/9 of the rows of the best packing, plus one.

    Returns:
        Indices into `lengths`, row by row; each index once.

    Raises:
        ConfigError: a text is longer than a row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[i]
        if length > row_tokens:
            raise ConfigError(
                f"a sample has {length} tokens, but row_tokens is {row_tokens}: raise row_tokens, "
                "or lower the longest response"
            )
        row = next((r for r, free in enumerate(room) if free >= length), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(row_tokens)
        rows[row].append(i)
        room[row] -= length
    return rows


def lay_out(
    rows: Sequence[Sequence[Sequence[int] | npt.NDArray[np.int64]]],
    *,
    row_tokens: int | None = None,
    pad_token_id: int = 0,
) -> Rows:
    """Lay packed texts out as tensors, padded to `row_tokens` or else to the longest row."""
    import numpy as np
    import torch

    width = row_tokens or max(sum(map(len, row)) for row in rows)
    input_ids = np.full((len(rows), width), pad_token_id, dtype=np.int64)
    positions = np.empty((len(rows), width), dtype=np.int64)
    places = []
    for b, row in enumerate(rows):
        start = 0
        for text in row:
            end = start + len(text)
            input_ids[b, start:end] = text
            positions[b, start:] = np.arange(width - start)
            places.append(Place(b, start))
            start = end
    return Rows(torch.from_numpy(input_ids), torch.from_numpy(positions), tuple(places))


def packing_error(model: PreTrainedModel) -> float:
    """Largest difference of a log-probability, in nats, between a text packed and alone.

    Runs a few dozen tokens through the model; weights and random state stay as they are.
    """
    import torch

    vocabulary = model.config.get_text_config().vocab_size
    texts = [[(7 * i + 11 * j + 3) % vocabulary for j in range(5 + i)] for i in range(4)]

    def logprobs(rows: Rows) -> torch.Tensor:
        logits_B_T_V = model(
            input_ids=rows.input_ids_B_T.to(model.device),
            position_ids=rows.position_ids_B_T.to(model.device),
            use_cache=False,
        ).logits
        result: torch.Tensor = logits_B_T_V.float().log_softmax(-1)
        return result

    training = model.training
    model.eval()
    with torch.no_grad():
        packed = torch.split(logprobs(lay_out([texts]))[0], [len(text) for text in texts])
        alone = [logprobs(lay_out([[text]]))[0] for text in texts]
    model.train(training)
    return max(float((a - b).abs().max()) for a, b in zip(packed, alone, strict=True))


def packing_is_exact(model: PreTrainedModel) -> bool:
    """Whether texts in one row do not see each other.

    Layers that carry a state along the row (Mamba in transformers' NemotronH) let a text leak
    into the next one; such a model must be given one text a row.
    """
    limit = _EXACT if model.dtype.itemsize >= 4 else 0.1
    return packing_error(model) <= limit
