"""The same batch through TRL's GRPOTrainer and through the policy: equal loss, equal gradient."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cascade.trainer.corrections import Tis
from cascade.trainer.losses import Cispo, Dapo, DrGrpo, Grpo, Gspo, k3_on_policy
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig, TrainSample
from cascade.trainer.samples import Sample
from conftest import unavailable
from drawn_samples import drawn
from tiny_models import random_qwen3_moe

MAX_TOKENS = 16


@dataclass(frozen=True)
class Case:
    """One of our losses, and how TRL calls it."""

    ours: Any
    loss_type: str
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2
    level: str = "token"
    beta: float = 0.0
    unbiased_kl: bool = False
    off_policy: bool = True
    tis_cap: float | None = None
    name: str = field(default="")


CASES = [
    Case(Grpo(), "dapo", off_policy=False, name="grpo"),
    Case(Grpo(kl_coefficient=0.03), "dapo", beta=0.03, off_policy=False, name="kl"),
    Case(
        Grpo(kl_coefficient=0.03, divergence=k3_on_policy),
        "dapo",
        beta=0.03,
        off_policy=False,
        unbiased_kl=True,
        name="unbiased kl",
    ),
    Case(Grpo(Tis(1.5)), "dapo", off_policy=False, tis_cap=1.5, name="tis"),
    Case(Dapo(0.2, 0.28), "dapo", epsilon_high=0.28, name="dapo"),
    Case(DrGrpo(MAX_TOKENS), "dr_grpo", name="dr_grpo"),
    Case(Gspo(0.03, 0.04), "grpo", 0.03, 0.04, level="sequence", name="gspo"),
    Case(Cispo(1.2), "cispo", epsilon_high=1.2, name="cispo"),
]


@pytest.fixture(scope="module")
def trl_trainer(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Any:
    if importlib.util.find_spec("trl") is None:
        unavailable("trl is not installed: pip install 'cascade-rl[dev]'")
    from datasets import Dataset

    folder = tmp_path_factory.mktemp("trl")
    logging.getLogger("trl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        from trl import GRPOConfig, GRPOTrainer

        return _trainer(GRPOConfig, GRPOTrainer, Dataset, folder, tokenizer)


def _trainer(config: Any, trainer: Any, dataset: Any, folder: Path, tokenizer: Any) -> Any:
    arguments = config(
        output_dir=str(folder), per_device_train_batch_size=8, num_generations=4,
        max_completion_length=MAX_TOKENS, use_cpu=True, bf16=False, report_to=[],
        gradient_checkpointing=False,
    )  # fmt: skip
    made = trainer(
        model=random_qwen3_moe(),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=dataset.from_list([{"prompt": "1+1="}] * 8),
        processing_class=tokenizer,
    )
    made.current_gradient_accumulation_steps = made.args.steps_per_generation = 1
    made.aux_loss_enabled = False  # on for Mixture-of-Experts models; no part of these losses
    made.model.train()
    return made


def padded(
    samples: Sequence[Sample], values: Sequence[Any], *, response: bool, fill: float = 0
) -> torch.Tensor:
    """Prompts padded on the left, or responses padded on the right, as TRL wants them."""
    parts = [
        np.asarray(value)[s.sampled == response] for s, value in zip(samples, values, strict=True)
    ]
    width = max(map(len, parts))
    rows = np.full((len(parts), width), fill, dtype=np.asarray(parts[0]).dtype)
    for row, part in zip(rows, parts, strict=True):
        row[slice(0, len(part)) if response else slice(width - len(part), None)] = part
    return torch.from_numpy(rows)


def trl_inputs(batch: Sequence[TrainSample], case: Case, start: Sequence[Any]) -> dict[str, Any]:
    samples = [item.sample for item in batch]
    ids, ones = [s.token_ids for s in samples], [np.ones_like(s.token_ids) for s in samples]
    inputs = {
        "prompt_ids": padded(samples, ids, response=False, fill=256),
        "prompt_mask": padded(samples, ones, response=False),
        "completion_ids": padded(samples, ids, response=True, fill=256),
        "completion_mask": padded(samples, ones, response=True),
        "advantages": torch.tensor([item.advantage for item in batch], dtype=torch.float32),
        "num_items_in_batch": torch.tensor(float(sum(s.num_sampled for s in samples))),
    }
    if case.off_policy:
        old = [item.old_logprobs for item in batch]
        inputs["old_per_token_logps"] = padded(samples, old, response=True)
    if case.beta:
        reference = [item.reference_logprobs for item in batch]
        inputs["ref_per_token_logps"] = padded(samples, reference, response=True)
    if case.tis_cap:
        ratio = [np.exp(a - s.sampler_logprobs) for a, s in zip(start, samples, strict=True)]
        inputs["importance_sampling_ratio"] = padded(samples, ratio, response=True).clamp(
            max=case.tis_cap
        )
    return inputs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_loss_and_gradient_equal_those_of_trl(trl_trainer: Any, case: Case) -> None:
    model = random_qwen3_moe()
    policy = Policy(model, PolicyConfig(), OptimizerConfig())
    rng = np.random.default_rng(1)
    samples = drawn(8)
    start = policy.logprobs(samples)

    def near(logprobs: Any) -> Any:
        noise = 0.2 * rng.normal(size=len(logprobs))
        return (logprobs + noise).astype(np.float32)

    samples = [
        Sample(s.token_ids, s.sampled, near(now), s.episode, s.group, s.domain, s.reward)
        for s, now in zip(samples, start, strict=True)
    ]
    batch = [
        TrainSample(s, float(rng.normal()), near(now) if case.off_policy else None, near(now) - 0.5)
        for s, now in zip(samples, start, strict=True)
    ]
    ours = policy.accumulate(batch, case.ours)
    gradient = {name: p.grad for name, p in model.named_parameters()}

    trl_trainer.model.load_state_dict(model.state_dict())
    trl_trainer.model.zero_grad()
    trl_trainer.loss_type, trl_trainer.beta = case.loss_type, case.beta
    trl_trainer.epsilon_low, trl_trainer.epsilon_high = case.epsilon_low, case.epsilon_high
    trl_trainer.args.use_bias_correction_kl = case.unbiased_kl
    trl_trainer.importance_sampling_level = case.level
    trl_trainer.use_vllm = case.tis_cap is not None
    trl_trainer.vllm_importance_sampling_correction = True
    inputs = trl_inputs(batch, case, start)
    theirs = trl_trainer._compute_loss(trl_trainer.model, inputs)
    theirs.backward()

    assert ours["loss"] == pytest.approx(theirs.item(), abs=1e-5)
    for name, parameter in trl_trainer.model.named_parameters():
        assert torch.allclose(gradient[name], parameter.grad, rtol=1e-4, atol=1e-5), name
    assert max(float(g.abs().max()) for g in gradient.values()) > 1e-2, "nothing to compare"
    entropy = trl_trainer._metrics["train"]["entropy"][-1]
    assert ours["entropy"] == pytest.approx(entropy, rel=1e-5)
