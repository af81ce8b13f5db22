"""Predictions of memory against measured updates, and against known sizes of the 30B-A3B model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.plan import make_plan, model_facts, update_memory
from cascade.trainer.plan_report import main
from cascade.trainer.recipe import load_recipe
from cascade.trainer.settings import override

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = str(ROOT / "recipes" / "tiny_math.py")
ROWS, LENGTH = 8, 128


def small(family: str) -> Any:
    from transformers import GptOssConfig, Qwen3MoeConfig

    shared = {
        "vocab_size": 4096, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "num_experts_per_tok": 4,
        "max_position_embeddings": 1024,
    }  # fmt: skip
    if family == "gpt_oss":
        return GptOssConfig(
            **shared, num_local_experts=8, intermediate_size=256, sliding_window=128
        )
    return Qwen3MoeConfig(
        **shared, num_experts=16, moe_intermediate_size=128, intermediate_size=256
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "checkpointing"), [("qwen3_moe", False), ("gpt_oss", True)])
def test_the_peak_of_an_update_is_predicted_within_a_fifth(
    family: str, checkpointing: bool, tmp_path: Path
) -> None:
    config = small(family)
    config.save_pretrained(tmp_path)
    script = Path(__file__).parent / "measure_update.py"
    word = "checkpointing" if checkpointing else "plain"
    command = [sys.executable, str(script), str(tmp_path), str(ROWS), str(LENGTH), word]
    # Every large tensor gets pages of its own, so that what is freed leaves the resident set.
    environ = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    facts = model_facts(config)
    parts = update_memory(
        facts, tokens=ROWS * LENGTH, sampled_tokens=ROWS * (LENGTH - 1), dtype="float32",
        checkpointing=checkpointing, chunk_bytes=8 << 20,
    )  # fmt: skip
    assert facts.parameters * 4 == measured["parameters"]
    assert sum(parts.values()) == pytest.approx(measured["peak"], rel=0.2)


@pytest.fixture(scope="module")
def config_30b() -> Any:
    from transformers import Qwen3MoeConfig

    return Qwen3MoeConfig(
        vocab_size=151_936, hidden_size=2048, num_hidden_layers=48, num_attention_heads=32,
        num_key_value_heads=4, head_dim=128, num_experts=128, num_experts_per_tok=8,
        moe_intermediate_size=768, intermediate_size=6144,
    )  # fmt: skip


@pytest.fixture(scope="module")
def thirty_b(config_30b: Any) -> Any:
    return model_facts(config_30b)


def test_the_sizes_of_qwen3_30b_a3b(thirty_b: Any) -> None:
    """Its card says 30.5 B parameters, 29.9 B without embeddings, 3.3 B active."""
    assert thirty_b.parameters == pytest.approx(30.5e9, rel=0.005)
    embedding = 151_936 * 2048
    assert thirty_b.parameters - 2 * embedding == pytest.approx(29.9e9, rel=0.005)
    assert thirty_b.active_parameters + embedding == pytest.approx(3.3e9, rel=0.03)
    assert thirty_b.cache_bytes_per_token == 48 * 2 * 4 * 128 * 2


def test_shards_and_checkpoints_make_it_fit(thirty_b: Any) -> None:
    def peak(**settings: Any) -> float:
        parts = update_memory(
            thirty_b, tokens=16_384, sampled_tokens=16_384, dtype="float32",
            compute_dtype="bfloat16", **settings,
        )  # fmt: skip
        return sum(parts.values())

    assert peak(shards=1) > 4 * 4 * 30.5e9
    assert peak(shards=16, checkpointing=True) < 60e9 < peak(shards=16)
    whole = update_memory(thirty_b, tokens=1, sampled_tokens=1, dtype="float32", shards=1)
    shard = update_memory(thirty_b, tokens=1, sampled_tokens=1, dtype="float32", shards=8)
    assert shard["optimizer"] * 8 == whole["optimizer"] == 2 * whole["weights"]


def test_the_30b_recipe_fits_six_cards_and_not_one(config_30b: Any, tmp_path: Path) -> None:
    config_30b.save_pretrained(tmp_path)
    path = str(ROOT / "recipes" / "qwen3_30b_a3b_math.py")
    recipe = override(load_recipe(path), [f"model.path={tmp_path}"])
    plan = make_plan(recipe, device="h200", devices=6)
    assert plan.fits
    [stage] = plan.stages
    assert "vllm" not in stage.memory["rollout"]  # it has cards of its own
    assert 80e9 < stage.peak_bytes < 141e9
    assert not make_plan(recipe, device="h200", devices=1).fits


def test_a_recipe_is_planned_stage_by_stage(capsys: Any) -> None:
    plan = make_plan(load_recipe(TINY), device="cpu")
    assert [stage.name for stage in plan.stages] == ["sft", "grpo"]
    assert set(plan.stages[1].memory) == {"update", "rollout"}
    assert plan.fits
    assert main([TINY, "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert f"grpo, {plan.stages[1].steps} steps" in told
    assert "assumed: fill 0.5" in told
    assert main([TINY, "--device", "cpu", "--set", "grpo.groups=8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True


def test_longer_answers_cost_more_and_too_much_is_told(capsys: Any) -> None:
    plain = make_plan(load_recipe(TINY), device="cpu").stages[1]
    longer = override(load_recipe(TINY), ["grpo.sampling.max_tokens=4000000"])
    planned = make_plan(longer, device="cpu")
    assert planned.stages[1].seconds["rollout"] > plain.seconds["rollout"]
    assert not planned.fits
    assert main([TINY, "--device", "cpu", "--set", "grpo.sampling.max_tokens=4000000"]) == 3
    assert "DOES NOT FIT" in capsys.readouterr().out


def test_bad_input_is_named() -> None:
    with pytest.raises(UnknownNameError, match="or 'h100-80gb'"):
        make_plan(load_recipe(TINY), device="h100")
    with pytest.raises(ConfigError, match="devices must be 1 or more"):
        make_plan(load_recipe(TINY), device="cpu", devices=0)
    with pytest.raises(ConfigError, match="--assume fill=-1"):
        main([TINY, "--assume", "fill=-1"])


@pytest.fixture(scope="module")
def cascade_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of Nemotron 3 Nano 30B-A3B (its model card), without weights."""
    from transformers import NemotronHConfig

    kinds = {"M": "mamba", "E": "moe", "*": "attention"}
    pattern = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"
    config = NemotronHConfig(
        vocab_size=131_072, hidden_size=2688, layers_block_type=[kinds[x] for x in pattern],
        num_attention_heads=32, num_key_value_heads=2, head_dim=128, mamba_num_heads=64,
        mamba_head_dim=64, n_groups=8, ssm_state_size=128, n_routed_experts=128,
        num_experts_per_tok=6, moe_intermediate_size=1856, intermediate_size=1856,
        moe_shared_expert_intermediate_size=3712, n_shared_experts=1, tie_word_embeddings=False,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("cascade2")
    config.save_pretrained(folder)
    return folder


def test_the_published_cascade_is_planned_with_its_teachers(
    cascade_2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CASCADE_SFT_MODEL", str(cascade_2))
    recipe = str(ROOT / "recipes" / "nemotron_cascade_2.py")
    assert main([recipe, "--device", "b200", "--devices", "32", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["model"]["parameters"] == pytest.approx(31.6e9, rel=0.002)  # published: 31.6 B
    assert plan["model"]["active_parameters"] == pytest.approx(3.2e9, rel=0.01)  # published: 3.2 B
    # Two heads of 128 in 16 bits, keys and values: the six attention layers only, not the Mamba.
    assert plan["model"]["cache_bytes_per_token"] == 6 * 2 * 128 * 2 * 2
    stages = {stage["name"]: stage for stage in plan["stages"]}
    assert list(stages) == [
        "if_rl", "multi_domain", "mopd", "rlhf", "long_context", "code", "swe",
    ]  # fmt: skip
    for name, stage in stages.items():
        seat = {phase: parts.get("teacher", 0.0) for phase, parts in stage["memory"].items()}
        whole = {"teachers": 2.0 * plan["model"]["parameters"]} if name == "mopd" else {}
        assert seat == {"update": 0.0, "rollout": 0.0, **whole}
        assert ("teachers" in stage["seconds"]) == (name == "mopd")
    assert main([recipe, "--device", "h200", "--devices", "8", "--json"]) == 3
