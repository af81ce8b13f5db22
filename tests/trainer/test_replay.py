"""Router replay on stock transformers: exact, with gradients, safe under recomputation."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cascade.errors import ConfigError, ContractError
from cascade.trainer.losses import Grpo
from cascade.trainer.moe import (
    expert_biases,
    find_routers,
    load_metrics,
    update_expert_biases,
)
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig, TrainSample
from cascade.trainer.replay import RouterTaps
from cascade.trainer.samples import Sample
from cascade.trainer.scorer import Scorer
from drawn_samples import drawn
from tiny_models import random_gpt_oss, random_nemotron_h, random_qwen3_moe

FAMILIES = [random_qwen3_moe, random_gpt_oss, random_nemotron_h]
IDS = (torch.arange(24) * 7 % 250).reshape(2, 12)
PADDING = torch.zeros(2, 12, dtype=torch.bool)


def natural_routes(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    """What the routers choose by themselves, [L, M, K]."""
    seen: list[torch.Tensor] = []
    handles = [
        router.module.register_forward_hook(lambda module, args, out: seen.append(out[2]))
        for router in find_routers(model)
    ]
    with torch.no_grad():
        model(ids)
    for handle in handles:
        handle.remove()
    return torch.stack(seen)


def other_routes(routes: torch.Tensor, model: Any) -> torch.Tensor:
    """Each token's experts moved on by one: a valid choice that no router made."""
    return (routes + 1) % find_routers(model)[0].num_experts


