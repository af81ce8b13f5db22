"""The cascade runner: matrix, registry, gates, resuming, edited recipes, pruning, the page.

The stages write skills straight into a weight and the sampler reads them there, so that scores are
what a test says they are; everything else is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.tasksets import MiniSource
from cascade.errors import ConfigError, EngineError, TrainingError, UnknownNameError
from cascade.trainer.cascade import (
    Cascade,
    CascadeStage,
    InsertStage,
    OutsideTeacher,
    Require,
    StopOnDrop,
)
from cascade.trainer.cascade_run import CascadeFolder, StageResult, run_cascade
from cascade.trainer.distributed import Ranks
from cascade.trainer.heldout import HeldOut, Sampler
from cascade.trainer.order import measure_interference, report, suggest_order
from cascade.trainer.recipe import Context, StageRun
from cascade.trainer.registry import Registry, weights_digest
from cascade.trainer.tokenizer import toy_tokenizer
from tiny_models import random_qwen3_moe

NAMES = ("math", "choice", "modular")
KINDS = ("arithmetic", "choice", "modular")
ENVS = ("cascade/Math-v0", "cascade/MultipleChoice-v0", "cascade/Math-v0")
TASKS = 40
opened: list[str] = []
"""Names of the stages that were opened, in order."""


def heldout(name: str, **changes: Any) -> HeldOut:
    k = NAMES.index(name)
    source = MiniSource(kind=KINDS[k], size=TASKS)
    return replace(HeldOut(name=name, env=ENVS[k], tasks=source, max_tokens=64), **changes)


@dataclass(frozen=True)
class Source:
    """A random model with skill 0 in everything."""

    dtype: str = "float32"
    device: str = "cpu"

    def config(self) -> Any:
        return random_qwen3_moe(vocab_size=448).config

    def open(self, seed: int) -> Any:
        model = random_qwen3_moe(vocab_size=448)
        with torch.no_grad():
            model.model.embed_tokens.weight[0, :3] = 0.0
        return model

    def tokenizer(self) -> Any:
        return toy_tokenizer()


@dataclass(frozen=True)
class Teach:
    """Sets the skill of domains."""

    name: str
    skills: Mapping[str, float]
    steps: int = 1

    def open(self, context: Context) -> StageRun:
        opened.append(self.name)
        return Teaching(self, context)


@dataclass
class Teaching:
    stage: Teach
    context: Context

    async def step(self, index: int) -> Mapping[str, float]:
        weight: Any = self.context.model.get_input_embeddings().weight
        with torch.no_grad():
            for name, skill in self.stage.skills.items():
                weight[0, NAMES.index(name)] = skill
        return {"reward/mean": 0.5, "episodes": 4.0}

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None: ...
    def saved(self) -> None: ...
    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Skilled(Sampler):
    """Answers rightly as many tasks of a domain as the weights' skill says."""

    broken: list[str] = field(default_factory=list)
    """Texts whose prompts make the engine fail."""

    def open(self, folder: Path) -> Any:
        skills = load_file(folder / "model.safetensors")["model.embed_tokens.weight"][0, :3]
        answers: dict[str, str] = {}
        for k, name in enumerate(NAMES):
            for i, task in enumerate(heldout(name).make().tasks):
                gold = task.reference["answer"] if name == "choice" else task.reference
                right = i < round(float(skills[k]) * TASKS)
                answers[task.messages[0]["content"]] = f"\\boxed{{{gold if right else 'no'}}}"

        def reply(prompt: Any, params: Any) -> str | Exception:
            text = prompt[0]["content"]
            if any(word in text for word in self.broken):
                return EngineError("down")
            return answers[text]

        return ScriptedEngine(reply)


FIRST = CascadeStage(stage=Teach("sft", {"math": 0.9, "choice": 0.2}))
SECOND = CascadeStage(stage=Teach("choice_rl", {"math": 0.5, "choice": 0.8}), learns=("choice",))
RESTORE = Teach("mopd", {"math": 0.9})


def cascade(*stages: CascadeStage, **changes: Any) -> Cascade:
    settings: dict[str, Any] = {
        "name": "test", "model": Source(), "domains": (heldout("math"), heldout("choice")),
        "stages": stages or (FIRST, SECOND), "sampler": Skilled(), "threads": 1,
    }  # fmt: skip
    return Cascade(**settings | changes)


def run(given: Cascade, folder: Path, **options: Any) -> tuple[list[StageResult], list[str]]:
    """Run; return the results and the stages that were really trained."""
    opened.clear()
    results = asyncio.run(run_cascade(given, folder, say=said.append, every=100, **options))
    return results, list(opened)


said: list[str] = []


