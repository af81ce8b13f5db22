"""The distillation stage: published gradient, exact resume, balance, refusals, and merging."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cascade.envs.tasksets import MiniSource
from cascade.errors import ConfigError
from cascade.trainer.balance import EvenDomains, FollowGaps
from cascade.trainer.collect import TrainEnv
from cascade.trainer.grpo import GrpoStage
from cascade.trainer.losses import Grpo, Mopd, MopdTopK
from cascade.trainer.merge import merge_weights
from cascade.trainer.models import load_model
from cascade.trainer.mopd import MopdStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.recipe import Context
from cascade.trainer.registry import Entry, Registry, weights_digest
from cascade.trainer.scores import score_of
from cascade.trainer.tokenizer import toy_tokenizer
from cascade.types import SamplingParams, Verdict, VerdictStatus
from tiny_models import random_qwen3_moe

ENVS = tuple(
    TrainEnv(env=env, tasks=MiniSource(kind=kind, size=8, split="train"), name=name)
    for env, kind, name in (
        ("cascade/Math-v0", "arithmetic", "math"),
        ("cascade/MultipleChoice-v0", "choice", "choice"),
    )
)


def model(seed: int) -> Any:
    made = random_qwen3_moe(vocab_size=448)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Teachers of math (seed 1) and choice (seed 2), and the student's own weights (seed 0)."""
    folder = tmp_path_factory.mktemp("registry")
    held = Registry(folder)
    for seed, name in enumerate(("student", "math", "choice")):
        model(seed).save_pretrained(folder / name)
        toy_tokenizer().save_pretrained(folder / name)
        teaches = ("math", "choice") if name == "student" else (name,)
        digest = weights_digest(folder / name)
        scores = {} if name == "student" else {name: score_of([1.0])}
        held = held.with_entry(Entry(name, name, digest, scores, teaches))
    held.save(folder / "registry.json")
    return held


def stage(held: Registry, **changes: Any) -> MopdStage:
    settings: dict[str, Any] = {
        "steps": 2, "envs": ENVS, "groups": 4, "group_size": 2,
        "registry": str(held.folder / "registry.json"),
        "sampling": SamplingParams(max_tokens=8), "teachers": {"math": None, "choice": None},
        "optimizer": OptimizerConfig(peak_learning_rate=3e-4),
    }  # fmt: skip
    return MopdStage(**settings | changes)


def run(
    chosen: GrpoStage, folder: Path, steps: int = 1, student: Any = None, state: Any = None
) -> tuple[list[Any], Any, Any]:
    """Run steps; return their metrics, the state and the model."""
    trained = student if student is not None else model(0)

    async def go() -> tuple[list[Any], Any]:
        context = Context(
            model=trained, tokenizer=toy_tokenizer(), folder=folder, scratch=folder / "scratch",
            seed=3, say=lambda line: None,
        )  # fmt: skip
        running = chosen.open(context)
        if state is not None:
            running.load_state(state)
        first = 0 if state is None else int(state["steps_done"])
        try:
            metrics = [dict(await running.step(first + i)) for i in range(steps)]
            return metrics, running.state()
        finally:
            await running.aclose()

    metrics, after = asyncio.run(go())
    return metrics, after, trained


