"""Drawing of tokens, against distributions worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from cascade.trainer.engines.sampling import Settings, draw, sampling_logits

PROBS = torch.tensor([[0.5, 0.05, 0.3, 0.15]])


def settings(
    temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, rows: int = 1
) -> Settings:
    return Settings(
        torch.full((rows,), temperature), torch.full((rows,), top_p), torch.full((rows,), top_k)
    )


def probabilities(**changes: float) -> list[float]:
    chosen = settings(**changes)  # type: ignore[arg-type]
    return [round(p, 6) for p in sampling_logits(PROBS.log(), chosen).softmax(-1)[0].tolist()]


def test_plain_sampling_leaves_the_distribution_alone() -> None:
    assert probabilities() == [0.5, 0.05, 0.3, 0.15]


def test_temperature_raises_probabilities_to_its_inverse_power() -> None:
    powers = [p**2 for p in (0.5, 0.05, 0.3, 0.15)]
    expected = [p / sum(powers) for p in powers]
    assert probabilities(temperature=0.5) == pytest.approx(expected, abs=1e-6)


def test_top_k_keeps_the_likeliest_and_renormalises() -> None:
    assert probabilities(top_k=2) == [0.625, 0, 0.375, 0]


def test_top_p_keeps_the_smallest_set_that_reaches_the_mass() -> None:
    assert probabilities(top_p=0.79) == [0.625, 0, 0.375, 0]
    three = [p / 0.95 for p in (0.5, 0, 0.3, 0.15)]
    assert probabilities(top_p=0.81) == pytest.approx(three, abs=1e-6)
    assert probabilities(top_p=0.01) == [1, 0, 0, 0]


def test_top_p_counts_the_mass_that_top_k_left() -> None:
    """Of 0.5 and 0.3 the first has 0.625 of the mass, so it alone reaches 0.6."""
    assert probabilities(top_k=2, top_p=0.6) == [1, 0, 0, 0]


def test_rows_have_settings_of_their_own() -> None:
    mixed = Settings(torch.tensor([0.0, 1.0]), torch.tensor([0.1, 1.0]), torch.tensor([1, 0]))
    tokens, logprobs = draw(PROBS.log().expand(2, 4), mixed, torch.tensor([0.99, 0.99]).double())
    assert tokens.tolist() == [0, 3]
    assert logprobs.tolist() == pytest.approx([math.log(0.5), math.log(0.15)], abs=1e-6)


def test_frequencies_follow_the_distribution() -> None:
    """Chi-square with 3 degrees of freedom stays under its 0.999 quantile."""
    rows = 40_000
    uniform = torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tokens, logprobs = draw(PROBS.log().expand(rows, 4), settings(rows=rows), uniform)
    counts = torch.bincount(tokens, minlength=4).double()
    expected = PROBS[0].double() * rows
    assert ((counts - expected) ** 2 / expected).sum() < 16.27
    assert torch.allclose(logprobs, PROBS.log()[0][tokens], atol=1e-6)


@pytest.mark.parametrize("uniform", [2.0**-33, 1 - 2.0**-33])
def test_extreme_chance_never_draws_an_impossible_token(uniform: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    chance = torch.tensor([uniform], dtype=torch.float64)
    tokens, logprobs = draw(logits, settings(), chance)
    assert tokens.item() in (1, 3)
    assert math.isfinite(logprobs.item())


@pytest.mark.parametrize("vocabulary", [5, 64, 1000])
def test_every_token_is_drawn_by_exactly_its_own_numbers(vocabulary: int) -> None:
    """The middle of each token's stretch of the cumulative distribution gives that token."""
    torch.manual_seed(0)
    probs = torch.randn(vocabulary).mul(3).softmax(-1).double()
    probs[::3] = 0  # impossible tokens have no stretch
    probs = probs / probs.sum()
    ends = probs.cumsum(-1)
    possible = (probs > 1e-6).nonzero()[:, 0]
    middle = (ends - probs / 2)[possible]
    rows = len(possible)
    logits = probs.float().log().expand(rows, vocabulary)
    tokens, logprobs = draw(logits, settings(rows=rows), middle)
    assert torch.equal(tokens, possible)
    assert torch.allclose(logprobs, probs[possible].log().float(), atol=1e-5)
