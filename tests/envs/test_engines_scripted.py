"""The engine that says what it is told."""

from __future__ import annotations

import asyncio

import pytest

from cascade.envs.engines import Engine
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.errors import EngineError
from cascade.types import Completion, Prompt, SamplingParams, StopReason

PARAMS = SamplingParams()


def test_it_is_an_engine() -> None:
    assert isinstance(ScriptedEngine("x"), Engine)


async def test_a_text_answers_everything() -> None:
    engine = ScriptedEngine("yes")
    completions = await engine.sample(["a", "b"], PARAMS)
    assert completions == [Completion("yes", StopReason.STOP)] * 2
    assert engine.num_samples == 2


async def test_a_list_answers_one_prompt_an_item_and_then_fails() -> None:
    cut_off = Completion("tw", StopReason.LENGTH)
    engine = ScriptedEngine(["one", cut_off])
    assert (await engine.sample(["a"], PARAMS))[0].text == "one"
    assert await engine.sample(["b"], PARAMS) == [cut_off]
    with pytest.raises(EngineError, match="no more answers"):
        await engine.sample(["c"], PARAMS)


async def test_a_rule_sees_prompt_and_parameters() -> None:
    def rule(prompt: Prompt, params: SamplingParams) -> str | Exception:
        return f"{prompt} {params.seed}" if params.seed else ValueError("no seed")

    engine = ScriptedEngine(rule)
    assert (await engine.sample(["q"], SamplingParams(seed=3)))[0].text == "q 3"
    with pytest.raises(ValueError, match="no seed"):
        await engine.sample(["q"], PARAMS)


async def test_latency_overlaps_and_cancelling_leaves_nothing_in_flight() -> None:
    engine = ScriptedEngine("x", latency_seconds=60)
    tasks = [asyncio.ensure_future(engine.sample(["q"], PARAMS)) for _ in range(5)]
    await asyncio.sleep(0)
    assert engine.num_in_flight == 5
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert engine.num_in_flight == 0
