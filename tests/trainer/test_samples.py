"""Trajectories as token rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cascade.errors import ContractError
from cascade.trainer.samples import samples_of
from cascade.types import Completion, StopReason, Trajectory, Verdict


def completion(prompt: list[int], drawn: list[int], **fields: Any) -> Completion:
    return Completion(
        text="", stop_reason=StopReason.STOP, prompt_token_ids=tuple(prompt),
        token_ids=tuple(drawn), logprobs=tuple(-0.1 * t for t in drawn), **fields,
    )  # fmt: skip


def trajectory(*completions: Completion, verdict: Verdict | None = None) -> Trajectory:
    return Trajectory(
        task_id="t", env_id="cascade/X-v0", sample=0, messages=(), completions=completions,
        verdict=verdict or Verdict.correct(), stop_reason=StopReason.STOP, reward=1.0,
    )  # fmt: skip


def test_one_turn_is_one_sample_with_the_prompt_masked() -> None:
    (sample,) = samples_of(trajectory(completion([1, 2], [3, 4])), episode=5, group=2)
    assert sample.token_ids.tolist() == [1, 2, 3, 4]
    assert sample.sampled.tolist() == [False, False, True, True]
    assert np.allclose(sample.sampler_logprobs, [0, 0, -0.3, -0.4])
    assert (sample.episode, sample.group, sample.domain) == (5, 2, "cascade/X-v0")
    assert sample.num_sampled == 2


def test_turns_that_continue_the_text_are_one_sample() -> None:
    turns = completion([1], [2]), completion([1, 2, 7, 8], [3])
    (sample,) = samples_of(trajectory(*turns), episode=0, group=0)
    assert sample.token_ids.tolist() == [1, 2, 7, 8, 3]
    assert sample.sampled.tolist() == [False, True, False, False, True]


def test_rewritten_history_forks_and_nothing_is_tokenized_again() -> None:
    turns = completion([1], [2, 9]), completion([1, 2, 7], [3]), completion([1, 2, 7, 3, 7], [4])
    first, second = samples_of(trajectory(*turns), episode=3, group=0)
    assert first.token_ids.tolist() == [1, 2, 9]
    assert second.token_ids.tolist() == [1, 2, 7, 3, 7, 4]
    assert second.sampled.tolist() == [False, False, False, True, False, True]
    assert first.episode == second.episode == 3


def test_routes_are_laid_on_the_tokens_and_missing_ones_are_natural() -> None:
    routes = np.arange(2 * 1 * 2).reshape(2, 1, 2)
    (sample,) = samples_of(
        trajectory(completion([1, 2], [3], routed_experts=routes)), episode=0, group=0
    )
    assert sample.routed_experts is not None
    assert sample.routed_experts.shape == (3, 1, 2)
    assert sample.routed_experts[2].tolist() == [[-1, -1]]
    assert sample.routed_experts[1].tolist() == [[2, 3]]


def test_a_fault_never_becomes_a_sample() -> None:
    with pytest.raises(ContractError, match="the judge died"):
        samples_of(
            trajectory(completion([1], [2]), verdict=Verdict.fault("the judge died")),
            episode=0, group=0,
        )  # fmt: skip


def test_an_engine_without_token_ids_is_named() -> None:
    bare = replace(completion([1], [2]), token_ids=None)
    with pytest.raises(ContractError, match="no token_ids for task 't'"):
        samples_of(trajectory(bare), episode=0, group=0)
