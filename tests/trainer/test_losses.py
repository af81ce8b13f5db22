"""Losses against the formulas of the papers, in float64, over enumerated vocabularies."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from cascade.errors import ConfigError
from cascade.trainer.corrections import Correction, IcePop, SequenceMask, Tis, no_correction
from cascade.trainer.losses import Cispo, Dapo, DrGrpo, Grpo, Gspo, Mopd, k3, k3_on_policy
from cascade.trainer.tokens import Tokens, Totals, response_mean, token_mean

V = 5
LENGTHS = (3, 1, 4, 2)  # tokens of each response
EPISODES = (0, 1, 2, 2)  # the last episode forked into two samples


class Toy:
    """A table of logits per position: the simplest policy, with every probability at hand."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def randn(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        count = sum(LENGTHS)
        self.logits = randn(count, V).requires_grad_()
        self.ids = torch.randint(V, (count,), generator=generator)
        self.sample = torch.repeat_interleave(torch.arange(4), torch.tensor(LENGTHS))
        self.episode = torch.tensor(EPISODES)[self.sample]
        self.advantage = randn(3)[self.episode]
        self.old = self.at_ids(self.logits.detach() + 0.7 * randn(count, V))
        self.sampler = self.at_ids(self.logits.detach() + 0.5 * randn(count, V))
        self.teacher = self.at_ids(randn(count, V))
        self.reference = self.at_ids(randn(count, V))

    def at_ids(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.log_softmax(-1).gather(-1, self.ids[:, None])[:, 0]

    def tokens(self, keep: torch.Tensor | None = None, **changes: Any) -> Tokens:
        keep = torch.ones(len(self.ids), dtype=torch.bool) if keep is None else keep
        fields = {
            "logprob_N": self.at_ids(self.logits), "old_logprob_N": self.old,
            "sampler_logprob_N": self.sampler, "advantage_N": self.advantage,
            "entropy_N": torch.zeros_like(self.old), "sample_N": self.sample,
            "episode_N": self.episode, "domain_N": torch.zeros_like(self.sample),
            "reference_logprob_N": self.reference, "teacher_logprob_N": self.teacher,
        }  # fmt: skip
        return Tokens(**{name: (changes.get(name, t))[keep] for name, t in fields.items()})

    def on_policy(self, **changes: Any) -> Tokens:
        return self.tokens(old_logprob_N=self.at_ids(self.logits).detach(), **changes)

    def totals(self) -> Totals:
        return Totals(
            num_tokens=10, num_samples=4, num_episodes=3,
            tokens_of_sample_S=torch.tensor(LENGTHS, dtype=torch.float64),
            tokens_of_episode_E=torch.tensor([3.0, 1.0, 6.0], dtype=torch.float64),
            domains=("math",), tokens_of_domain=(10,),
        )  # fmt: skip

    def gradient(self, loss: torch.Tensor) -> torch.Tensor:
        [gradient] = torch.autograd.grad(loss, self.logits)
        return gradient

    def softmax_gradient(self, coefficient: torch.Tensor) -> torch.Tensor:
        """Gradient of sum of coefficient_t * log p_t by hand: coefficient * (onehot - p)."""
        onehot = torch.nn.functional.one_hot(self.ids, V).double()
        return coefficient[:, None] * (onehot - self.logits.detach().softmax(-1))


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=1e-8)


def test_grpo_is_reinforce_with_group_advantages_averaged_over_tokens() -> None:
    toy = Toy()
    value = Grpo()(toy.on_policy(), toy.totals())
    assert close(value.loss, -toy.advantage.mean())
    assert close(toy.gradient(value.loss), toy.softmax_gradient(-toy.advantage / 10))


def test_mopd_is_the_published_formula() -> None:
    """Ratio as a detached weight, hard mask at 0.5 and 2, detached gap, mean per response."""
    toy = Toy()
    logprob = toy.at_ids(toy.logits.detach())
    ratio = (logprob - toy.sampler).exp()
    assert ((ratio < 0.5) | (ratio > 2)).any(), "some tokens must be masked here"
    weight = torch.where((ratio >= 0.5) & (ratio <= 2.0), ratio, 0.0)
    share = 1 / (3 * torch.tensor([3.0, 1.0, 6.0], dtype=torch.float64)[toy.episode])
    expected = -share * weight * (toy.teacher - logprob)
    value = Mopd()(toy.tokens(), toy.totals())
    assert close(value.loss, (expected * logprob).sum())
    assert close(toy.gradient(value.loss), toy.softmax_gradient(expected))
    masked = ((ratio < 0.5) | (ratio > 2)).sum().item() / 10
    assert value.metrics["ratio/masked_fraction"] == pytest.approx(masked)
    assert value.metrics["teacher/gap"] == pytest.approx((toy.teacher - logprob).mean().item())


