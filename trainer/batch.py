"""A batch of samples as micro-batches of tensors, with the totals that their losses divide by.

Shapes: B rows, T tokens of a row or sample, N sampled tokens of a micro-batch, L layers with
experts, K experts per token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from cascade.errors import ConfigError, ContractError
from cascade.trainer.packing import Rows, first_fit, lay_out
from cascade.trainer.samples import Sample
from cascade.trainer.tokens import Totals

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["MicroBatch", "TrainSample", "column", "micro_batches", "totals_of"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainSample:
    """A sample and what the loss needs to know about it. Arrays are [T], read where `sampled`."""

    sample: Sample
    advantage: float | FloatArray = 0.0
    """Of its episode, or of each token."""
    old_logprobs: FloatArray | None = None
    """Nats under the weights at the start of the batch, where a batch gets several updates."""
    reference_logprobs: FloatArray | None = None
    """Nats under the reference model, for a KL term."""
    teacher_logprobs: FloatArray | None = None
    """Nats under the domain's teacher, for distillation."""
    candidate_ids: IntArray | None = None
    """[T, C] tokens at whose probabilities student and teacher are compared, for `MopdTopK`."""
    teacher_candidate_logprobs: FloatArray | None = None
    """[T, C] nats of the candidates under the domain's teacher."""


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """Rows that go through the model together. N runs over samples, then over their tokens."""

    indices: tuple[int, ...]
    """Which samples of the batch, in the order of `rows.places`."""
    rows: Rows
    source_N: torch.Tensor
    """Flat index (row * T + position) of the token before each sampled one: what predicts it."""
    ids_N: torch.Tensor
    """The sampled tokens."""
    count_of_sample: tuple[int, ...]
    """Sampled tokens of each sample; they add up to N."""
    is_padding_B_T: torch.Tensor
    routes_L_BT_K: torch.Tensor | None = None
    """Experts that the sampler chose for each token of the rows, -1 where it did not say."""


def micro_batches(
    samples: Sequence[Sample],
    *,
    row_tokens: int | None,
    micro_batch_tokens: int,
    packed: bool,
    pad_token_id: int = 0,
) -> list[MicroBatch]:
    """Split samples into micro-batches.

    Args:
        samples: any number.
        row_tokens: tokens of a row; None: of the longest sample.
        micro_batch_tokens: most tokens of a micro-batch, padding included (but at least one row).
        packed: whether several samples may share a row.
        pad_token_id: fills rows.

    Raises:
        ConfigError: a sample is longer than a row.
        ContractError: the first token of a sample counts as sampled.
    """
    for sample in samples:
        if len(sample.sampled) and sample.sampled[0]:
            raise ContractError(
                f"the first token of a sample of task {sample.task_id!r} counts as sampled, but "
                "nothing predicts it: a prompt must have at least one token"
            )
    lengths = [len(sample.token_ids) for sample in samples]
    longest = max(lengths, default=0)
    if row_tokens is not None and longest > row_tokens:
        raise ConfigError(
            f"a sample has {longest} tokens, but row_tokens is {row_tokens}: raise row_tokens, or "
            "lower the longest response"
        )
    if packed:
        rows = first_fit(lengths, row_tokens or longest)
    else:
        rows = [[i] for i in sorted(range(len(lengths)), key=lambda i: -lengths[i])]
    rows.sort(key=lambda row: -sum(lengths[i] for i in row))
    chunks: list[list[list[int]]] = []
    for row in rows:
        width = sum(lengths[i] for i in (chunks[-1][0] if chunks else row))
        if not chunks or (len(chunks[-1]) + 1) * width > micro_batch_tokens:
            chunks.append([])
        chunks[-1].append(row)
    return [_micro_batch(samples, chunk, pad_token_id) for chunk in chunks]


def _micro_batch(
    samples: Sequence[Sample], chunk: Sequence[Sequence[int]], pad_token_id: int
) -> MicroBatch:
    rows = lay_out(
        [[samples[i].token_ids for i in row] for row in chunk], pad_token_id=pad_token_id
    )
    indices = tuple(i for row in chunk for i in row)
    width = rows.input_ids_B_T.shape[1]
    sources, ids, counts = [], [], []
    is_padding = np.ones(rows.input_ids_B_T.shape, dtype=np.bool_)
    for i, place in zip(indices, rows.places, strict=True):
        [sampled] = np.nonzero(samples[i].sampled)
        sources.append(place.row * width + place.start + sampled - 1)
        ids.append(samples[i].token_ids[sampled])
        counts.append(len(sampled))
        is_padding[place.row, place.start : place.start + len(samples[i].token_ids)] = False
    return MicroBatch(
        indices,
        rows,
        torch.from_numpy(np.concatenate(sources)),
        torch.from_numpy(np.concatenate(ids)),
        tuple(counts),
        torch.from_numpy(is_padding),
        _routes(samples, indices, rows),
    )


def _routes(samples: Sequence[Sample], indices: Sequence[int], rows: Rows) -> torch.Tensor | None:
    """Lay recorded routes [T, L, K] out like the tokens they belong to."""
    given = next((r for i in indices if (r := samples[i].routed_experts) is not None), None)
    if given is None:
        return None
    routes = np.full((*rows.input_ids_B_T.shape, *given.shape[1:]), -1, dtype=np.int64)
    for i, place in zip(indices, rows.places, strict=True):
        of_sample = samples[i].routed_experts
        if of_sample is not None:
            routes[place.row, place.start : place.start + len(of_sample)] = of_sample
    return torch.from_numpy(routes).flatten(0, 1).transpose(0, 1).contiguous()


def column(
    micro: MicroBatch,
    samples: Sequence[Sample],
    value_of: Callable[[int], float | npt.NDArray[np.generic]],
) -> torch.Tensor:
    """Gather `value_of(sample i)`, a number or an array [T], at its sampled tokens: [N]."""
    parts = []
    for i, count in zip(micro.indices, micro.count_of_sample, strict=True):
        value = value_of(i)
        parts.append(
            value[samples[i].sampled] if isinstance(value, np.ndarray) else np.full(count, value)
        )
    return torch.from_numpy(np.concatenate(parts))


def totals_of(samples: Sequence[Sample], device: torch.device | str = "cpu") -> Totals:
    """Return the denominators of a batch."""
    tokens_of_sample = [sample.num_sampled for sample in samples]
    episodes = {episode: e for e, episode in enumerate(dict.fromkeys(s.episode for s in samples))}
    tokens_of_episode = [0] * len(episodes)
    tokens_of_domain = dict.fromkeys(sorted({sample.domain for sample in samples}), 0)
    for sample, count in zip(samples, tokens_of_sample, strict=True):
        tokens_of_episode[episodes[sample.episode]] += count
        tokens_of_domain[sample.domain] += count
    return Totals(
        num_tokens=sum(tokens_of_sample),
        num_samples=len(samples),
        num_episodes=len(episodes),
        tokens_of_sample_S=torch.tensor(tokens_of_sample, dtype=torch.float32, device=device),
        tokens_of_episode_E=torch.tensor(tokens_of_episode, dtype=torch.float32, device=device),
        domains=tuple(tokens_of_domain),
        tokens_of_domain=tuple(tokens_of_domain.values()),
    )
