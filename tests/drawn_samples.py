"""Samples as an engine would have drawn them, for tests of the trainer."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade.trainer.samples import Sample

VOCABULARY = 256


def drawn(count: int = 8, *, seed: int = 0, group_size: int = 4, **fields: Any) -> list[Sample]:
    """Random prompts and responses of different lengths, one sample an episode."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        prompt, response = int(rng.integers(2, 6)), int(rng.integers(3, 14))
        sampled = np.arange(prompt + response) >= prompt
        logprobs = np.where(sampled, -rng.exponential(size=len(sampled)), 0.0)
        given: dict[str, Any] = {
            "token_ids": rng.integers(0, VOCABULARY, len(sampled)), "sampled": sampled,
            "sampler_logprobs": logprobs.astype(np.float32), "episode": i,
            "group": i // group_size, "domain": ("code", "math")[i % 2],
            "reward": float(i % 2), "task_id": f"task {i // group_size}",
        }  # fmt: skip
        samples.append(Sample(**given | fields))
    return samples