def test_every_domain_is_measured_and_the_best_checkpoint_teaches(tmp_path: Path) -> None:
    results, trained = run(cascade(), tmp_path)
    assert trained == ["sft", "choice_rl"]
    found = {(r.name, d): s.mean for r in results for d, s in r.scores.items()}
    assert found == pytest.approx(
        {("sft", "math"): 0.9, ("sft", "choice"): 0.2,
         ("choice_rl", "math"): 0.5, ("choice_rl", "choice"): 0.8}
    )  # fmt: skip
    registry = Registry.load(tmp_path / "registry.json")
    assert {d: e.name for d, e in registry.teachers().items()} == {
        "math": "sft", "choice": "choice_rl",
    }  # fmt: skip
    assert registry.check(registry.get("sft")) == tmp_path / "stages/sft/final"
    page = (tmp_path / "index.html").read_text()
    assert page.count('class="drop"') == 1
    assert page.count("★") == 3  # two teachers and the legend
    assert "math (40.0 points, clearly)" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert not (tmp_path / "stages/sft/checkpoints").exists()


def test_the_same_command_repeats_nothing_and_an_appended_stage_is_all_that_runs(
    tmp_path: Path,
) -> None:
    first, _ = run(cascade(), tmp_path)
    again, trained = run(cascade(), tmp_path)
    assert trained == []
    assert again == first
    third = CascadeStage(stage=Teach("modular_rl", {"modular": 1.0}), learns=("modular",))
    wider = cascade(FIRST, SECOND, third, domains=(*cascade().domains, heldout("modular")))
    results, trained = run(wider, tmp_path)
    assert trained == ["modular_rl"]
    assert [r.scores["modular"].mean for r in results] == [0, 0, 1]  # earlier ones are measured too


def test_an_edited_recipe_says_what_changed_and_what_is_trained_again(tmp_path: Path) -> None:
    run(cascade(), tmp_path)
    edited = cascade(replace(FIRST, stage=Teach("sft", {"math": 0.7}, steps=2)), SECOND)
    with pytest.raises(ConfigError, match=r"(?s)sft: .*steps: 1 -> 2.*again: sft, choice_rl"):
        run(edited, tmp_path)
    results, trained = run(edited, tmp_path, rerun=True)
    assert trained == ["sft", "choice_rl"]
    assert results[0].scores["math"].mean == pytest.approx(0.7)
    assert len(list(tmp_path.glob("replaced/*/stages/*"))) == 2
    second_only = cascade(edited.stages[0], replace(SECOND, stage=Teach("choice_rl", {})))
    with pytest.raises(ConfigError, match=r"again: choice_rl\. Pass --rerun"):
        run(second_only, tmp_path)
    with pytest.raises(ConfigError, match="choice_rl: no longer in the recipe"):
        run(cascade(edited.stages[0]), tmp_path)
    other_gate = cascade(edited.stages[0], replace(SECOND, gate=Require("choice", 0.5)))
    assert run(other_gate, tmp_path)[1] == []  # a gate changes no weights


def test_a_gate_inserts_distillation_once(tmp_path: Path) -> None:
    guarded = replace(SECOND, gate=InsertStage(RESTORE))
    results, trained = run(cascade(FIRST, guarded), tmp_path)
    assert trained == ["sft", "choice_rl", "choice_rl.mopd"]
    assert results[1].decision == "insert: clearly below its best: math (-40.0 points)"
    assert results[2].start == "choice_rl"
    assert results[2].scores["math"].mean == pytest.approx(0.9)
    third = CascadeStage(stage=Teach("last", {}))
    results, trained = run(cascade(FIRST, guarded, third), tmp_path)
    assert trained == ["last"]
    assert results[3].start == "choice_rl.mopd"


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (StopOnDrop(), r"clearly below its best: math \(-40.0 points\)"),
        (Require("math", 0.6), r"math has 50.0 % .* 60 % are required"),
    ],
)
def test_a_gate_that_never_passes_stops_with_its_reason(
    tmp_path: Path, gate: Any, why: str
) -> None:
    stopped = cascade(FIRST, replace(SECOND, gate=gate), CascadeStage(stage=Teach("last", {})))
    for expected in (["sft", "choice_rl"], []):
        with pytest.raises(TrainingError, match=f"'choice_rl' stopped the cascade.*{why}"):
            run(stopped, tmp_path)
        assert opened == expected
    assert StopOnDrop(tolerance=0.5)([], {}).action == "continue"
    assert run(cascade(FIRST, SECOND, stopped.stages[2]), tmp_path)[1] == ["last"]


