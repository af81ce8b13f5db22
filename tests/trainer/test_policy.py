"""The policy: exact log-probabilities, updates that do not depend on the split, exact state."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cascade.errors import ConfigError, ContractError, TrainingError
from cascade.trainer.engines.generate import ContinuousBatch
from cascade.trainer.engines.requests import Request
from cascade.trainer.engines.routes import RouteRecorder
from cascade.trainer.losses import Grpo, Mopd
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig, TrainSample
from cascade.trainer.samples import Sample
from cascade.trainer.tokens import LossValue, Tokens, Totals
from cascade.types import SamplingParams
from drawn_samples import drawn
from tiny_models import random_gpt_oss, random_nemotron_h, random_qwen3_moe

FAST = OptimizerConfig(peak_learning_rate=1e-2)


def batch(count: int = 8) -> list[TrainSample]:
    return [
        TrainSample(s, advantage=(-1.0) ** i * (1 + i % 3), teacher_logprobs=s.sampler_logprobs + 1)
        for i, s in enumerate(drawn(count))
    ]


def logprobs_one_by_one(model: Any, sample: Sample) -> np.ndarray[Any, Any]:
    ids = torch.tensor(sample.token_ids)
    with torch.no_grad():
        logprobs = model(ids[None]).logits[0].double().log_softmax(-1)
    result = np.zeros(len(ids))
    result[1:] = logprobs[:-1].gather(-1, ids[1:, None])[:, 0].numpy()
    return np.asarray(result * sample.sampled)


@pytest.mark.parametrize("make", [random_qwen3_moe, random_gpt_oss, random_nemotron_h])
def test_logprobs_are_those_of_each_sample_alone(make: Any) -> None:
    model = make()
    samples = drawn(9)
    policy = Policy(model, PolicyConfig(micro_batch_tokens=40), FAST)
    for sample, found in zip(samples, policy.logprobs(samples), strict=True):
        assert found.dtype == np.float32
        assert np.abs(found - logprobs_one_by_one(model, sample)).max() < 5e-6


@pytest.mark.parametrize("make", [random_qwen3_moe, random_nemotron_h])
@pytest.mark.parametrize("loss", [Grpo(), Mopd()])
def test_the_split_into_micro_batches_and_rows_changes_nothing(make: Any, loss: Any) -> None:
    def updated(**settings: Any) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        policy = Policy(make(), PolicyConfig(**settings), FAST)
        return policy.update(batch(), loss), policy.model.state_dict()

    whole, weights = updated()
    split, split_weights = updated(micro_batch_tokens=1, activation_checkpointing=True)
    assert set(whole) == set(split)
    for name, value in whole.items():
        assert split[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    for name, weight in weights.items():
        assert torch.allclose(weight, split_weights[name], atol=2e-4), name


@pytest.mark.parametrize("make", [random_qwen3_moe, random_gpt_oss])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_engine_and_trainer_agree_before_the_first_update(make: Any, temperature: float) -> None:
    """At most 2e-6 nats apart in float32 (of logits before the temperature divides them)."""
    model = make()
    engine = ContinuousBatch(model, max_batch=5, max_length=128, record_routes=True)
    params = SamplingParams(temperature=temperature, max_tokens=40)
    requests = [Request(tuple(range(3, 9 + i % 4)), params, seed=i) for i in range(16)]
    for request in requests:
        engine.add(request)
    implementation = model.config._attn_implementation
    while engine.busy:
        engine.step()
    assert model.config._attn_implementation == implementation, "sampling leaves the model alone"
    samples = [sample_of(request) for request in requests]
    for sample in samples:
        assert sample.routed_experts is not None
        assert np.array_equal(sample.routed_experts[:-1], natural_routes(model, sample)[:-1])
    policy = Policy(model, PolicyConfig(temperature=temperature), FAST)
    metrics = policy.update([TrainSample(s, 1.0) for s in samples], Grpo())
    assert metrics["tokens"] > 600
    assert metrics["mismatch/max_abs"] <= 2e-6 / temperature
    assert metrics["router/agreement"] == 1.0


def natural_routes(model: Any, sample: Sample) -> Any:
    """Routes [T, L, K] of the sample alone in the model."""
    recorder = RouteRecorder(model)
    recorder.start()
    with torch.no_grad():
        model(torch.tensor(sample.token_ids)[None])
    return recorder.stop()


def sample_of(request: Request) -> Sample:
    ids = np.array([*request.prompt_ids, *request.token_ids])
    sampled = np.arange(len(ids)) >= len(request.prompt_ids)
    logprobs = np.zeros(len(ids), dtype=np.float32)
    logprobs[sampled] = request.logprobs
    routes = np.concatenate([request.routed_experts(), -np.ones_like(request.routes[0][:1])])
    return Sample(
        ids, sampled, logprobs, episode=0, group=0, domain="math", reward=1.0, routed_experts=routes
    )


def test_an_update_makes_good_samples_likelier_and_reports_what_it_did() -> None:
    policy = Policy(random_qwen3_moe(), PolicyConfig(), OptimizerConfig(peak_learning_rate=1e-3))
    samples = drawn()
    before = policy.logprobs(samples)
    metrics = policy.update([TrainSample(s, 2 * s.reward - 1) for s in samples], Grpo())
    after = policy.logprobs(samples)
    rise = [float((b - a).mean()) for a, b in zip(before, after, strict=True)]
    assert min(rise[1::2]) > 0 > max(rise[0::2])
    assert policy.step == 1
    assert metrics["tokens"] == sum(s.num_sampled for s in samples)
    difference = np.concatenate(
        [(b - s.sampler_logprobs)[s.sampled] for b, s in zip(before, samples, strict=True)]
    )
    assert metrics["mismatch/max_abs"] == pytest.approx(np.abs(difference).max(), rel=1e-5)
    assert metrics["mismatch/k3"] == pytest.approx(
        np.mean(np.exp(difference) - difference - 1), rel=1e-4
    )
    assert 0 < metrics["entropy"] < np.log(320)


def test_state_continues_to_the_bit() -> None:
    def run(policy: Policy, updates: int) -> None:
        for _ in range(updates):
            policy.update(batch(), Grpo())

    config = PolicyConfig(expert_bias_rate=1e-3)
    straight = Policy(random_nemotron_h(), config, FAST)
    run(straight, 2)
    state = copy.deepcopy(straight.state())
    weights = copy.deepcopy(straight.model.state_dict())
    run(straight, 2)
    model = random_nemotron_h()
    model.load_state_dict(weights)
    resumed = Policy(model, config, FAST)
    resumed.load_state(state)
    run(resumed, 2)
    assert resumed.step == straight.step == 4
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_dropout_stays_off_and_the_model_in_evaluation_mode() -> None:
    model = random_qwen3_moe(attention_dropout=0.5)
    policy = Policy(model, PolicyConfig(activation_checkpointing=True), FAST)
    plain = Policy(random_qwen3_moe(), PolicyConfig(), FAST)
    assert policy.update(batch(), Grpo())["grad_norm"] == pytest.approx(
        plain.update(batch(), Grpo())["grad_norm"], rel=1e-5
    )
    assert not any(module.training for module in model.modules())


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone() -> None:
    policy = Policy(random_qwen3_moe(), PolicyConfig(), FAST)
    before = copy.deepcopy(policy.model.state_dict())
    with pytest.raises(TrainingError, match="update 1 has norm nan"):
        policy.update([TrainSample(s, float("nan")) for s in drawn()], Grpo())
    assert policy.step == 0
    assert all(torch.equal(before[n], w) for n, w in policy.model.state_dict().items())


def test_an_update_that_failed_half_way_leaves_nothing_behind() -> None:
    def fails_at_the_second(tokens: Tokens, totals: Totals) -> LossValue:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("half-way")
        return Grpo()(tokens, totals)

    calls: list[int] = []
    config = PolicyConfig(micro_batch_tokens=40)
    hurt, fresh = (Policy(random_qwen3_moe(), config, FAST) for _ in range(2))
    with pytest.raises(RuntimeError, match="half-way"):
        hurt.update(batch(), fails_at_the_second)
    assert hurt.update(batch(), Grpo()) == fresh.update(batch(), Grpo())


def test_what_cannot_be_trained_on_is_refused_by_name() -> None:
    policy = Policy(random_qwen3_moe(), PolicyConfig(row_tokens=12), FAST)
    with pytest.raises(ConfigError, match="at least one sampled token"):
        policy.update([], Grpo())
    with pytest.raises(ConfigError, match="row_tokens is 12"):
        policy.update(batch(), Grpo())
    [sample] = drawn(1)
    with pytest.raises(ContractError, match="first token"):
        policy.logprobs([replace(sample, sampled=np.ones_like(sample.sampled))])
    with pytest.raises(ConfigError, match="teacher_logprobs"):
        Policy(random_qwen3_moe(), PolicyConfig(), FAST).update([TrainSample(sample)], Mopd())
    with pytest.raises(ConfigError, match="reference_logprobs"):
        Policy(random_qwen3_moe(), PolicyConfig(), FAST).update(
            [TrainSample(sample)], Grpo(kl_coefficient=0.03)
        )
    with pytest.raises(ConfigError, match="expert bias"):
        Policy(random_qwen3_moe(), PolicyConfig(expert_bias_rate=1e-3), FAST)
    with pytest.raises(ConfigError, match="temperature must be more than 0"):
        PolicyConfig(temperature=0.0)


def test_a_model_that_caps_its_logits_is_refused() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, final_logit_softcapping=0.01,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="Gemma2ForCausalLM"):
        Policy(Gemma2ForCausalLM(config), PolicyConfig(), FAST)
