"""The judge client: verdicts, retries, faults, stored replies, both orders."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from cascade.envs.engines.http import open_http
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.judges import (
    JUDGE_PARAMS,
    Judge,
    PairPrompt,
    both_orders,
    json_fields,
    last_boxed,
    last_label,
    last_tagged,
    whole_number,
)
from cascade.errors import ConfigError, EngineError
from cascade.types import Completion, Message, Prompt, SamplingParams, StopReason
from mock_server import MockServer

LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
VERDICT = last_label(LABELS)
ASKED: tuple[Message, ...] = ({"role": "user", "content": "Which is better?"},)


async def test_a_verdict_is_found_in_the_reply() -> None:
    judge = Judge(ScriptedEngine("<think>[[B>A]] perhaps</think>Mine is [[A>>B]]."))
    judgment = await judge.ask(ASKED, VERDICT)
    assert (judgment.value, judgment.attempts, judgment.is_fault) == ("A>>B", 1, False)
    assert judgment.reply == "Mine is [[A>>B]]."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I like the first one very much.", "no verdict"),
        ("", "empty"),
        ("<think>so many thoughts [[A>B]]", "never ended"),
        (Completion("On and on", StopReason.LENGTH, num_tokens=9), "cut off after 9 tokens"),
        (Completion("[[A>B]]", StopReason.CONTENT_FILTER), "refused"),
        (EngineError("no server"), "engine failed: no server"),
    ],
)
async def test_a_judge_that_rambles_or_fails_is_a_fault(
    reply: str | Completion | Exception, reason: str
) -> None:
    engine = ScriptedEngine(reply)
    judgment = await Judge(engine, attempts=3).ask(ASKED, VERDICT)
    assert judgment.is_fault
    assert reason in judgment.reason
    assert engine.num_samples == 3


async def test_it_is_asked_again_with_another_seed_each_time() -> None:
    seeds: list[int | None] = []

    def reply(prompt: Prompt, params: SamplingParams) -> str:
        seeds.append(params.seed)
        return "[[B>A]]" if len(seeds) == 3 else "well"

    judgment = await Judge(ScriptedEngine(reply)).ask(ASKED, VERDICT)
    assert (judgment.value, judgment.attempts) == ("B>A", 3)
    assert len(set(seeds)) == 3
    first = list(seeds)
    seeds.clear()
    await Judge(ScriptedEngine(reply)).ask(ASKED, VERDICT)
    assert seeds == first
    seeds.clear()
    await Judge(ScriptedEngine(reply)).ask(ASKED, VERDICT, sample=1)
    assert not set(seeds) & set(first)


async def test_without_a_seed_none_is_sent() -> None:
    def reply(prompt: Prompt, params: SamplingParams) -> str:
        assert params.seed is None
        return "[[A=B]]"

    judge = Judge(ScriptedEngine(reply), SamplingParams(temperature=0))
    assert (await judge.ask(ASKED, VERDICT)).value == "A=B"


async def test_stored_replies_are_not_paid_for_twice_and_can_be_parsed_anew(
    tmp_path: Path,
) -> None:
    store = tmp_path / "judgments.jsonl"
    replies = iter(["prose", "The grade: <points>6 out of 7</points> [[A>B]]"])
    first = Judge(ScriptedEngine(lambda *_: next(replies)), store=store)
    assert (await first.ask(ASKED, VERDICT)).attempts == 2
    await first.aclose()
    with store.open("ab") as file:
        file.write(b'{"torn')  # a killed process

    silent = ScriptedEngine(EngineError("nobody is there"))
    again = Judge(silent, store=store)
    assert (await again.ask(ASKED, VERDICT)).value == "A>B"
    assert silent.num_samples == 0
    await again.aclose()
    other = Judge(silent, store=store)
    points = await other.ask(ASKED, whole_number(last_tagged("points"), 0, 7, of=7))
    assert points.value == 6
    assert (await other.ask(ASKED, VERDICT, sample=1)).is_fault
    await other.aclose()


async def test_a_failure_of_the_engine_is_not_stored(tmp_path: Path) -> None:
    store = tmp_path / "judgments.jsonl"
    broken = Judge(ScriptedEngine(EngineError("503")), store=store)
    assert (await broken.ask(ASKED, VERDICT)).is_fault
    await broken.aclose()
    mended = Judge(ScriptedEngine("[[A=B]]"), store=store)
    assert (await mended.ask(ASKED, VERDICT)).value == "A=B"
    await mended.aclose()


async def test_both_orders_are_asked_with_the_texts_as_they_are() -> None:
    prompt = PairPrompt("Judge.", "Q: {question}\nA: {answer_a}\nB: {answer_b}", "test")
    seen: list[str] = []

    def reply(asked: Prompt, params: SamplingParams) -> str:
        seen.append(str(asked[-1]["content"]))  # type: ignore[index]
        return "[[A>B]]" if seen[-1].endswith("B: plain") else "prose"

    judge = Judge(ScriptedEngine(reply), attempts=1)
    question = "{answer_a} {0} %s"
    orders = await both_orders(
        judge, lambda a, b: prompt.messages(question, a, b), "{answer_b}", "plain", VERDICT
    )
    assert sorted(seen) == [
        "Q: {answer_a} {0} %s\nA: plain\nB: {answer_b}",
        "Q: {answer_a} {0} %s\nA: {answer_b}\nB: plain",
    ]
    assert orders.first.value == "A>B"
    assert orders.swapped.is_fault
    assert orders.fault is not None


def test_threads_without_an_event_loop_can_ask() -> None:
    engine = ScriptedEngine("[[A>B]]", latency_seconds=0.05)
    judge = Judge(engine)
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(judge.ask_now(ASKED, VERDICT).value))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["A>B"] * 8


def test_a_judge_behind_a_real_server() -> None:
    with MockServer(reply="My final verdict is [[B>>A]]") as server:
        server.script({"status": 500}, {"choice": {"finish_reason": "length"}})
        engine = open_http("mock", base_url=server.base_url, retry_seconds=0.01)
        judgment = asyncio.run(Judge(engine).ask(ASKED, VERDICT))
        bodies = [request["body"] for request in server.requests()]
    assert (judgment.value, judgment.attempts) == ("B>>A", 2)
    assert bodies[-1]["temperature"] == 0
    assert bodies[-1]["max_tokens"] == JUDGE_PARAMS.max_tokens


def test_a_judge_needs_an_attempt() -> None:
    with pytest.raises(ConfigError, match="attempts"):
        Judge(ScriptedEngine("x"), attempts=0)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("[[A>B]] no wait [[B>A]]", "B>A"),
        ("verdict [b>>a]", "B>>A"),
        ("[A>B] and [[A=B]] and [B>A]", "A=B"),
        ("A>B", None),
        ("[[A>C]] [[AB]] [[>>]]", None),
        ("[[" * 50_000, None),
    ],
)
def test_labels(reply: str, found: str | None) -> None:
    assert VERDICT(reply) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("7", 7), ("6 out of 7", 6), ("6/7", 6), ("0 points", 0), ("8", None), ("-1", None),
     ("6 out of 10", None), ("about 6", None), ("6.5", None), ("", None)],
)  # fmt: skip
def test_points(text: str, found: int | None) -> None:
    parse = whole_number(last_tagged("points"), 0, 7, of=7)
    assert parse(f"so <points> {text} </points>") == found


def test_a_box_holds_one_of_the_values() -> None:
    parse = last_boxed(("0", "0.5", "1"))
    assert parse(r"first \boxed{1}, then \boxed{0.5}") == "0.5"
    assert parse(r"\boxed{0.7}") is None
    assert parse("0.5") is None


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ('```json\n{"score_1": 4, "score_2": 2.5, "ranking": 1, "why": "{"}\n```', [4, 2.5, 1]),
        ('{"score_1": 1, "score_2": 1, "ranking": 6} then {"score_1": 9}', [1, 1, 6]),
        ('{"score_1": 0, "score_2": 1, "ranking": 6}', None),
        ('{"score_1": true, "score_2": 1, "ranking": 6}', None),
        ('{"score_1": NaN, "score_2": 1, "ranking": 6}', None),
        ('{"score_1": "4", "score_2": 1, "ranking": 6}', None),
        ("{" * 100_000, None),
        ("no object", None),
    ],
)
def test_json_objects(reply: str, found: list[float] | None) -> None:
    parse = json_fields({"score_1": (1, 5), "score_2": (1, 5), "ranking": (1, 6)})
    value = parse(reply)
    assert (None if value is None else list(value.values())) == found