def logits_and_gradients(model: Any, context: Any = None) -> tuple[torch.Tensor, dict[str, Any]]:
    model.zero_grad()
    with context or contextlib.nullcontext():
        logits = model(IDS, use_cache=False).logits
        torch.autograd.backward(logits.float().log_softmax(-1)[..., 3].sum())
    return logits.detach(), {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("make", FAMILIES)
def test_replaying_natural_routes_changes_no_bit(make: Any) -> None:
    model = make()
    taps = RouterTaps(find_routers(model))
    plain, gradients = logits_and_gradients(model)
    routes = natural_routes(model)
    replayed, replayed_gradients = logits_and_gradients(model, taps.over(PADDING, routes))
    assert float((plain - replayed).abs().max()) == 0.0
    for name, gradient in gradients.items():
        if gradient is not None:
            assert torch.allclose(gradient, replayed_gradients[name], atol=1e-6), name
    counts = taps.take()
    assert counts.agreed == counts.replayed == routes.numel()
    assert counts.counts_L_X.sum() == routes.numel()


@pytest.mark.parametrize("make", FAMILIES)
def test_other_routes_change_the_result_and_their_gradient_reaches_the_router(make: Any) -> None:
    model = make()
    taps = RouterTaps(find_routers(model))
    routes = other_routes(natural_routes(model), model)
    plain, _ = logits_and_gradients(model)
    replayed, gradients = logits_and_gradients(model, taps.over(PADDING, routes))
    assert (plain - replayed).abs().max() > 1e-3
    for router in find_routers(model):
        gradient = gradients[f"{router.name}.weight"]
        assert gradient.abs().max() > 1e-6, router.name
    counts = taps.take()
    assert counts.agreed < counts.replayed == routes.numel()
    after, _ = logits_and_gradients(model)
    assert torch.equal(after, plain), "outside the context routers are as they were"


@pytest.mark.parametrize("make", FAMILIES)
def test_minus_one_is_the_natural_route(make: Any) -> None:
    """Token by token, never expert 0; and routes of half the layers or tokens are no trouble."""
    model = make()
    taps = RouterTaps(find_routers(model))
    natural = natural_routes(model)
    plain, _ = logits_and_gradients(model)
    nothing, _ = logits_and_gradients(model, taps.over(PADDING, torch.full_like(natural, -1)))
    assert torch.equal(plain, nothing)
    assert taps.take().replayed == 0
    mixed = other_routes(natural, model)
    mixed[:, 5:] = -1  # the first row is replayed up to its fifth token: what is before is changed
    some, _ = logits_and_gradients(model, taps.over(PADDING, mixed))
    assert not torch.allclose(some[0, :5], plain[0, :5], atol=1e-4)
    assert torch.allclose(some[1], plain[1], atol=1e-5)


@pytest.mark.parametrize("make", FAMILIES)
def test_activation_checkpointing_replays_the_same_routes(make: Any) -> None:
    def gradients(*, checkpointing: bool) -> dict[str, Any]:
        model = make()
        policy = Policy(
            model, PolicyConfig(activation_checkpointing=checkpointing), OptimizerConfig()
        )
        metrics = policy.accumulate(batch, Grpo())
        assert metrics["loss"] != 0
        return {n: p.grad for n, p in model.named_parameters()}

    model = make()
    batch = [
        TrainSample(with_routes(model, s, other=True), advantage=1.0 - i % 3)
        for i, s in enumerate(drawn(6))
    ]
    plain, checkpointed = gradients(checkpointing=False), gradients(checkpointing=True)
    for name, gradient in plain.items():
        assert torch.equal(gradient, checkpointed[name]), name


def with_routes(model: Any, sample: Sample, *, other: bool = False) -> Sample:
    """The sample as an engine records it: routes [T, L, K] of each token but the last."""
    routes = natural_routes(model, torch.tensor(sample.token_ids)[None])
    routes = other_routes(routes, model) if other else routes
    recorded = routes.transpose(0, 1).numpy().astype(np.int16).copy()
    recorded[-1] = -1
    return replace(sample, routed_experts=recorded)


@pytest.mark.parametrize("make", FAMILIES)
def test_the_policy_replays_recorded_routes_token_by_token(make: Any) -> None:
    """Each sample alone in the model under its own routes, or packed in rows: the same."""
    model = make()
    samples = [with_routes(model, s, other=i % 2 == 0) for i, s in enumerate(drawn(7))]
    policy = Policy(model, PolicyConfig(), OptimizerConfig())
    together = policy.logprobs(samples)
    alone = [policy.logprobs([s])[0] for s in samples]
    natural = Policy(model, PolicyConfig(replay_routes=False), OptimizerConfig()).logprobs(samples)
    for i, sample in enumerate(samples):
        assert np.allclose(together[i], alone[i], atol=1e-5)
        assert np.allclose(natural[i], together[i], atol=1e-5) == (i % 2 == 1), sample.task_id
    metrics = policy.update([TrainSample(s, 1.0) for s in samples[1::2]], Grpo())
    assert metrics["router/agreement"] == pytest.approx(1.0, abs=0.02)
    metrics = policy.update([TrainSample(s, 1.0) for s in samples[0::2]], Grpo())
    assert metrics["router/agreement"] < 0.9


def test_teachers_do_not_replay() -> None:
    model = random_qwen3_moe()
    samples = drawn(3)
    routed = [with_routes(model, s, other=True) for s in samples]
    teacher = Scorer(model)
    for plain, other in zip(teacher.logprobs(samples), teacher.logprobs(routed), strict=True):
        assert np.array_equal(plain, other)


def test_routes_of_another_model_are_refused() -> None:
    sample = with_routes(random_qwen3_moe(num_hidden_layers=3), drawn(1)[0])
    policy = Policy(random_qwen3_moe(), PolicyConfig(), OptimizerConfig())
    with pytest.raises(ContractError, match="3 layers, but the model has 2 routers"):
        policy.logprobs([sample])


def test_loads_count_real_tokens_and_name_idle_experts() -> None:
    metrics = load_metrics(torch.tensor([[4.0, 0.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0]]))
    assert metrics["router/max_load"] == metrics["router/0/max_load"] == 2.0
    assert metrics["router/1/max_load"] == 1.0
    assert metrics["router/dead_experts"] == metrics["router/0/dead_experts"] == 1
    model = random_qwen3_moe()
    taps = RouterTaps(find_routers(model))
    padding = PADDING.clone()
    padding[1, 4:] = True
    logits_and_gradients(model, taps.over(padding, None))
    assert taps.take().counts_L_X.sum(-1).tolist() == [2 * 16] * 2


def test_frozen_routers_stay_and_the_rest_learns() -> None:
    model = random_qwen3_moe()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    policy = Policy(model, PolicyConfig(freeze_routers=True), OptimizerConfig())
    policy.update([TrainSample(s, 1.0) for s in drawn(4)], Grpo())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.endswith("gate.weight"), name


def test_expert_biases_balance_loads_and_survive_a_checkpoint(tmp_path: Any) -> None:
    from transformers import AutoModelForCausalLM

    model = random_nemotron_h()
    config = PolicyConfig(expert_bias_rate=0.01, freeze_routers=True)
    policy = Policy(model, config, OptimizerConfig(peak_learning_rate=1e-9))
    batch: Sequence[TrainSample] = [TrainSample(s, 1.0) for s in drawn(16)]
    before = {name: bias.clone() for name, bias in expert_biases(find_routers(model)).items()}
    first = policy.update(batch, Grpo())["router/max_load"]
    for name, bias in expert_biases(find_routers(model)).items():
        steps = ((bias - before[name]) / 0.01).round()
        assert set(steps.abs().tolist()) <= {0.0, 1.0}
        assert steps.any()
    last = [policy.update(batch, Grpo())["router/max_load"] for _ in range(25)][-1]
    assert last < first - 0.3
    model.save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, bias in expert_biases(find_routers(reloaded)).items():
        assert torch.equal(bias, expert_biases(find_routers(model))[name])
        assert torch.equal(bias, policy.state()["expert_biases"][name])
    with pytest.raises(ConfigError, match="0 of the model's 2 routers"):
        update_expert_biases(find_routers(random_qwen3_moe()), torch.ones(2, 4), 0.1)
