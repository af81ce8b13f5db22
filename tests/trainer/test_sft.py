"""Supervised fine-tuning: masks, packing, learning, determinism."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch

from cascade.errors import ConfigError
from cascade.trainer.sft import (
    IGNORED,
    Example,
    SftConfig,
    SftStep,
    batches_of_rows,
    collate,
    encode_conversations,
    learning_rate,
    pack,
    sft_loss,
    train_sft,
)
from cascade.types import Message
from tiny_models import random_qwen3_moe

REASONED = "<think>\n2+3=5\n</think>\n\\boxed{5}"
CHAT: tuple[Message, ...] = (
    {"role": "user", "content": "What is 2 + 3?"},
    {"role": "assistant", "content": REASONED},
)


def examples(count: int = 12) -> list[Example]:
    return [
        Example(tuple((7 * i + j) % 90 for j in range(5 + i % 4)), prompt_length=1 + i % 3)
        for i in range(count)
    ]


def test_the_loss_is_on_exactly_what_the_assistant_would_have_sampled(tokenizer: Any) -> None:
    """Not on the generation prefix, not on the newline behind the end token."""
    [example] = encode_conversations(tokenizer, [CHAT])
    prompt = tokenizer.apply_chat_template(
        list(CHAT[:1]), add_generation_prompt=True, tokenize=False
    )
    assert tokenizer.decode(list(example.token_ids[: example.prompt_length])) == prompt
    turn = tokenizer.decode(list(example.token_ids[example.prompt_length :]))
    assert turn == REASONED.removeprefix("<think>\n") + "<|im_end|>"
    batch = collate([[example]], 64, tokenizer.pad_token_id)
    labels = batch.labels_B_T[0]
    learned = labels[labels != IGNORED].tolist()
    assert learned == list(example.token_ids[example.prompt_length :])
    first = int((labels != IGNORED).nonzero()[0])
    assert batch.input_ids_B_T[0, first + 1] == learned[0]


def test_an_answer_without_reasoning_is_learned_behind_the_non_thinking_prefix(
    tokenizer: Any,
) -> None:
    direct: tuple[Message, ...] = (CHAT[0], {"role": "assistant", "content": "5"})
    [example] = encode_conversations(tokenizer, [direct])
    prompt = tokenizer.decode(list(example.token_ids[: example.prompt_length]))
    assert prompt.endswith("<|im_start|>assistant\n<think></think>")
    assert tokenizer.decode(list(example.token_ids[example.prompt_length :])) == "5<|im_end|>"


def test_each_turn_is_an_example_with_the_history_that_a_sampler_would_see(tokenizer: Any) -> None:
    """The template strips reasoning from earlier turns, so one row cannot serve two turns."""
    long: tuple[Message, ...] = (*CHAT, {"role": "user", "content": "And 4?"}, CHAT[1])
    first, second = encode_conversations(tokenizer, [long])
    assert "2+3=5" in tokenizer.decode(list(first.token_ids))
    history = tokenizer.decode(list(second.token_ids[: second.prompt_length]))
    assert "<think></think>\n\\boxed{5}<|im_end|>" in history
    assert "2+3=5" not in history


def test_a_template_that_rewrites_the_turn_is_refused(tokenizer: Any) -> None:
    from cascade.trainer.tokenizer import toy_tokenizer

    other = toy_tokenizer()
    other.chat_template = "{% for m in messages %}{{ m.content | upper }}{% endfor %}"
    with pytest.raises(ConfigError, match="generation prefix"):
        encode_conversations(other, [CHAT])
    other.chat_template = None
    with pytest.raises(ConfigError, match="no chat template"):
        encode_conversations(other, [CHAT])


def test_packing_keeps_every_example_whole_and_in_order() -> None:
    rows = pack(examples(), 16)
    assert [e for row in rows for e in row] == examples()
    assert all(sum(len(e.token_ids) for e in row) <= 16 for row in rows)
    assert any(len(row) > 1 for row in rows)
    with pytest.raises(ConfigError, match="7 tokens, but row_tokens is 6"):
        pack([Example((1,) * 7, 1)], 6)


def test_packed_examples_have_the_loss_and_gradient_that_they_have_alone() -> None:
    model = random_qwen3_moe()
    rows = pack(examples(), 24)
    packed_nll, packed_count = sft_loss(model, collate(rows, 24, 0))
    packed_nll.backward()  # type: ignore[no-untyped-call]
    packed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    alone_nll, alone_count = torch.zeros(()), 0
    for example in examples():
        nll, count = sft_loss(model, collate([[example]], len(example.token_ids), 0))
        alone_nll, alone_count = alone_nll + nll, alone_count + count
    alone_nll.backward()  # type: ignore[no-untyped-call]
    assert (
        packed_count == alone_count == sum(len(e.token_ids) - e.prompt_length for e in examples())
    )
    assert packed_nll.item() == pytest.approx(alone_nll.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        assert torch.allclose(packed[name], parameter.grad, rtol=1e-4, atol=1e-5), name


def test_a_neighbour_in_the_row_changes_nothing() -> None:
    """The check can fail: with one running position the examples would see each other."""
    model = random_qwen3_moe()
    first, second = Example((1, 2, 3, 4), 1), Example((9, 8, 7, 6), 1)
    batch = collate([[first, second]], 8, 0)

    def logits(positions: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out = model(input_ids=batch.input_ids_B_T, position_ids=positions, use_cache=False)
        result: torch.Tensor = out.logits[0, 4:]
        return result

    with torch.no_grad():
        alone = model(input_ids=torch.tensor([second.token_ids]), use_cache=False).logits[0]
    assert torch.allclose(logits(batch.position_ids_B_T), alone, atol=1e-5)
    assert not torch.allclose(logits(torch.arange(8)[None]), alone, atol=1e-2)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_its_end() -> None:
    config = SftConfig(steps=100, warmup_steps=10, peak_learning_rate=1.0, final_learning_rate=0.1)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate(100, config) == pytest.approx(0.1)


def test_the_order_of_batches_follows_from_the_seed_and_each_epoch_differs() -> None:
    def first_ids(seed: int) -> list[list[int]]:
        config = SftConfig(steps=1, row_tokens=16, batch_rows=2, seed=seed)
        rows = islice(batches_of_rows(examples(), config), 8)
        return [collate(r, 16, 0).input_ids_B_T.flatten().tolist() for r in rows]

    assert first_ids(1) == first_ids(1)
    assert first_ids(1) != first_ids(2)
    assert first_ids(1)[:4] != first_ids(1)[4:]


def test_the_loss_falls_and_the_same_seed_gives_the_same_weights_to_the_bit() -> None:
    def trained() -> tuple[Any, list[SftStep]]:
        model = random_qwen3_moe()
        steps: list[SftStep] = []
        config = SftConfig(steps=30, row_tokens=24, batch_rows=2, warmup_steps=3)
        train_sft(model, examples(), config, pad_token_id=0, on_step=steps.append)
        return model, steps

    (model, steps), (again, _) = trained(), trained()
    assert [s.step for s in steps] == list(range(30))
    assert steps[-1].loss < 0.5 * steps[0].loss
    assert not model.training
    for (name, left), (_, right) in zip(
        model.named_parameters(), again.named_parameters(), strict=True
    ):
        assert torch.equal(left, right), name


def test_settings_that_cannot_run_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="batch_rows must be 1 or more, got 0"):
        SftConfig(steps=1, batch_rows=0)
    with pytest.raises(ConfigError, match="final_learning_rate"):
        SftConfig(steps=1, peak_learning_rate=1e-3, final_learning_rate=1e-2)
    with pytest.raises(ConfigError, match="at least one example"):
        train_sft(random_qwen3_moe(), [], SftConfig(steps=1), pad_token_id=0)
