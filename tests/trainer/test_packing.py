"""Packing: few rows, whole texts, and only for models that keep texts apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cascade.errors import ConfigError
from cascade.trainer.batch import micro_batches, totals_of
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.packing import first_fit, lay_out, packing_error
from cascade.trainer.policy import Policy, PolicyConfig
from drawn_samples import drawn
from tiny_models import random_gpt_oss, random_nemotron_h, random_qwen3_moe


def test_rows_are_few_and_each_text_is_in_one() -> None:
    lengths = [5, 9, 2, 7, 3, 1, 8, 4, 6, 5]
    rows = first_fit(lengths, 10)
    assert sorted(i for row in rows for i in row) == list(range(10))
    assert all(sum(lengths[i] for i in row) <= 10 for row in rows)
    assert len(rows) == 5, "50 tokens fill five rows of 10"
    assert first_fit(lengths, 10) == rows
    with pytest.raises(ConfigError, match="9 tokens, but row_tokens is 8"):
        first_fit(lengths, 8)


def test_positions_start_again_and_padding_continues() -> None:
    rows = lay_out([[[1, 2, 3], [4, 5]], [[6]]], pad_token_id=9)
    assert rows.input_ids_B_T.tolist() == [[1, 2, 3, 4, 5], [6, 9, 9, 9, 9]]
    assert rows.position_ids_B_T.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]]
    assert rows.places == ((0, 0), (0, 3), (1, 0))


def test_micro_batches_hold_every_sampled_token_once_within_their_budget() -> None:
    samples = drawn(20)
    for packed in (True, False):
        found = micro_batches(samples, row_tokens=None, micro_batch_tokens=64, packed=packed)
        assert sorted(i for micro in found for i in micro.indices) == list(range(20))
        assert all(micro.rows.input_ids_B_T.numel() <= 64 for micro in found)
        for micro in found:
            flat = micro.rows.input_ids_B_T.flatten()
            assert torch.equal(flat[micro.source_N + 1], micro.ids_N)
            expected = [t for i in micro.indices for t in samples[i].token_ids[samples[i].sampled]]
            assert micro.ids_N.tolist() == expected
            assert (~micro.is_padding_B_T).sum() == sum(
                len(samples[i].token_ids) for i in micro.indices
            )
    totals = totals_of(samples)
    assert totals.num_tokens == sum(s.num_sampled for s in samples)
    assert totals.tokens_of_episode_E.sum() == totals.num_tokens == sum(totals.tokens_of_domain)
    assert totals.domains == ("code", "math")


@pytest.mark.parametrize(
    ("make", "exact"),
    [(random_qwen3_moe, True), (random_gpt_oss, False), (random_nemotron_h, False)],
)
def test_the_self_test_finds_models_whose_texts_leak(make: Any, exact: bool) -> None:
    """Nemotron-H carries its Mamba state on; GPT-OSS builds its masks without the positions."""
    model = make()
    error = packing_error(model)
    assert error < 5e-6 if exact else error > 0.1
    policy = Policy(model, PolicyConfig(), OptimizerConfig())
    assert policy.packed == exact