def test_a_run_that_broke_while_measuring_does_not_train_again(tmp_path: Path) -> None:
    broken = cascade(sampler=Skilled(broken=["multiple choice"]))
    with pytest.raises(EngineError, match=r"'choice'.*could not be judged"):
        run(broken, tmp_path)
    half = CascadeFolder(tmp_path).result("sft")
    assert half is not None
    assert set(half.scores) == {"math"}
    assert run(cascade(), tmp_path)[1] == ["choice_rl"]


def test_teachers_are_never_deleted(tmp_path: Path) -> None:
    stages = [
        CascadeStage(stage=Teach(f"s{i}", {"math": skill}))
        for i, skill in enumerate((0.9, 0.5, 0.6))
    ]
    run(cascade(*stages, domains=(heldout("math"),), keep="teachers"), tmp_path)
    kept = [i for i in range(3) if CascadeFolder(tmp_path).final(f"s{i}").is_dir()]
    assert kept == [0, 2]  # the teacher and the newest


def test_rivals_run_from_the_same_start_and_are_drawn(tmp_path: Path) -> None:
    rival = replace(SECOND, rival=Teach("grpo", {}, steps=2))
    results, trained = run(cascade(FIRST, rival), tmp_path)
    assert trained == ["sft", "choice_rl", "grpo"]
    assert [r.name for r in results] == ["sft", "choice_rl"]
    assert "choice_rl against grpo" in (tmp_path / "index.html").read_text()
    assert run(cascade(FIRST, rival), tmp_path)[1] == []


def test_outside_teachers_are_registered_with_their_checksum(tmp_path: Path) -> None:
    model = random_qwen3_moe(vocab_size=448)
    model.save_pretrained(tmp_path / "expert")
    outside = OutsideTeacher(
        name="expert", folder=str(tmp_path / "expert"), teaches=("math",),
        weights_sha256=weights_digest(tmp_path / "expert"),
    )  # fmt: skip
    run(cascade(FIRST, outside_teachers=(outside,)), tmp_path / "run")
    registry = Registry.load(tmp_path / "run/registry.json")
    assert registry.check(registry.bind("math", "expert")) == tmp_path / "expert"


@pytest.mark.parametrize(
    ("changes", "error", "why"),
    [
        ({"stages": ()}, ConfigError, "no stages"),
        ({"stages": (FIRST, FIRST)}, ConfigError, "different names"),
        ({"domains": (heldout("math"), heldout("math"))}, ConfigError, "different names"),
        ({"domains": (heldout("math"),)}, UnknownNameError, "'choice_rl' learns 'choice'"),
    ],
)
def test_a_cascade_that_cannot_run_is_refused(
    changes: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        cascade(**changes) if "stages" not in changes else replace(cascade(), **changes)


def test_an_order_is_suggested_that_loses_least(tmp_path: Path) -> None:
    """`choice_rl` hurts math, `math_rl` hurts nothing: so math has to come last."""
    math_rl = CascadeStage(stage=Teach("math_rl", {"math": 1.0}, steps=5), learns=("math",))
    given = cascade(FIRST, math_rl, SECOND)
    opened.clear()
    measured = asyncio.run(measure_interference(given, tmp_path, steps=2))
    assert opened == ["sft", "math_rl", "choice_rl"]
    assert measured.effect("choice_rl", "math")[0] == pytest.approx(-0.4)
    assert measured.loss("choice_rl", "math_rl") == pytest.approx(0.4)
    assert measured.loss("math_rl", "choice_rl") == 0
    order, cost = suggest_order(measured, ["math_rl", "choice_rl"])
    assert (order, cost) == (["choice_rl", "math_rl"], 0)
    assert measured.cost(["math_rl", "choice_rl"]) == pytest.approx(0.4)
    shown = report(measured, ["math_rl", "choice_rl"])
    assert "-40.0*" in shown
    assert "suggested order loses  0.0 points: choice_rl -> math_rl" in shown
    opened.clear()
    asyncio.run(measure_interference(given, tmp_path, steps=2))
    assert opened == []
    harmless = replace(measured, after=dict.fromkeys(measured.after, measured.before))
    assert suggest_order(harmless, ["math_rl", "choice_rl"])[0] == ["math_rl", "choice_rl"]
    with pytest.raises(ConfigError, match="at least two"):
        asyncio.run(measure_interference(cascade(), tmp_path / "b", steps=2))


def test_vllm_in_one_of_several_processes_is_refused_before_anything(tmp_path: Path) -> None:
    """It would set up groups over all of them, and hang after a whole stage."""
    given = cascade(sampler=Sampler("vllm"))
    with pytest.raises(ConfigError, match="under torchrun"):
        asyncio.run(run_cascade(given, tmp_path / "run", ranks=Ranks(rank=0, size=2)))
    assert not (tmp_path / "run").exists()
