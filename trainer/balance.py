"""Balance between domains in distillation: how much of the gradient each one gets.

Under a mean over tokens a domain of short responses hardly counts: in one published run instruction
following had 20 % of the prompts and 1 % of the tokens, and distillation recovered 36 % of the
headroom against 83 % with balance (arXiv 2608.19098). A balance gives the loss its `Share`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol

from cascade.errors import ContractError
from cascade.trainer.settings import Range, check_fields

if TYPE_CHECKING:
    import torch

    from cascade.trainer.tokens import Share, Tokens, Totals

__all__ = ["Balance", "EvenDomains", "FollowGaps", "ResponseMean", "TokenMean"]


class Balance(Protocol):
    """Decides the tokens' shares of an update."""

    @property
    def needs_gaps(self) -> bool:
        """Whether `share` wants the gaps of this batch under the present weights."""
        ...

    def share(self, gaps: Mapping[str, float]) -> Share:
        """Return the share of the next update.

        Args:
            gaps: domain -> mean over its sampled tokens of abs(teacher - student), in nats; empty
                unless `needs_gaps`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ResponseMean:
    """Each response counts the same, whatever its length: as published."""

    needs_gaps: bool = field(default=False, init=False)

    def share(self, gaps: Mapping[str, float]) -> Share:
        """Return the mean over responses of the mean over their tokens."""
        from cascade.trainer.tokens import response_mean

        return response_mean


@dataclass(frozen=True, slots=True)
class TokenMean:
    """Each token counts the same: long responses take the gradient. For comparison."""

    needs_gaps: bool = field(default=False, init=False)

    def share(self, gaps: Mapping[str, float]) -> Share:
        """Return the mean over tokens."""
        from cascade.trainer.tokens import token_mean

        return token_mean


@dataclass(frozen=True, slots=True)
class EvenDomains:
    """Each domain counts the same: its tokens weigh (1 / domains) / (its share of the tokens)."""

    needs_gaps: bool = field(default=False, init=False)

    def share(self, gaps: Mapping[str, float]) -> Share:
        """Return the mean over domains of the mean over their tokens."""
        return _Weighted({})


@dataclass(frozen=True, slots=True)
class FollowGaps:
    """Domains where the student is further from its teacher count more, on top of `EvenDomains`.

    The factor is a domain's gap over the mean gap, cut to [low, high]; the weights are then scaled
    so that the tokens' shares still add up to 1 and the loss keeps its size. Source: arXiv
    2608.19098, which has the bounds.
    """

    low: Annotated[float, Range(above=0)] = 0.05
    """Least factor of a domain."""
    high: Annotated[float, Range(above=0)] = 20.0
    """Greatest factor."""
    needs_gaps: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        """Refuse factors that are none."""
        check_fields(self)

    def share(self, gaps: Mapping[str, float]) -> Share:
        """Return even shares times the factors of `gaps`."""
        mean = sum(gaps.values()) / max(1, len(gaps))
        if mean == 0:  # the student is its teachers: nothing to follow
            return _Weighted({})
        factors = {name: min(self.high, max(self.low, gap / mean)) for name, gap in gaps.items()}
        return _Weighted(factors)


@dataclass(frozen=True, slots=True)
class _Weighted:
    """A `Share`: domain d gets factor_d / (sum of factors), spread evenly over its tokens."""

    factors: Mapping[str, float]
    """Empty: all alike."""

    def __call__(self, tokens: Tokens, totals: Totals) -> torch.Tensor:
        """Return the shares [N]."""
        missing = [name for name in totals.domains if self.factors and name not in self.factors]
        if missing:
            raise ContractError(f"no gap was measured for domain {missing[0]!r}")
        factors = [self.factors.get(name, 1.0) for name in totals.domains]
        present = sum(f for f, n in zip(factors, totals.tokens_of_domain, strict=True) if n)
        shares = [
            f / present / max(1, n) for f, n in zip(factors, totals.tokens_of_domain, strict=True)
        ]
        return tokens.logprob_N.new_tensor(shares)[tokens.domain_N]
