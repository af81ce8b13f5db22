"""vLLM in this process against transformers on the same weights."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch

from cascade.envs.engines import Engine
from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.engines.vllm import open_vllm
from cascade.trainer.models import load_model
from cascade.types import Completion, Message, SamplingParams, StopReason

CHAT: tuple[Message, ...] = ({"role": "user", "content": "What is 2 + 3?"},)
LONG = SamplingParams(max_tokens=40, seed=1, extra={"ignore_eos": True})

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(model_folder: Path) -> AsyncIterator[Any]:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm is not installed here; test_vllm_http runs these tests where it is")
    opened = open_vllm(str(model_folder), dtype="float32", enforce_eager=True, max_batch=16)
    yield opened
    await opened.aclose()


@pytest.fixture(scope="module")
def reference(model_folder: Path) -> Any:
    return load_model(str(model_folder))


def transformers_logprobs(model: Any, completion: Completion, temperature: float) -> torch.Tensor:
    """[T] log-probabilities of the sampled tokens by one forward pass of transformers."""
    prompt, sample = completion.prompt_token_ids or (), completion.token_ids or ()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *sample]]), use_cache=False).logits[0]
    logprobs = (logits / temperature).log_softmax(-1)[len(prompt) - 1 : -1]
    taken: torch.Tensor = logprobs.gather(-1, torch.tensor(sample)[:, None])[:, 0]
    return taken


@pytest.mark.parametrize("temperature", [0.0, 0.6, 1.0])
async def test_logprobs_equal_those_of_transformers(
    engine: Any, reference: Any, temperature: float
) -> None:
    """At temperature 0 they are the model's own, as in the PyTorch engine."""
    params = dataclasses.replace(LONG, temperature=temperature)
    [completion] = await engine.sample([CHAT], params)
    expected = transformers_logprobs(reference, completion, temperature or 1.0)
    assert completion.num_tokens == 40
    assert (torch.tensor(completion.logprobs) - expected).abs().max() < 2e-5


async def test_greedy_samples_equal_the_pytorch_engine_s(engine: Any, model_folder: Path) -> None:
    from cascade.trainer.engines.torch import open_torch

    params = dataclasses.replace(LONG, temperature=0.0)
    ours = open_torch(str(model_folder))
    prompts = [f"What is {i} + {i}?" for i in range(6)]
    first, second = await engine.sample(prompts, params), await ours.sample(prompts, params)
    await ours.aclose()
    assert [(c.token_ids, c.text) for c in first] == [(c.token_ids, c.text) for c in second]


async def test_concurrent_calls_are_merged_and_seeded_samples_repeat(engine: Any) -> None:
    assert isinstance(engine, Engine)
    [alone] = await engine.sample([CHAT], LONG)
    crowd = await asyncio.gather(
        *(engine.sample([f"number {i}"], SamplingParams(max_tokens=5 + i)) for i in range(20)),
        engine.sample([CHAT] * 3, LONG),
    )
    assert crowd[-1][0].token_ids == alone.token_ids
    assert len({completion.token_ids for completion in crowd[-1]}) == 3
    assert all(call[0].num_tokens is not None for call in crowd)


async def test_stop_strings_end_tokens_and_thinking_behave_as_in_the_pytorch_engine(
    engine: Any,
) -> None:
    params = dataclasses.replace(LONG, thinking=False)
    [free] = await engine.sample([CHAT], params)
    stop = free.text[10:12]
    [cut] = await engine.sample([CHAT], dataclasses.replace(params, stop=(stop,)))
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.stop_reason is StopReason.STOP
    [thinking] = await engine.sample([CHAT], dataclasses.replace(LONG, thinking=True))
    assert thinking.text.startswith("<think>\n")
    ended = [
        c for c in await engine.sample([CHAT] * 8, SamplingParams(max_tokens=400, seed=0))
        if c.stop_reason is StopReason.STOP
    ]  # fmt: skip
    assert ended
    assert all(
        c.token_ids is not None and c.token_ids[-1] == 258 and "<|im_end|>" not in c.text
        for c in ended
    )


async def test_a_cancelled_call_is_aborted(engine: Any) -> None:
    endless = asyncio.create_task(
        engine.sample([CHAT] * 4, SamplingParams(max_tokens=450, extra={"ignore_eos": True}))
    )
    await asyncio.sleep(0.1)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    [after] = await engine.sample([CHAT], LONG)
    assert after.num_tokens == 40
    assert not engine._batch.llm.llm_engine.has_unfinished_requests()


async def test_requests_that_cannot_succeed_are_config_errors(engine: Any) -> None:
    with pytest.raises(ConfigError, match="got 600"):
        await engine.sample([[5] * 600], LONG)
    with pytest.raises(UnknownNameError, match="min_p"):
        await engine.sample([CHAT], SamplingParams(extra={"minp": 0.1}))


async def test_describe_says_which_logprobs_these_are(engine: Any) -> None:
    facts = engine.describe()
    assert (facts["engine"], facts["logprobs"], facts["dtype"]) == (
        "vllm", "processed_logprobs", "float32",
    )  # fmt: skip


async def test_without_vllm_the_error_says_what_to_install(model_folder: Path) -> None:
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("vllm is installed in this environment")
    with pytest.raises(ConfigError, match=r"pip install 'cascade-rl\[vllm\]'"):
        open_vllm(str(model_folder))
