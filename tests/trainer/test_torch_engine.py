"""The PyTorch engine through its public face."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from huggingface_hub import constants

from cascade.envs.engines import Engine, open_engine
from cascade.errors import ConfigError, EngineError, UnknownNameError
from cascade.trainer.engines.local import LocalEngine
from cascade.trainer.engines.torch import open_torch
from cascade.trainer.models import load_model, load_tokenizer
from cascade.trainer.recipe import Pretrained
from cascade.types import Message, SamplingParams, StopReason

CHAT: tuple[Message, ...] = ({"role": "user", "content": "What is 2 + 3?"},)
SHORT = SamplingParams(max_tokens=12, seed=1)


@pytest_asyncio.fixture
async def engine(model_folder: Path) -> AsyncIterator[LocalEngine]:
    opened = open_torch(str(model_folder), max_batch=4)
    yield opened
    await opened.aclose()


def _model(engine: LocalEngine) -> Any:
    return engine._batch.model  # type: ignore[attr-defined]


async def test_it_is_found_by_name_and_is_an_engine(model_folder: Path) -> None:
    engine = open_engine("torch", str(model_folder), max_batch=2)
    assert isinstance(engine, Engine)
    assert engine.max_concurrency >= 2
    await engine.aclose()
    await engine.aclose()


async def test_a_completion_carries_ids_and_logprobs_of_prompt_and_sample(
    engine: LocalEngine, tokenizer: Any
) -> None:
    [completion] = await engine.sample([CHAT], SHORT)
    rendered = tokenizer.apply_chat_template(list(CHAT), add_generation_prompt=True, tokenize=False)
    assert completion.prompt_token_ids == tuple(tokenizer(rendered)["input_ids"])
    assert completion.token_ids is not None
    assert completion.logprobs is not None
    assert completion.num_tokens == len(completion.token_ids) == len(completion.logprobs) == 12
    assert completion.stop_reason is StopReason.LENGTH
    assert all(value <= 0 for value in completion.logprobs)


async def test_text_starts_with_the_reasoning_block_that_the_template_opened(
    engine: LocalEngine, tokenizer: Any
) -> None:
    [thinking] = await engine.sample([CHAT], dataclasses.replace(SHORT, thinking=True))
    [direct] = await engine.sample([CHAT], dataclasses.replace(SHORT, thinking=False))
    assert thinking.text == "<think>\n" + tokenizer.decode(list(thinking.token_ids or ()))
    assert direct.text == tokenizer.decode(list(direct.token_ids or ()))
    assert tokenizer.decode(list(direct.prompt_token_ids or ())).endswith("<think></think>")


async def test_ids_text_and_messages_are_three_ways_to_ask_the_same(
    engine: LocalEngine, tokenizer: Any
) -> None:
    text = tokenizer.apply_chat_template(list(CHAT), add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text)["input_ids"]
    first, second, third = [(await engine.sample([p], SHORT))[0] for p in (CHAT, text, ids)]
    assert first.token_ids == second.token_ids == third.token_ids
    assert first.text == second.text == third.text


async def test_a_seeded_sample_is_the_same_alone_and_in_a_crowd(engine: LocalEngine) -> None:
    [alone] = await engine.sample([CHAT], SHORT)
    crowd = await asyncio.gather(
        *(engine.sample([f"number {i}"], SamplingParams(max_tokens=3 + i)) for i in range(9)),
        engine.sample([CHAT], SHORT),
    )
    assert crowd[-1][0].token_ids == alone.token_ids


async def test_equal_prompts_of_one_call_are_not_twins_and_are_repeatable(
    engine: LocalEngine,
) -> None:
    first, again = [await engine.sample([CHAT] * 4, SHORT) for _ in range(2)]
    assert len({completion.token_ids for completion in first}) == 4
    assert [c.token_ids for c in first] == [c.token_ids for c in again]


async def test_without_a_seed_samples_differ(engine: LocalEngine) -> None:
    params = SamplingParams(max_tokens=16)
    drawn = [(await engine.sample([CHAT], params))[0].token_ids for _ in range(3)]
    assert len(set(drawn)) == 3


async def test_a_stop_string_ends_the_sample_and_is_cut_from_the_text(
    engine: LocalEngine,
) -> None:
    params = SamplingParams(max_tokens=30, seed=5, thinking=False)
    [free] = await engine.sample([CHAT], params)
    stop = free.text[6:9]
    [cut] = await engine.sample([CHAT], dataclasses.replace(params, stop=("never", stop)))
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.stop_reason is StopReason.STOP
    assert cut.token_ids == (free.token_ids or ())[: len(cut.token_ids or ())]


async def test_the_end_token_is_kept_in_ids_and_cut_from_text(
    engine: LocalEngine, tokenizer: Any
) -> None:
    end = tokenizer.eos_token_id
    drawn = await engine.sample([CHAT] * 8, SamplingParams(max_tokens=400, seed=0, thinking=False))
    ended = [c for c in drawn if c.stop_reason is StopReason.STOP]
    assert ended
    for completion in ended:
        assert (completion.token_ids or ())[-1] == end
        assert tokenizer.eos_token not in completion.text
    [endless] = await engine.sample(
        [CHAT], SamplingParams(max_tokens=400, seed=0, extra={"ignore_eos": True})
    )
    assert endless.num_tokens == 400


async def test_a_prompt_without_room_for_an_answer_is_refused_with_both_lengths(
    engine: LocalEngine,
) -> None:
    with pytest.raises(ConfigError, match=r"1 to 511 tokens.*got 600"):
        await engine.sample([[5] * 600], SHORT)
    with pytest.raises(ConfigError, match="got 0"):
        await engine.sample([[]], SHORT)


async def test_an_id_outside_the_vocabulary_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(ConfigError, match="got 99999"):
        await engine.sample([[3, 99999]], SHORT)


async def test_an_unknown_extra_field_is_refused_with_the_near_name(engine: LocalEngine) -> None:
    with pytest.raises(UnknownNameError, match="ignore_eos"):
        await engine.sample([CHAT], SamplingParams(extra={"ignore_eoss": True}))


async def test_a_cancelled_call_frees_its_rows(engine: LocalEngine) -> None:
    params = SamplingParams(max_tokens=480, extra={"ignore_eos": True})
    endless = asyncio.create_task(engine.sample([CHAT] * 8, params))
    await asyncio.sleep(0.05)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    await engine.sample([CHAT], SHORT)
    assert len(engine._running) == 0


async def test_a_model_failure_is_an_engine_error_and_the_engine_goes_on(
    engine: LocalEngine,
) -> None:
    def break_it(module: Any, args: Any) -> None:
        raise RuntimeError("out of memory")

    hook = _model(engine).register_forward_pre_hook(break_it)
    with pytest.raises(EngineError, match="out of memory"):
        await engine.sample([CHAT], SHORT)
    hook.remove()
    [completion] = await engine.sample([CHAT], SHORT)
    assert completion.num_tokens == 12


async def test_an_engine_whose_thread_breaks_down_tells_who_waits(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_torch(str(model_folder))

    def refuse(request: Any) -> None:
        raise KeyError("no such slot")

    monkeypatch.setattr(engine._batch, "add", refuse)
    with pytest.raises(EngineError, match="broke down: KeyError: 'no such slot'"):
        await asyncio.wait_for(engine.sample([CHAT], SHORT), 20)
    with pytest.raises(EngineError, match="is closed"):
        await engine.sample([CHAT], SHORT)
    await engine.aclose()


async def test_closing_fails_samples_in_flight_and_later_ones(model_folder: Path) -> None:
    engine = open_torch(str(model_folder))
    params = SamplingParams(max_tokens=480, extra={"ignore_eos": True})
    running = asyncio.create_task(engine.sample([CHAT], params))
    await asyncio.sleep(0.05)
    await engine.aclose()
    with pytest.raises(EngineError, match="closed"):
        await running
    with pytest.raises(EngineError, match="closed"):
        await engine.sample([CHAT], SHORT)


async def test_new_weights_wait_for_running_samples_and_serve_later_ones(
    engine: LocalEngine,
) -> None:
    def double(model: Any) -> None:
        model.model.embed_tokens.weight.mul_(-1.5)

    [before] = await engine.sample([CHAT], SHORT)
    running = asyncio.create_task(engine.sample([CHAT], SHORT))
    await asyncio.sleep(0)
    await engine.update_weights(double, "step-1")
    [after] = await engine.sample([CHAT], SHORT)
    assert (await running)[0].token_ids == before.token_ids
    assert ((await running)[0].weight_version, after.weight_version) == (None, "step-1")
    assert after.token_ids != before.token_ids


async def test_a_failed_update_is_reported_to_who_asked_for_it(engine: LocalEngine) -> None:
    def fail(model: Any) -> None:
        raise KeyError("no such layer")

    with pytest.raises(EngineError, match="KeyError: 'no such layer'"):
        await engine.update_weights(fail, "step-1")
    assert engine.describe()["weight_version"] is None


async def test_describe_names_what_a_report_needs(engine: LocalEngine, tokenizer: Any) -> None:
    from cascade.envs.engines.templates import template_digest

    facts = engine.describe()
    assert facts["torch"] == torch.__version__
    assert facts["chat_template_sha256"] == template_digest(tokenizer.chat_template)
    assert (facts["dtype"], facts["architecture"]) == ("float32", "Qwen3MoeForCausalLM")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_cuda_device_is_named(model_folder: Path) -> None:
    with pytest.raises(ConfigError, match="'cuda:0' was asked for"):
        open_torch(str(model_folder), device="cuda:0")


@pytest.mark.parametrize(
    "load", [load_tokenizer, load_model, lambda name: Pretrained(name).config()]
)
def test_an_unreachable_hub_is_not_waited_for(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that does not exist is taken for a hub id, whose client asks for half a minute."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="'no/such-folder'"):
        load("no/such-folder")
    assert constants.HF_HUB_OFFLINE


def test_bad_options_name_the_option(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="max_batch"):
        open_torch(str(model_folder), max_bach=3)
    with pytest.raises(ConfigError, match="dtype must be one of"):
        open_torch(str(model_folder), dtype="int8")
    with pytest.raises(ConfigError, match="cannot load a tokenizer"):
        open_torch(str(tmp_path))
    with pytest.raises(UnknownNameError, match="nemotron_cascade_2"):
        open_torch(str(model_folder), chat_template="nemotron_cascade")
