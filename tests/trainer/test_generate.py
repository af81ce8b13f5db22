"""The running batch against transformers' own generate and forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cascade.errors import ConfigError
from cascade.trainer.engines.generate import ContinuousBatch, check_attention
from cascade.trainer.engines.requests import Request
from cascade.types import SamplingParams, StopReason
from tiny_models import random_gpt_oss, random_qwen3_moe

MODELS: dict[str, Callable[[], Any]] = {"qwen3_moe": random_qwen3_moe, "gpt_oss": random_gpt_oss}
PROMPTS = [(5, 9, 17), (40,), tuple(range(60, 95)), (5, 9, 17), (7, 7, 7, 7, 7, 7, 8)]


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


def run(batch: ContinuousBatch, requests: list[Request]) -> list[Request]:
    """Add the requests and step until all have ended."""
    for request in requests:
        batch.add(request)
    ended = []
    while batch.busy:
        ended += batch.step()
    assert sorted(map(id, ended)) == sorted(map(id, requests))
    return requests


def new_requests(seed: int | None = 3, **params: Any) -> list[Request]:
    chosen = SamplingParams(**{"max_tokens": 24} | params)
    return [Request(prompt, chosen, seed=None if seed is None else seed + i)
            for i, prompt in enumerate(PROMPTS)]  # fmt: skip


def new_batch(model: Any, **changes: Any) -> ContinuousBatch:
    return ContinuousBatch(model, **{"max_batch": 8, "max_length": 512} | changes)


def full_forward_logprobs(model: Any, request: Request, temperature: float = 1.0) -> torch.Tensor:
    """[T] log-probabilities of the sampled tokens by one forward pass without a cache."""
    ids = torch.tensor([[*request.prompt_ids, *request.token_ids]])
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits[0].float() / temperature
    logprobs = logits.log_softmax(-1)[len(request.prompt_ids) - 1 : -1]
    taken: torch.Tensor = logprobs.gather(-1, torch.tensor(request.token_ids)[:, None])[:, 0]
    return taken


def test_greedy_equals_generate_of_transformers_token_by_token(model: Any) -> None:
    for request in run(new_batch(model), new_requests(temperature=0.0)):
        expected = model.generate(
            torch.tensor([request.prompt_ids]), attention_mask=None, do_sample=False,
            max_new_tokens=24, min_new_tokens=24,
        )[0, len(request.prompt_ids) :]  # fmt: skip
        banned_end = 258 in request.token_ids  # generate never draws the end token here
        assert banned_end or request.token_ids == expected.tolist()


def test_logprobs_equal_a_full_forward_pass(model: Any) -> None:
    for request in run(new_batch(model), new_requests(temperature=0.7)):
        assert len(request.logprobs) == len(request.token_ids) == 24
        expected = full_forward_logprobs(model, request, 0.7)
        assert (torch.tensor(request.logprobs) - expected).abs().max() < 2e-6


def test_greedy_logprobs_are_those_of_the_models_own_distribution(model: Any) -> None:
    for request in run(new_batch(model), new_requests(temperature=0.0, top_p=0.5)):
        expected = full_forward_logprobs(model, request)
        assert (torch.tensor(request.logprobs) - expected).abs().max() < 2e-6


def test_a_sample_does_not_depend_on_what_else_is_in_the_batch(model: Any) -> None:
    together = run(new_batch(model), new_requests())
    crowded_out = run(new_batch(model, max_batch=2), new_requests())
    alone = [run(new_batch(model), [request])[0] for request in new_requests()]
    for a, b, c in zip(together, crowded_out, alone, strict=True):
        assert a.token_ids == b.token_ids == c.token_ids
        assert a.logprobs == pytest.approx(c.logprobs, abs=2e-6)


def test_equal_prompts_are_computed_once_and_sample_as_if_computed_apart(model: Any) -> None:
    seen: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    try:
        chosen = SamplingParams(max_tokens=8)
        group = [Request(PROMPTS[2], chosen, seed=i) for i in range(6)]
        shared = run(new_batch(model), group)
        assert seen[0] == len(PROMPTS[2])
        assert len(seen) == 1 + 7  # one prompt, then seven steps for the tokens behind the first
    finally:
        hook.remove()
    for i, request in enumerate(shared):
        apart = run(new_batch(model, prefix_cache_tokens=0), [Request(PROMPTS[2], chosen, seed=i)])
        assert apart[0].token_ids == request.token_ids
    assert len({tuple(request.token_ids) for request in shared}) > 1


def test_a_prompt_is_remembered_for_later_requests_until_forgotten(model: Any) -> None:
    batch = new_batch(model)
    forwards: list[int] = []
    hook = model.register_forward_pre_hook(lambda module, args: forwards.append(1))
    try:
        one_token = SamplingParams(max_tokens=1)
        for _ in range(3):
            run(batch, [Request(PROMPTS[0], one_token, seed=0)])
        assert len(forwards) == 1
        batch.forget_prompts()
        run(batch, [Request(PROMPTS[0], one_token, seed=0)])
        assert len(forwards) == 2
    finally:
        hook.remove()


def test_rows_that_end_early_do_not_disturb_the_others(model: Any) -> None:
    alone = run(new_batch(model), [Request(PROMPTS[4], SamplingParams(max_tokens=40), seed=9)])[0]
    batch = new_batch(model, max_batch=4)
    lengths = [1, 3, 40, 5, 2, 7, 4]
    crowd = [
        Request(PROMPTS[4], SamplingParams(max_tokens=n), seed=9)
        if n == 40
        else Request(PROMPTS[i % 4], SamplingParams(max_tokens=n), seed=i)
        for i, n in enumerate(lengths)
    ]
    run(batch, crowd)
    assert [len(request.token_ids) for request in crowd] == lengths
    assert crowd[2].token_ids == alone.token_ids


def test_an_end_token_ends_the_sample_and_is_part_of_it(model: Any) -> None:
    greedy = SamplingParams(temperature=0.0, max_tokens=30)
    free = run(new_batch(model), [Request(PROMPTS[0], greedy)])[0]
    end = free.token_ids[4]
    cut = run(new_batch(model), [Request(PROMPTS[0], greedy, end_ids=frozenset({end}))])[0]
    first = free.token_ids.index(end)
    assert cut.token_ids == free.token_ids[: first + 1]
    assert cut.stop_reason is StopReason.STOP
    assert free.stop_reason is StopReason.LENGTH


def test_the_model_s_length_bounds_prompt_and_sample_together(model: Any) -> None:
    request = Request(PROMPTS[0], SamplingParams(temperature=0.0))
    run(new_batch(model, max_length=10), [request])
    assert len(request.prompt_ids) + len(request.token_ids) == 10
    assert request.stop_reason is StopReason.LENGTH


def test_a_cancelled_request_leaves_the_batch() -> None:
    batch = new_batch(random_qwen3_moe())
    endless, short = (Request(PROMPTS[i], SamplingParams(max_tokens=n), seed=0) for i, n in
                      ((0, 400), (1, 5)))  # fmt: skip
    batch.add(endless)
    batch.add(short)
    batch.step()
    endless.cancelled = True
    while batch.busy:
        assert endless not in batch.step()
    assert len(short.token_ids) == 5
    assert len(endless.token_ids) < 5


def test_models_with_state_space_layers_are_refused_by_name() -> None:
    """Their state is not keys and values: silently wrong text would be worse."""
    model = random_qwen3_moe()
    model.config.layer_types = ["full_attention", "linear_attention"]
    with pytest.raises(ConfigError, match="linear_attention"):
        check_attention(model)
