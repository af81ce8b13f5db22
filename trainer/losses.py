"""Losses of reinforcement learning and distillation: frozen dataclasses called with tokens.

Every loss has the form

    L = sum over tokens t of  share_t * (w_t * l_t + kl_coefficient * kl_t)

with l_t a term of the token, w_t the correction for sampling with other numerics (no gradient;
`corrections`), and share_t the token's share of the mean (`token_mean`, `response_mean`, …).
They differ in l_t and in their default share. `A_i` is the advantage of a token's episode, `sg` is
stop-gradient. Shapes: N sampled tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Protocol

import torch

from cascade.errors import ConfigError
from cascade.trainer.corrections import Correction, IcePop, no_correction
from cascade.trainer.settings import Range, check_fields
from cascade.trainer.tokens import (
    LossValue,
    Share,
    Tokens,
    Totals,
    fraction,
    mean_of_sample,
    response_mean,
    token_mean,
)

__all__ = ["Cispo", "Dapo", "DrGrpo", "Grpo", "Gspo", "Mopd", "MopdTopK", "k3", "k3_on_policy"]


Divergence = Callable[[Tokens, torch.Tensor], torch.Tensor]
"""Each token's estimate of KL(policy || reference), [N], from its reference log-probability."""


def k3(tokens: Tokens, reference_logprob_N: torch.Tensor) -> torch.Tensor:
    """Unbiased, never negative estimate of KL(policy || reference), nats, from sampled tokens.

    exp(d) - d - 1 with d = reference - policy (J. Schulman, "Approximating KL divergence"), as in
    GRPO. Its value is unbiased; its gradient is that of another divergence, see `k3_on_policy`.
    """
    difference_N = reference_logprob_N - tokens.logprob_N
    return difference_N.expm1() - difference_N


def k3_on_policy(tokens: Tokens, reference_logprob_N: torch.Tensor) -> torch.Tensor:
    """`k3` times exp(logprob - old_logprob): its gradient is unbiased too (DeepSeek-V3.2).

    The factor is 1 in value for one update a batch; its gradient is that of sampling.
    """
    ratio_N = (tokens.logprob_N - tokens.old_logprob_N).exp()
    return ratio_N * k3(tokens, reference_logprob_N)


@dataclass(frozen=True, slots=True)
class Grpo:
    """GRPO as published in Nemotron-Cascade 2 (arXiv 2603.19220, eq. 1).

    L = -1/(sum of |o_i|) * sum over i, t of w_t * A_i * exp(logprob_t - sg(logprob_t)):
    token-level, on-policy with one update a batch (so the ratio is exactly 1 and its gradient that
    of the log-probability), group mean and deviation in A_i (`advantages.normalised`), no KL.
    """

    correction: Correction = no_correction
    """Weight for the difference between sampler and trainer."""
    kl_coefficient: float = 0.0
    """Of the estimated KL(policy || reference); the published RLHF stage uses 0.03."""
    divergence: Divergence = k3
    share: Share = token_mean

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        ratio_N = (tokens.logprob_N - tokens.logprob_N.detach()).exp()
        return _policy_loss(self, tokens, totals, -ratio_N * tokens.advantage_N, {})


@dataclass(frozen=True, slots=True)
class DrGrpo:
    """Dr. GRPO (arXiv 2503.20783): no length and no difficulty bias. Use `advantages.centred`.

    L = -1/(E * max_tokens) * sum of w_t * min(ratio_t A_i, clip(ratio_t, 1 ± clip) A_i), ratio_t =
    exp(logprob_t - old_logprob_t): the denominator is a constant, not the tokens drawn.
    """

    max_tokens: Annotated[int, Range(1)]
    """Most tokens of a response: the constant denominator."""
    clip: float = 0.2
    correction: Correction = no_correction
    kl_coefficient: float = 0.0
    divergence: Divergence = k3

    def __post_init__(self) -> None:
        """Refuse a denominator of 0."""
        check_fields(self)

    def share(self, tokens: Tokens, totals: Totals) -> torch.Tensor:
        """1 / (episodes * max_tokens)."""
        share = 1.0 / (totals.num_episodes * self.max_tokens)
        return torch.full_like(tokens.advantage_N, share)

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        ratio_N = (tokens.logprob_N - tokens.old_logprob_N).exp()
        loss_N, clipped_N = _clipped(ratio_N, tokens.advantage_N, self.clip, self.clip)
        metrics = {"ratio/clipped_fraction": fraction(clipped_N, totals)}
        return _policy_loss(self, tokens, totals, loss_N, metrics)


