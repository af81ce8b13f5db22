"""What a loss sees: a micro-batch's sampled tokens, and the totals of the whole batch.

A loss is called once per micro-batch. What it returns adds up: the sum over micro-batches and ranks
is the loss of the batch, whatever the split, because every denominator comes from `Totals`.

Shapes: N sampled tokens of a micro-batch, C candidates of a token, S samples of the batch, E
episodes of the batch. Log-probabilities are in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

__all__ = [
    "Loss",
    "LossValue",
    "Share",
    "Tokens",
    "Totals",
    "fraction",
    "mean_of_sample",
    "response_mean",
    "token_mean",
]


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The sampled tokens of a micro-batch, flat; samples are whole and follow one another."""

    logprob_N: torch.Tensor
    """Under the weights being trained; the only tensor with a gradient."""
    old_logprob_N: torch.Tensor
    """Under the weights at the start of the batch; sg(logprob_N) for one update a batch."""
    sampler_logprob_N: torch.Tensor
    """As the engine reported it."""
    advantage_N: torch.Tensor
    entropy_N: torch.Tensor
    sample_N: torch.Tensor
    """int64, index of its sample in the batch, from 0 to S - 1."""
    episode_N: torch.Tensor
    """int64, index of its episode in the batch, from 0 to E - 1; an episode's samples share it."""
    domain_N: torch.Tensor
    """int64, index into `Totals.domains`."""
    reference_logprob_N: torch.Tensor | None = None
    """For a KL term."""
    teacher_logprob_N: torch.Tensor | None = None
    """For distillation."""
    candidate_logprob_N_C: torch.Tensor | None = None
    """Of the candidates under the weights being trained; has a gradient."""
    teacher_candidate_logprob_N_C: torch.Tensor | None = None
    """Of the candidates under the domain's teacher."""


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Denominators: what the whole batch holds, over all micro-batches and ranks."""

    num_tokens: int
    """Sampled tokens."""
    num_samples: int
    num_episodes: int
    tokens_of_sample_S: torch.Tensor
    """float, sampled tokens of each sample."""
    tokens_of_episode_E: torch.Tensor
    """float, sampled tokens of each episode."""
    domains: tuple[str, ...]
    """Names, sorted."""
    tokens_of_domain: tuple[int, ...]
    """Sampled tokens of each domain."""


class LossValue(NamedTuple):
    """A micro-batch's part of the loss and of its metrics."""

    loss: torch.Tensor
    """Scalar; adds up over micro-batches."""
    metrics: Mapping[str, float]
    """Parts that add up over micro-batches to the batch's value, such as its mean."""


class Loss(Protocol):
    """What `Policy.update` takes."""

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        ...


Share = Callable[[Tokens, Totals], torch.Tensor]
"""Each token's share of the mean, [N], without gradient; over a batch they mostly add up to 1."""


def token_mean(tokens: Tokens, totals: Totals) -> torch.Tensor:
    """1 / (tokens of the batch): all tokens count alike, as in Nemotron-Cascade 2 and DAPO."""
    return torch.full_like(tokens.advantage_N, 1.0 / max(1, totals.num_tokens))


def response_mean(tokens: Tokens, totals: Totals) -> torch.Tensor:
    """1 / (episodes * tokens of its episode): a mean of responses, each the mean of its tokens."""
    return 1.0 / (totals.num_episodes * totals.tokens_of_episode_E[tokens.episode_N])


def fraction(mask_N: torch.Tensor, totals: Totals) -> float:
    """Return this micro-batch's part of the fraction of the batch's tokens in `mask_N`."""
    return float(mask_N.sum()) / max(1, totals.num_tokens)


def mean_of_sample(value_N: torch.Tensor, tokens: Tokens, totals: Totals) -> torch.Tensor:
    """Mean of `value_N` over the tokens of each one's sample, [N]."""
    sum_S = value_N.new_zeros(totals.num_samples).index_add(0, tokens.sample_N, value_N)
    return (sum_S / totals.tokens_of_sample_S.clamp(min=1))[tokens.sample_N]