def test_mopd_follows_the_gradient_of_reverse_kl_in_expectation() -> None:
    """Enumerate every token of a one-token response: the mean gradient is that of KL(pi || T)."""
    torch.manual_seed(0)
    logits = torch.randn(V, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(V, dtype=torch.float64).log_softmax(-1)
    logprob = logits.log_softmax(-1)
    [expected] = torch.autograd.grad((logprob.exp() * (logprob - teacher)).sum(), logits)
    found = torch.zeros_like(expected)
    for token in range(V):
        one = torch.zeros(1, dtype=torch.int64)
        logprob_1 = logits.log_softmax(-1)[token : token + 1]
        zero = torch.zeros(1, dtype=torch.float64)
        tokens = Tokens(
            logprob_1, logprob_1.detach(), logprob_1.detach(), zero, zero, one, one, one,
            teacher_logprob_N=teacher[token : token + 1],
        )  # fmt: skip
        one_token = torch.ones(1, dtype=torch.float64)
        totals = Totals(1, 1, 1, one_token, one_token, ("math",), (1,))
        [gradient] = torch.autograd.grad(Mopd()(tokens, totals).loss, logits)
        found += logits.detach().softmax(-1)[token] * gradient
    assert close(found, expected)


def test_mopd_with_an_outcome_term_and_with_clamped_ratios() -> None:
    toy = Toy()
    logprob = toy.at_ids(toy.logits.detach())
    ratio = (logprob - toy.sampler).exp()
    loss = Mopd(correction=Tis(5.0, floor=0.2), outcome_weight=0.7, share=token_mean)
    expected = -ratio.clamp(0.2, 5) * (toy.teacher - logprob + 0.7 * toy.advantage) / 10
    assert close(
        toy.gradient(loss(toy.tokens(), toy.totals()).loss), toy.softmax_gradient(expected)
    )


def test_a_student_that_equals_its_teacher_learns_nothing() -> None:
    toy = Toy()
    logprob = toy.at_ids(toy.logits.detach())
    value = Mopd()(toy.tokens(teacher_logprob_N=logprob, sampler_logprob_N=logprob), toy.totals())
    assert not toy.gradient(value.loss).any()


@pytest.mark.parametrize("loss", [Dapo(0.2, 0.28), DrGrpo(max_tokens=7, clip=0.2)])
def test_clipped_losses_are_the_published_formulas(loss: Any) -> None:
    toy = Toy()
    low, high = (0.2, 0.28) if isinstance(loss, Dapo) else (0.2, 0.2)
    share = 1 / 10 if isinstance(loss, Dapo) else 1 / (3 * 7)
    ratio = (toy.at_ids(toy.logits) - toy.old).exp()
    bounded = ratio.clamp(1 - low, 1 + high)
    expected = -share * torch.minimum(ratio * toy.advantage, bounded * toy.advantage).sum()
    value = loss(toy.tokens(), toy.totals())
    assert close(value.loss, expected)
    assert close(toy.gradient(value.loss), toy.gradient(expected))
    assert 0 < value.metrics["ratio/clipped_fraction"] < 1


def test_dapo_leaves_more_room_above_than_below() -> None:
    """At a ratio of 1.25, clip 0.2 takes the gradient and clip-higher 0.28 does not."""
    toy = Toy()
    old = toy.at_ids(toy.logits.detach()) - torch.log(torch.tensor(1.25, dtype=torch.float64))
    tokens = toy.tokens(old_logprob_N=old, advantage_N=torch.ones(10, dtype=torch.float64))
    assert not toy.gradient(Dapo(0.2, 0.2)(tokens, toy.totals()).loss).any()
    tokens = toy.tokens(old_logprob_N=old, advantage_N=torch.ones(10, dtype=torch.float64))
    assert toy.gradient(Dapo(0.2, 0.28)(tokens, toy.totals()).loss).any()


def test_gspo_has_one_ratio_per_sample_and_a_mean_of_responses() -> None:
    toy = Toy()
    expected = torch.zeros((), dtype=torch.float64)
    log_ratio = toy.at_ids(toy.logits) - toy.old
    for s, (length, episode) in enumerate(zip(LENGTHS, EPISODES, strict=True)):
        here = toy.sample == s
        ratio, advantage = log_ratio[here].mean().exp(), toy.advantage[here][0]
        term = torch.minimum(ratio * advantage, ratio.clamp(0.97, 1.04) * advantage)
        expected = expected - term * length / (3 * (3, 1, 6)[episode])
    value = Gspo(0.03, 0.04)(toy.tokens(), toy.totals())
    assert close(value.loss, expected)
    assert close(toy.gradient(value.loss), toy.gradient(expected))


def test_cispo_cuts_the_weight_but_no_gradient() -> None:
    toy = Toy()
    ratio = (toy.at_ids(toy.logits.detach()) - toy.old).exp()
    assert (ratio > 1.05).any()
    value = Cispo(max_ratio=1.05)(toy.tokens(), toy.totals())
    expected = -ratio.clamp(max=1.05) * toy.advantage / 10
    assert close(toy.gradient(value.loss), toy.softmax_gradient(expected))
    assert value.metrics["ratio/clipped_fraction"] == pytest.approx((ratio > 1.05).sum() / 10)


def test_corrections_are_the_published_weights() -> None:
    toy = Toy()
    tokens, totals = toy.tokens(), toy.totals()
    rho = (toy.old - toy.sampler).exp()
    assert close(no_correction(tokens, totals), torch.ones(10, dtype=torch.float64))
    assert close(Tis(1.1)(tokens, totals), rho.clamp(max=1.1))
    assert close(IcePop(0.8, 1.2)(tokens, totals), rho * ((rho >= 0.8) & (rho <= 1.2)))
    kept = SequenceMask(0.7, 1.4)(tokens, totals)
    for s in range(4):
        here = toy.sample == s
        inside = 0.7 <= rho[here].log().mean().exp() <= 1.4
        assert close(kept[here], rho[here] * inside)
    assert len({bool(kept[toy.sample == s].any()) for s in range(4)}) == 2, "some kept, some not"


@pytest.mark.parametrize("correction", [Tis(1.1), IcePop(0.8, 1.2), SequenceMask(0.9, 1.1)])
@pytest.mark.parametrize("make", [Grpo, Dapo, Gspo, Cispo])
def test_a_correction_multiplies_each_term_and_takes_no_gradient(
    make: Any, correction: Correction
) -> None:
    toy = Toy()
    weight = correction(toy.tokens(), toy.totals())
    plain, weighed = make(), make(correction=correction)
    value = weighed(toy.tokens(), toy.totals())
    parts = [plain(toy.tokens(toy.sample == s), toy.totals()).loss for s in range(4)]
    assert value.metrics["ratio/masked_fraction"] == pytest.approx((weight == 0).sum() / 10)
    by_token = dataclasses.replace(plain, share=lambda t, n: plain.share(t, n) * weight)
    assert close(sum(parts), plain(toy.tokens(), toy.totals()).loss)
    assert close(value.loss, by_token(toy.tokens(), toy.totals()).loss)
    assert close(toy.gradient(value.loss), toy.gradient(by_token(toy.tokens(), toy.totals()).loss))


LOSSES = [Grpo(), DrGrpo(9), Dapo(), Gspo(), Cispo(), Mopd(), Grpo(IcePop(0.8, 1.2), 0.03)]


@pytest.mark.parametrize("loss", LOSSES)
def test_micro_batches_add_up_to_the_batch(loss: Any) -> None:
    toy = Toy()
    whole = loss(toy.tokens(), toy.totals())
    parts = [loss(toy.tokens(toy.sample // 2 == h), toy.totals()) for h in range(2)]
    assert close(parts[0].loss + parts[1].loss, whole.loss)
    for name, value in whole.metrics.items():
        assert parts[0].metrics[name] + parts[1].metrics[name] == pytest.approx(value), name


def test_the_k3_term_estimates_the_divergence_from_the_reference() -> None:
    toy = Toy()
    value = Grpo(kl_coefficient=0.03)(toy.on_policy(), toy.totals())
    difference = toy.reference - toy.at_ids(toy.logits)
    kl = (difference.exp() - difference - 1).mean()
    plain = Grpo()(toy.on_policy(), toy.totals())
    assert close(value.loss, plain.loss + 0.03 * kl)
    assert close(toy.gradient(value.loss), toy.gradient(plain.loss + 0.03 * kl))
    assert value.metrics["kl"] == pytest.approx(kl.item())


def test_the_divergence_is_unbiased_and_only_on_policy_its_gradient_too() -> None:
    """Enumerated over a vocabulary: mean value and mean gradient against the closed form."""
    logits = Toy().logits.detach()[0].requires_grad_()
    reference = Toy(seed=1).logits.detach()[0].log_softmax(-1)
    policy = logits.log_softmax(-1)
    exact = (policy.exp() * (policy - reference)).sum()
    [exact_gradient] = torch.autograd.grad(exact, logits)
    for divergence, gradient_is_exact in ((k3, False), (k3_on_policy, True)):
        every = logits.log_softmax(-1)
        zero, index = torch.zeros(V, dtype=torch.float64), torch.zeros(V, dtype=torch.int64)
        tokens = Tokens(every, every.detach(), zero, zero, zero, index, index, index)
        kl = divergence(tokens, reference)
        assert (kl >= 0).all()
        mean = (policy.detach().exp() * kl).sum()
        assert close(mean, exact)
        [gradient] = torch.autograd.grad(mean, logits)
        assert close(gradient, exact_gradient) == gradient_is_exact


def test_shares_of_a_batch_add_up_to_one() -> None:
    toy = Toy()
    for share in (token_mean, response_mean):
        assert float(share(toy.tokens(), toy.totals()).sum()) == pytest.approx(1.0)


def test_bounds_that_exclude_one_are_refused() -> None:
    for bad in (lambda: IcePop(1.1, 2.0), lambda: SequenceMask(0.5, 0.9), lambda: Tis(0.5)):
        with pytest.raises(ConfigError, match="must enclose 1"):
            bad()
    with pytest.raises(ConfigError, match="max_tokens must be 1 or more, got 0"):
        DrGrpo(max_tokens=0)
