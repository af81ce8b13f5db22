"""The toy model: its cache, its determinism, and what it can do once trained."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from cascade.envs.engines import open_engine
from cascade.envs.mini import mini_task, solution
from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.engines.tiny import open_tiny
from cascade.trainer.sft import SftConfig
from cascade.trainer.toy import ToyConfig, cached_toy, toy_folder, train_toy
from cascade.types import SamplingParams

SMALL = ToyConfig(
    hidden_size=64, num_layers=1, num_heads=2, num_experts=4, expert_size=32, num_conversations=40,
    num_drills=40, num_sums=40,
    sft=SftConfig(steps=5, row_tokens=128, batch_rows=2, warmup_steps=1),
)  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_toy_has_at_most_two_million_parameters_and_room_for_real_problems() -> None:
    model, tokenizer = train_toy(
        dataclasses.replace(
            ToyConfig(), num_conversations=20, num_drills=0, num_sums=0, sft=SMALL.sft
        )
    )
    assert model.num_parameters() <= 2_000_000
    assert model.config.max_position_embeddings >= 4096
    assert len(tokenizer) <= model.config.vocab_size


def test_the_same_config_gives_the_same_weights_to_the_bit() -> None:
    import torch

    (first, _), (second, _) = train_toy(SMALL), train_toy(SMALL)
    for left, right in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(left, right)


def test_it_is_trained_once_and_then_found_in_the_cache(cache: Path) -> None:
    folder = cached_toy(SMALL, show_progress=False)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert folder.parent == cache / "cascade" / "toy"
    assert cached_toy(SMALL, show_progress=False) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert [p.name for p in folder.parent.iterdir() if p.is_dir()] == [folder.name]


def test_another_config_is_another_toy() -> None:
    other = dataclasses.replace(SMALL, seed=1)
    assert toy_folder(SMALL) == toy_folder(dataclasses.replace(SMALL))
    assert toy_folder(SMALL) != toy_folder(other)


TRAIN = """
import sys
import transformers
from cascade.trainer.sft import SftConfig
from cascade.trainer.toy import ToyConfig, cached_toy
small = ToyConfig(
    hidden_size=64, num_layers=1, num_heads=2, num_experts=4, expert_size=32, num_conversations=40,
    num_drills=40, num_sums=40,
    sft=SftConfig(steps=5, row_tokens=128, batch_rows=2, warmup_steps=1),
)
print("ready", flush=True)
sys.stdin.readline()
print((cached_toy(small, show_progress=False) / "model.safetensors").stat().st_mtime_ns)
"""


def test_two_processes_at_once_train_it_once(cache: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    written = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert written[0] == written[1] != ""


def test_a_cache_that_cannot_be_written_says_which_variable_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.raises(ConfigError, match="set XDG_CACHE_HOME"):
        cached_toy(SMALL, show_progress=False)


def test_another_name_than_toy_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'toy'"):
        open_tiny("toys")


async def test_the_trained_toy_solves_some_easy_problems_and_not_all() -> None:
    """Between hopeless and perfect, on problems it was not trained on, and never twice the same."""
    engine = open_engine("tiny", "toy", show_progress=False)
    tasks = [mini_task("number_theory", 1, i) for i in range(40)]
    drawn = await engine.sample(
        [task.messages for task in tasks for _ in range(4)], SamplingParams(max_tokens=64, seed=0)
    )
    await engine.aclose()
    endings = [solution(task).rsplit("\n", 1)[1] for task in tasks for _ in range(4)]
    right = [c.text.endswith(e) for c, e in zip(drawn, endings, strict=True)]
    assert 0.4 < sum(right) / len(right) < 0.99
    assert any(0 < sum(right[i : i + 4]) < 4 for i in range(0, len(right), 4))
    assert all(c.text.startswith("<think>\n") for c in drawn)
