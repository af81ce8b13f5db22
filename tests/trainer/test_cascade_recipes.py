"""The recipes of cascades: published settings, and dry runs on small models."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.trainer.cascade import Cascade
from cascade.trainer.cascade_run import run_cascade
from cascade.trainer.grpo import GrpoStage
from cascade.trainer.mopd import MopdStage
from cascade.trainer.policy import Policy, TrainSample
from cascade.trainer.recipe import run_recipe_file
from cascade.trainer.settings import resolved
from cascade.trainer.sft_stage import SftStage
from drawn_samples import drawn
from tiny_models import random_nemotron_h

RECIPES = Path(__file__).parents[2] / "recipes"


def cascade(name: str) -> Cascade:
    made = run_recipe_file(str(RECIPES / name))
    assert isinstance(made, Cascade)
    return made


@pytest.fixture(scope="module")
def published() -> Cascade:
    return cascade("nemotron_cascade_2.py")


def test_the_published_settings(published: Cascade) -> None:
    """Steps, prompts, responses, tokens, KL, overlong: recipe.py against the report's tables."""
    found: dict[str, Any] = {}
    for entry in published.stages:
        stage = entry.stage
        assert isinstance(stage, GrpoStage)
        kl = getattr(stage.loss, "kl_coefficient", None)
        found[stage.name] = (
            stage.steps, stage.groups, stage.group_size, stage.sampling.max_tokens,
            stage.optimizer.peak_learning_rate, kl, stage.overlong,
        )  # fmt: skip
        assert stage.optimizer.betas == (0.9, 0.95)
        assert stage.sampling.temperature == 1.0
    assert found == {
        "if_rl": (180, 128, 16, 49_152, 3e-6, 0.0, "zero"),
        "multi_domain": (70, 128, 16, 49_152, 3e-6, 0.0, "filtered"),
        "mopd": (52, 128, 4, 98_304, 2e-6, None, "judged"),
        "rlhf": (25, 128, 16, 16_384, 3e-6, 0.03, "filtered"),
        "long_context": (30, 128, 16, 16_384, 3e-6, 0.0, "filtered"),
        "code": (22, 128, 16, 118_000, 3e-6, 0.0, "filtered"),
        "swe": (45, 128, 16, 65_536, 3e-6, 0.0, "judged"),
    }
    blend = {env.name: env.share for env in _stage(published, "multi_domain").envs}
    assert blend == {"choice": 0.55, "workplace": 0.30, "structured_output": 0.15}


def _stage(given: Cascade, name: str) -> GrpoStage:
    [found] = [entry.stage for entry in given.stages if entry.name == name]
    assert isinstance(found, GrpoStage)
    return found


def test_two_readings_of_a_recipe_are_equal(published: Cascade) -> None:
    """Nothing in the settings depends on the process: an address would look like an edit."""
    again = resolved(cascade("nemotron_cascade_2.py"))
    assert resolved(published) == again
    assert "0x" not in str(again)


@pytest.mark.parametrize("name", ["if_rl", "mopd", "rlhf"])
def test_a_published_stage_updates_a_tiny_nemotron_h(published: Cascade, name: str) -> None:
    """Loss, optimizer, frozen routers and expert biases of a stage on the model's architecture."""
    stage = _stage(published, name)
    model = random_nemotron_h()
    # bfloat16 beside float32 weights takes FSDP2, whose ranks are not here.
    policy = Policy(model, replace(stage.policy, dtype=None), stage.optimizer)
    samples = drawn(4)
    honest = [
        replace(sample, sampler_logprobs=logprobs)
        for sample, logprobs in zip(samples, policy.logprobs(samples), strict=True)
    ]
    batch = [
        TrainSample(
            sample, advantage=float(i - 1), reference_logprobs=sample.sampler_logprobs,
            teacher_logprobs=np.minimum(sample.sampler_logprobs + 0.1, 0),
        )
        for i, sample in enumerate(honest)
    ]  # fmt: skip
    metrics = policy.update(batch, stage.loss)
    assert np.isfinite(metrics["loss"])
    assert metrics["grad_norm"] > 0
    assert metrics["learning_rate"] < stage.optimizer.peak_learning_rate  # warming up


def short(given: Cascade) -> Cascade:
    """Two steps a stage, a few tasks a domain."""
    stages = []
    for entry in given.stages:
        stage: Any = entry.stage
        changes: dict[str, Any] = {"steps": 2}
        if isinstance(stage, SftStage):
            data: Any = stage.data
            few = dict.fromkeys(data.counts, 8)
            changes |= {"data": replace(data, counts=few, num_sums=8, num_recitals=8)}
        else:
            changes |= {"groups": 4, "group_size": 1 if isinstance(stage, MopdStage) else 2}
            changes |= {"max_waves": 1}
        stages.append(replace(entry, stage=replace(stage, **changes), rival=None))
    domains = tuple(
        replace(domain, tasks=replace(domain.tasks, size=3))  # type: ignore[type-var]
        for domain in given.domains
    )
    return replace(given, stages=tuple(stages), domains=domains)


def test_the_tiny_cascade_runs_from_end_to_end(tmp_path: Path) -> None:
    given = short(cascade("tiny_cascade.py"))
    results = asyncio.run(run_cascade(given, tmp_path, say=lambda line: None, every=100))
    assert [result.name for result in results][:8] == [
        "sft", "if_rl", "multi_domain", "mopd", "rlhf", "long_context", "code", "swe",
    ]  # fmt: skip
    for result in results:
        assert set(result.scores) == {domain.name for domain in given.domains}
    assert "What each stage did" in (tmp_path / "index.html").read_text()