def test_a_student_that_is_its_teacher_learns_nothing(registry: Registry, tmp_path: Path) -> None:
    own = stage(registry, teachers={"math": "student", "choice": "student"})
    [metrics], _, _ = run(own, tmp_path)
    assert metrics["loss"] == pytest.approx(0, abs=1e-5)
    assert metrics["grad_norm"] < 1e-4
    assert metrics["teacher/swaps"] == 0  # equal teachers are one
    [exact], _, _ = run(replace(own, loss=MopdTopK(), candidates=5), tmp_path / "b")
    assert exact["grad_norm"] < 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": Mopd(outcome_weight=0.5)},
        {"loss": MopdTopK()},
        {"balance": EvenDomains()},
        {"balance": FollowGaps(), "updates": 2},
    ],
)
def test_it_approaches_its_teachers_and_logs_every_share(
    registry: Registry, tmp_path: Path, changes: dict[str, Any]
) -> None:
    metrics, _, _ = run(stage(registry, **changes), tmp_path, steps=5)
    measure = "teacher/divergence" if "loss" in changes and changes["loss"] == MopdTopK() else None
    if measure:
        assert metrics[-1][measure] < metrics[0][measure]
    else:
        assert metrics[-1]["teacher/absolute_gap"] < metrics[0]["teacher/absolute_gap"]
    for kind in ("gradient", "tokens", "samples"):
        shares = [metrics[0][f"{kind}/{domain}"] for domain in ("math", "choice")]
        assert sum(shares) == pytest.approx(1)
    assert metrics[0]["teacher/swaps"] == 1


def test_a_resumed_stage_goes_on_to_the_same_bits(registry: Registry, tmp_path: Path) -> None:
    chosen = stage(registry, balance=FollowGaps())
    _, _, whole = run(chosen, tmp_path / "whole", steps=2)
    _, state, half = run(chosen, tmp_path / "half", steps=1)
    _, _, resumed = run(chosen, tmp_path / "half", steps=1, student=half, state=state)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"teachers": {"math": None}}, "domain 'choice' of stage 'mopd' has no teacher"),
        ({"teachers": {"math": None, "choice": None, "code": None}}, "domain 'code', which no env"),
        ({"max_waves": 2}, "max_waves must be 1"),
        ({"group_size": 0}, "group_size must be 1 or more"),
    ],
)
def test_what_cannot_be_distilled_is_refused(
    registry: Registry, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        stage(registry, **changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"teachers": {"math": "choice", "choice": None}}, "'choice' is bound to domain 'math'"),
        ({"teachers": {"math": "nobody", "choice": None}}, "unknown checkpoint"),
        ({"registry": None}, "needs registry"),
        ({"registry": "/nowhere/registry.json"}, "it is empty"),
    ],
)
def test_a_teacher_that_is_not_there_stops_the_stage(
    registry: Registry, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        run(stage(registry, **changes), tmp_path)


def test_a_merge_is_the_base_plus_the_scaled_differences(
    registry: Registry, tmp_path: Path
) -> None:
    base, *teachers = (registry.folder / name for name in ("student", "math", "choice"))
    merged = load_model(str(merge_weights(base, teachers, tmp_path / "merged", scale=0.5)))
    weights = [load_model(str(folder)).state_dict() for folder in (base, *teachers)]
    for name, tensor in merged.state_dict().items():
        ours, *theirs = (held[name] for held in weights)
        assert torch.allclose(tensor, ours + 0.5 * sum(t - ours for t in theirs), atol=1e-6)
    with pytest.raises(ConfigError, match="at least one teacher"):
        merge_weights(base, [], tmp_path / "none", scale=0.5)


def test_a_preference_is_judged_within_its_group(tmp_path: Path) -> None:
    """The rewards that GRPO trains on are the group's points, not the single answer's verdict."""
    asked: list[int] = []

    async def points(group: Any, /) -> list[Any]:
        asked.append(len(group))
        verdict = Verdict(0.5, VerdictStatus.PARTIAL)
        return [replace(t, reward=2.0 + i, verdict=verdict) for i, t in enumerate(group)]

    env = TrainEnv(
        env="cascade/Preference-v0",
        tasks=MiniSource(kind="preference", size=4, split="train"),
        options={"against": "group", "group_reward": points},
    )
    rlhf = GrpoStage(
        name="rlhf", steps=1, envs=(env,), groups=2, group_size=3,
        sampling=SamplingParams(max_tokens=4), loss=Grpo(kl_coefficient=0.03),
    )  # fmt: skip
    [metrics], _, _ = run(rlhf, tmp_path)
    assert asked == [3, 3]
    assert metrics["reward/mean"] == pytest.approx(3.0)
    assert metrics["groups/kept"] == 2
