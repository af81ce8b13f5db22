"""Runs under torchrun, for test_distributed.py: one rank's part, its results in a file.

torchrun --nproc-per-node N ranks_under_torchrun.py WHAT FOLDER
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch

from cascade.trainer.distributed import full_weights, join
from cascade.trainer.losses import Grpo, Mopd
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig, TrainSample
from drawn_samples import drawn
from tiny_models import random_nemotron_h

OPTIMIZER = OptimizerConfig(peak_learning_rate=1e-3)


def batch(count: int = 10) -> list[TrainSample]:
    return [
        TrainSample(s, advantage=(-1.0) ** i * (1 + i % 3), teacher_logprobs=s.sampler_logprobs + 1)
        for i, s in enumerate(drawn(count))
    ]


def train(folder: Path) -> None:
    """Two updates, state saved and loaded between them; rank 0 writes what came out."""
    with join(deadline_seconds=120, device="cpu") as ranks:
        config = PolicyConfig(
            micro_batch_tokens=40, expert_bias_rate=1e-3, activation_checkpointing=True
        )
        told = ranks.from_first(lambda: batch())
        policy = Policy(random_nemotron_h(), config, OPTIMIZER, ranks)
        scores = policy.logprobs([item.sample for item in told])
        metrics = [policy.update(told, Grpo())]
        state, weights = policy.state(), full_weights(policy.model)
        model = random_nemotron_h()
        model.load_state_dict(weights)
        resumed = Policy(model, config, OPTIMIZER, ranks)
        resumed.load_state(state)
        metrics.append(resumed.update(told, Mopd()))
        weights = full_weights(resumed.model)
        if ranks.rank == 0:
            torch.save(
                {"scores": [torch.from_numpy(s) for s in scores], "metrics": metrics,
                 "weights": weights},
                folder / f"of_{ranks.size}.pt",
            )  # fmt: skip


def hang(folder: Path) -> None:
    """Rank 1 never comes to the update that rank 0 waits in."""
    with join(deadline_seconds=5, device="cpu") as ranks:
        policy = Policy(random_nemotron_h(), PolicyConfig(), OPTIMIZER, ranks)
        ranks.gathered("both are ready")
        with ranks.phase("reading"):
            pass
        if ranks.rank == 1:
            time.sleep(120)
        policy.update(batch(), Grpo())


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"train": train, "hang": hang}[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # as the command does under torchrun