@dataclass(frozen=True, slots=True)
class Dapo:
    """DAPO (arXiv 2503.14476): token-level, with more room for likelier tokens (clip higher).

    L = -1/(tokens) * sum of w_t * min(ratio_t A_i, clip(ratio_t, 1 - clip_low, 1 + clip_high) A_i).
    """

    clip_low: float = 0.2
    clip_high: float = 0.28
    correction: Correction = no_correction
    kl_coefficient: float = 0.0
    divergence: Divergence = k3
    share: Share = token_mean

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        ratio_N = (tokens.logprob_N - tokens.old_logprob_N).exp()
        loss_N, clipped_N = _clipped(ratio_N, tokens.advantage_N, self.clip_low, self.clip_high)
        metrics = {"ratio/clipped_fraction": fraction(clipped_N, totals)}
        return _policy_loss(self, tokens, totals, loss_N, metrics)


@dataclass(frozen=True, slots=True)
class Gspo:
    """GSPO (arXiv 2507.18071, eqs 5 and 7): the ratio is the sample's geometric mean.

    s_i = exp(mean over its tokens of (logprob_t - old_logprob_t)); L = -(mean over responses) of
    min(s_i A_i, clip(s_i, 1 - clip_low, 1 + clip_high) A_i). A response is an episode; an episode
    that forked into several samples has one s per sample, weighted by their tokens.
    """

    clip_low: float = 3e-4
    clip_high: float = 4e-4
    correction: Correction = no_correction
    kl_coefficient: float = 0.0
    divergence: Divergence = k3
    share: Share = response_mean

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        mean_N = mean_of_sample(tokens.logprob_N - tokens.old_logprob_N, tokens, totals)
        loss_N, clipped_N = _clipped(
            mean_N.exp(), tokens.advantage_N, self.clip_low, self.clip_high
        )
        metrics = {"ratio/clipped_fraction": fraction(clipped_N, totals)}
        return _policy_loss(self, tokens, totals, loss_N, metrics)


@dataclass(frozen=True, slots=True)
class Cispo:
    """CISPO (MiniMax-M1, arXiv 2506.13585, eq. 4): the weight is cut, no token loses its gradient.

    L = -1/(tokens) * sum of w_t * sg(min(ratio_t, max_ratio)) * A_i * logprob_t.
    """

    max_ratio: float = 5.0
    """MiniMax does not publish its bound; 4 to 8 work alike in arXiv 2510.13786."""
    correction: Correction = no_correction
    kl_coefficient: float = 0.0
    divergence: Divergence = k3
    share: Share = token_mean

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        ratio_N = (tokens.logprob_N.detach() - tokens.old_logprob_N).exp()
        loss_N = -ratio_N.clamp(max=self.max_ratio) * tokens.advantage_N * tokens.logprob_N
        metrics = {"ratio/clipped_fraction": fraction(ratio_N > self.max_ratio, totals)}
        return _policy_loss(self, tokens, totals, loss_N, metrics)


@dataclass(frozen=True, slots=True)
class Mopd:
    """Multi-domain on-policy distillation (arXiv 2603.19220, eqs 2 to 4; arXiv 2601.02780).

    a_t = teacher_logprob_t - logprob_t on the sampled token alone; r_t = exp(logprob_t -
    sampler_logprob_t); w_t = sg[r_t] where 0.5 <= r_t <= 2, else 0;
    L = -(mean over responses of the mean over their tokens) of w_t * sg[a_t] * logprob_t.
    No baseline, no standard deviation, no KL. With the defaults it is exactly that.
    """

    correction: Correction = field(default_factory=lambda: IcePop(0.5, 2.0))
    """w_t from r_t; `Tis(5.0, floor=0.2)` clamps instead of masking, as Nemotron 3 Ultra does."""
    outcome_weight: float = 0.0
    """alpha of MiMo-V2-Flash: a_t = sg[teacher_logprob_t - logprob_t] + alpha * A_i."""
    share: Share = response_mean
    """Where domains are balanced: another share puts other weights on their tokens."""

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        if tokens.teacher_logprob_N is None:
            raise ConfigError("Mopd needs teacher_logprobs in every TrainSample of the batch")
        logprob_N = tokens.logprob_N.detach()
        weight_N = self.correction(replace(tokens, old_logprob_N=logprob_N), totals)
        gap_N = tokens.teacher_logprob_N - logprob_N
        advantage_N = gap_N + self.outcome_weight * tokens.advantage_N
        share_N = self.share(tokens, totals)
        loss = -(share_N * weight_N * advantage_N * tokens.logprob_N).sum()
        metrics = {
            "ratio/masked_fraction": fraction(weight_N == 0, totals),
            "teacher/gap": float(gap_N.sum()) / max(1, totals.num_tokens),
            "teacher/absolute_gap": float(gap_N.abs().sum()) / max(1, totals.num_tokens),
            **_pulls(share_N * weight_N * advantage_N, tokens, totals),
        }
        return LossValue(loss, metrics)


