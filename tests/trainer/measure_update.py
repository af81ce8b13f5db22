"""Takes updates of a small model and prints the memory that they needed: see test_plan.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cascade.trainer.batch import TrainSample
from cascade.trainer.losses import Grpo
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig
from cascade.trainer.samples import Sample


def resident(field: str) -> int:
    """Read a field of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise ValueError(field)


def forget_peak() -> None:
    """Set the peak of the resident memory back to what is resident now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def samples(count: int, length: int, vocabulary: int) -> list[TrainSample]:
    """Return random samples of which all but the first token are trained on."""
    rng = np.random.default_rng(0)
    sampled = np.ones(length, dtype=np.bool_)
    sampled[0] = False
    return [
        TrainSample(
            Sample(
                token_ids=rng.integers(0, vocabulary, length),
                sampled=sampled,
                sampler_logprobs=np.zeros(length, dtype=np.float32),
                episode=i,
                group=0,
                domain="d",
                reward=0.0,
            ),
            advantage=float(rng.normal()),
        )
        for i in range(count)
    ]


def main(model_of: Any, config: Any, count: int, length: int, checkpointing: bool) -> None:
    """Update a few times and print bytes."""
    torch.set_num_threads(1)
    small = samples(1, 16, 64)
    model = model_of(config)
    settings = PolicyConfig(
        activation_checkpointing=checkpointing, micro_batch_tokens=count * length
    )
    policy = Policy(model, settings, OptimizerConfig())
    # Two micro-batches: the gradients of the first stand beside the activations of the second.
    batch = samples(2 * count, length, config.vocab_size)
    policy.update(small, Grpo())  # the optimizer's state, and what libraries load lazily
    parameters = sum(p.nbytes for p in model.parameters())
    before = resident("VmRSS")
    forget_peak()
    policy.update(batch, Grpo())
    peak = resident("VmHWM")
    # Weights and moments are there before the update; its own needs are what comes on top.
    print(json.dumps({"peak": peak - before + 3 * parameters, "parameters": parameters}))


if __name__ == "__main__":
    from transformers import AutoConfig, AutoModelForCausalLM

    folder, count, length, checkpointing = sys.argv[1:]
    torch.manual_seed(0)
    main(
        AutoModelForCausalLM.from_config, AutoConfig.from_pretrained(folder), int(count),
        int(length), checkpointing == "checkpointing",
    )  # fmt: skip
