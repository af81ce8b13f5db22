"""Two processes under torchrun with gloo: the same numbers as one, and no endless wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cascade.errors import ConfigError
from cascade.trainer.distributed import Ranks, full_weights, join
from cascade.trainer.losses import Grpo
from cascade.trainer.policy import Policy, PolicyConfig
from ranks_under_torchrun import OPTIMIZER, batch, train
from tiny_models import random_nemotron_h

SCRIPT = Path(__file__).parent.parent / "ranks_under_torchrun.py"


def torchrun(what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parent)}
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            str(SCRIPT), what, str(folder),
        ],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_two_ranks_do_what_one_does(tmp_path: Path) -> None:
    train(tmp_path)
    done = torchrun("train", tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    one, two = (torch.load(tmp_path / f"of_{n}.pt", weights_only=True) for n in (1, 2))
    for a, b in zip(one["scores"], two["scores"], strict=True):
        assert np.allclose(a, b, atol=1e-5)
    for a, b in zip(one["metrics"], two["metrics"], strict=True):
        assert set(a) == set(b)
        for name, value in a.items():
            assert b[name] == pytest.approx(value, abs=1e-5, rel=1e-5), name
    for name, weight in one["weights"].items():
        assert torch.allclose(weight, two["weights"][name], atol=1e-5), name


def test_a_stuck_rank_ends_the_run_with_its_name_and_phase(tmp_path: Path) -> None:
    done = torchrun("hang", tmp_path)
    assert done.returncode != 0
    assert "rank 0 has been in phase 'forward and backward' for over 5 seconds" in done.stderr
    assert "rank 1: 'after reading' for" in done.stderr


def test_bfloat16_computation_keeps_float32_masters() -> None:
    samples = [item.sample for item in batch()]
    plain = Policy(random_nemotron_h(), PolicyConfig(), OPTIMIZER).logprobs(samples)
    config = PolicyConfig(dtype="bfloat16", freeze_routers=True)
    with pytest.raises(ConfigError, match="pass the ranks"):
        Policy(random_nemotron_h(), config, OPTIMIZER)
    with join(device="cpu") as ranks:
        policy = Policy(random_nemotron_h(), config, OPTIMIZER, ranks)
        before = policy.logprobs(samples)
        for _ in range(3):
            policy.update(batch(), Grpo())
        after = policy.logprobs(samples)
        weights = full_weights(policy.model)
    off = max(float(np.abs(a - b).max()) for a, b in zip(plain, before, strict=True))
    assert 1e-3 < off < 1.0, "computed in bfloat16"
    gained = [
        item.advantage * float((a - b).sum())
        for item, a, b in zip(batch(), after, before, strict=True)
    ]
    assert sum(gained) > 0
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_every_rank_works_equally_often_and_every_item_counts_once() -> None:
    items = list(range(7))
    shares = [Ranks(rank, 3).share(items) for rank in range(3)]
    assert {len(share) for share in shares} == {3}
    assert sorted(i for share in shares for i, counts in share if counts) == items
    with pytest.raises(ConfigError, match="CUDA"), join(device="cuda"):
        pass