@dataclass(frozen=True, slots=True)
class MopdTopK:
    """Distillation that compares student and teacher at C candidates of each position.

    Generalised KL on the un-normalised mass of the candidates (arXiv 2606.30406):
    l_t = sum over c of p_c (log p_c - log q_c) - p_c + q_c, p the student's, q the teacher's;
    L = (mean over responses of the mean over their tokens) of w_t * l_t, with `Mopd`'s w_t. It is
    never negative, 0 only where both agree, and with the whole vocabulary as candidates exactly
    KL(p || q). The plain reverse KL of a truncated list, without the last two terms, is not.
    """

    correction: Correction = field(default_factory=lambda: IcePop(0.5, 2.0))
    """See `Mopd`: the position was still drawn by the sampler."""
    share: Share = response_mean
    """See `Mopd`."""

    def __call__(self, tokens: Tokens, totals: Totals) -> LossValue:
        """Return the part of a micro-batch."""
        student_N_C = tokens.candidate_logprob_N_C
        teacher_N_C = tokens.teacher_candidate_logprob_N_C
        if student_N_C is None or teacher_N_C is None:
            raise ConfigError(
                "MopdTopK needs candidate_ids and teacher_candidate_logprobs in every TrainSample"
            )
        on_policy = replace(tokens, old_logprob_N=tokens.logprob_N.detach())
        weight_N = self.correction(on_policy, totals)
        p_N_C = student_N_C.exp()
        loss_N = (p_N_C * (student_N_C - teacher_N_C) - p_N_C + teacher_N_C.exp()).sum(-1)
        share_N = self.share(tokens, totals)
        metrics = {
            "ratio/masked_fraction": fraction(weight_N == 0, totals),
            "teacher/divergence": float(loss_N.detach().sum()) / max(1, totals.num_tokens),
            **_pulls(share_N * weight_N * loss_N.detach(), tokens, totals),
        }
        return LossValue((share_N * weight_N * loss_N).sum(), metrics)


def _pulls(pull_N: torch.Tensor, tokens: Tokens, totals: Totals) -> dict[str, float]:
    """Per domain, the sum of the absolute factors of its tokens' gradients: ``pull/DOMAIN``."""
    sums = pull_N.new_zeros(len(totals.domains)).index_add(0, tokens.domain_N, pull_N.abs())
    return {f"pull/{name}": part for name, part in zip(totals.domains, sums.tolist(), strict=True)}


class _PolicyLoss(Protocol):
    """What the policy-gradient losses have in common."""

    @property
    def correction(self) -> Correction: ...
    @property
    def kl_coefficient(self) -> float: ...
    @property
    def divergence(self) -> Divergence: ...
    @property
    def share(self) -> Share: ...


def _policy_loss(
    loss: _PolicyLoss,
    tokens: Tokens,
    totals: Totals,
    loss_N: torch.Tensor,
    metrics: Mapping[str, float],
) -> LossValue:
    """Weigh the tokens' terms, add the KL term, and sum."""
    share_N = loss.share(tokens, totals)
    weight_N = loss.correction(tokens, totals)
    total = (share_N * weight_N * loss_N).sum()
    all_metrics = {
        **metrics,
        "ratio/masked_fraction": fraction(weight_N == 0, totals),
        "ratio/weight_mean": float(weight_N.sum()) / max(1, totals.num_tokens),
    }
    if loss.kl_coefficient:
        if tokens.reference_logprob_N is None:
            raise ConfigError(
                f"kl_coefficient is {loss.kl_coefficient!r}, which needs reference_logprobs in "
                "every TrainSample of the batch"
            )
        kl_N = loss.divergence(tokens, tokens.reference_logprob_N)
        total = total + loss.kl_coefficient * (share_N * kl_N).sum()
        all_metrics["kl"] = float(kl_N.detach().sum()) / max(1, totals.num_tokens)
    return LossValue(total, all_metrics)


def _clipped(
    ratio_N: torch.Tensor, advantage_N: torch.Tensor, low: float, high: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """PPO's pessimistic term, and where the clip took the gradient."""
    free_N = ratio_N * advantage_N
    bounded_N = ratio_N.clamp(1 - low, 1 + high) * advantage_N
    return -torch.minimum(free_N, bounded_N), bounded_N < free_N
