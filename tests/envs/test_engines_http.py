"""What the HTTP engine sends, and how it reads a server's answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cascade.envs.engines import Engine, open_engine
from cascade.envs.engines.http import HttpEngine, open_http
from cascade.errors import ConfigError, EngineError, UnknownNameError
from cascade.types import Completion, Message, Prompt, SamplingParams, StopReason
from mock_server import MockServer

OpenEngine = Callable[..., HttpEngine]
ASK: tuple[Message, ...] = ({"role": "user", "content": "What is 6 * 7?"},)


async def one(engine: HttpEngine, params: SamplingParams | None = None) -> Completion:
    return (await engine.sample([ASK], params or SamplingParams(max_tokens=100)))[0]


def body_of(server: MockServer, index: int = -1) -> dict[str, Any]:
    body: dict[str, Any] = server.requests()[index]["body"]
    return body


async def test_a_conversation_becomes_a_completion(open_mock: OpenEngine) -> None:
    completion = await one(open_mock())
    assert completion.text == "The answer is \\boxed{42}."
    assert completion.stop_reason is StopReason.STOP
    assert (completion.num_prompt_tokens, completion.num_tokens) == (3, 4)
    assert completion.reasoning is None
    assert completion.logprobs is None


async def test_only_what_was_set_is_sent(open_mock: OpenEngine, mock_server: MockServer) -> None:
    """Servers reject fields that they do not know, so defaults stay at home."""
    await one(open_mock())
    assert body_of(mock_server) == {
        "model": "mock",
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 100,
        "messages": list(ASK),
    }


async def test_every_parameter_reaches_the_server(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    params = SamplingParams(
        temperature=0.6,
        top_p=0.95,
        top_k=20,
        max_tokens=7,
        stop=("\n\n",),
        seed=11,
        thinking=False,
        logprobs=True,
        extra={"min_p": 0.1, "chat_template_kwargs": {"effort": "low"}},
    )
    engine = open_mock(
        max_tokens_field="max_completion_tokens",
        token_ids=True,
        extra_body={"min_p": 0.5, "priority": 3},
    )
    await one(engine, params)
    body = body_of(mock_server)
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "effort": "low"}
    assert (body["top_k"], body["seed"], body["stop"], body["min_p"]) == (20, 11, ["\n\n"], 0.1)
    assert (body["priority"], body["logprobs"], body["return_token_ids"]) == (3, True, True)
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


async def test_a_field_that_is_none_is_left_out(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """OpenAI's reasoning models refuse a temperature: there must be a way not to send one."""
    await one(open_mock(extra_body={"temperature": None, "top_p": None}))
    assert not {"temperature", "top_p"} & body_of(mock_server).keys()


async def test_logprobs_and_token_ids_are_read(open_mock: OpenEngine) -> None:
    params = SamplingParams(max_tokens=9, logprobs=True)
    completion = await one(open_mock(token_ids=True), params)
    assert completion.logprobs == (-0.25,) * 4
    assert completion.token_ids == (3, 7, 3, 12)
    assert completion.prompt_token_ids == (1, 2, 3)


async def test_token_ids_are_read_out_of_token_texts(open_mock: OpenEngine) -> None:
    extra = {"return_tokens_as_token_ids": True}
    completion = await one(open_mock(), SamplingParams(logprobs=True, extra=extra))
    assert completion.token_ids == (3, 7, 3, 12)


async def test_logprobs_that_do_not_come_stop_the_run(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """Who asks for log-probabilities needs them for every sample."""
    mock_server.script({"choice": {"logprobs": None}})
    with pytest.raises(ConfigError, match="logprobs were asked for"):
        await one(open_mock(), SamplingParams(logprobs=True))


@pytest.mark.parametrize("prompt", ["Once upon", [5, 6, 7]])
async def test_text_and_token_ids_go_to_completions(
    open_mock: OpenEngine, mock_server: MockServer, prompt: str | list[int]
) -> None:
    params = SamplingParams(max_tokens=5, logprobs=True)
    completions = await open_mock(token_ids=True).sample([prompt], params)
    request = mock_server.requests()[-1]
    assert request["path"] == "/v1/completions"
    assert request["body"]["prompt"] == prompt
    assert completions[0].logprobs == (-0.5,) * 4
    assert completions[0].token_ids == (3, 7, 3, 12)
    assert completions[0].prompt_token_ids == (1, 2)


async def test_a_template_renders_conversations_for_completions(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """The template opened the reasoning block, so the text starts with it."""
    engine = open_mock(api="completions", template="nemotron_cascade_2")
    mock_server.script({"choice": {"text": "6 * 7\n</think>\n42"}})
    completion = await one(engine, SamplingParams(thinking=True))
    body = body_of(mock_server)
    assert body["prompt"].endswith("<|im_start|>assistant\n<think>\n")
    assert body["add_special_tokens"] is False
    assert "chat_template_kwargs" not in body
    assert completion.text == "<think>\n6 * 7\n</think>\n42"
    completion = await one(engine, SamplingParams(thinking=False))
    assert body_of(mock_server)["prompt"].endswith("<think></think>")
    assert completion.text == "The answer is \\boxed{42}."


async def test_completions_without_a_template_say_what_is_missing(open_mock: OpenEngine) -> None:
    with pytest.raises(ConfigError, match="needs a chat template"):
        await one(open_mock(api="completions"))


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_separated_reasoning_stays_separate(
    open_mock: OpenEngine, mock_server: MockServer, name: str
) -> None:
    message = {"role": "assistant", "content": "42", name: "six sevens"}
    mock_server.script({"choice": {"message": message}})
    completion = await one(open_mock(), SamplingParams(thinking=True))
    assert (completion.text, completion.reasoning) == ("42", "six sevens")


@pytest.mark.parametrize(
    ("text", "finish", "thinking", "expected"),
    [
        ("six\n</think>\n42", "stop", True, "<think>\nsix\n</think>\n42"),
        ("six\n</think>\n42", "stop", None, "<think>\nsix\n</think>\n42"),
        ("six\n</think>\n42", "stop", False, "six\n</think>\n42"),
        ("<think>six</think>42", "stop", True, "<think>six</think>42"),
        ("it is 42, or", "length", True, "<think>\nit is 42, or"),
        ("<think>\nit is 42, or", "length", True, "<think>\nit is 42, or"),
        ("it is 42, or", "length", None, "it is 42, or"),
        ("it is 42", "stop", True, "it is 42"),
    ],
)
async def test_a_text_says_itself_where_its_reasoning_is(
    open_mock: OpenEngine,
    mock_server: MockServer,
    text: str,
    finish: str,
    thinking: bool | None,
    expected: str,
) -> None:
    """A block that the prompt opened and the server did not separate is opened in the text."""
    message = {"role": "assistant", "content": text}
    mock_server.script({"choice": {"message": message, "finish_reason": finish}})
    assert (await one(open_mock(), SamplingParams(thinking=thinking))).text == expected


async def test_a_truncated_reasoning_that_was_separated_leaves_no_text(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    message = {"role": "assistant", "content": None, "reasoning": "it is 42, or"}
    mock_server.script({"choice": {"message": message, "finish_reason": "length"}})
    completion = await one(open_mock(), SamplingParams(thinking=True))
    assert (completion.text, completion.reasoning) == ("", "it is 42, or")
    assert completion.stop_reason is StopReason.LENGTH


async def test_tool_calls_are_kept(open_mock: OpenEngine, mock_server: MockServer) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    mock_server.script({"choice": {"message": message, "finish_reason": "tool_calls"}})
    completion = await one(open_mock())
    assert completion.tool_calls == (call,)
    assert completion.stop_reason is StopReason.TOOL_CALLS
    assert completion.text == ""


async def test_a_text_in_parts_is_joined(open_mock: OpenEngine, mock_server: MockServer) -> None:
    parts = [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]
    mock_server.script({"choice": {"message": {"role": "assistant", "content": parts}}})
    assert (await one(open_mock())).text == "42"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("length", StopReason.LENGTH),
        ("content_filter", StopReason.CONTENT_FILTER),
        ("function_call", StopReason.TOOL_CALLS),
    ],
)
async def test_finish_reasons_are_mapped(
    open_mock: OpenEngine, mock_server: MockServer, given: str, expected: StopReason
) -> None:
    mock_server.script({"choice": {"finish_reason": given}})
    assert (await one(open_mock())).stop_reason is expected


async def test_an_unknown_finish_reason_is_no_answer(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """It might mean that the text is cut off, so it must not be judged as if it were whole."""
    mock_server.script({"choice": {"finish_reason": "tired"}})
    with pytest.raises(EngineError, match="'tired'"):
        await one(open_mock())


async def test_lone_surrogates_are_sent_as_replacement_characters(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """Servers refuse JSON with lone surrogates; true pairs survive."""
    messages: list[Message] = [{"role": "user", "content": "a\ud83db \U0001f600 é"}]
    await open_mock().sample([messages], SamplingParams())
    assert body_of(mock_server)["messages"][0]["content"] == "a\ufffdb \U0001f600 é"


async def test_lone_surrogates_in_an_answer_arrive(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script({"choice": {"message": {"content": "x\ud83d"}}})
    assert (await one(open_mock())).text == "x\ud83d"


async def test_prompts_of_one_call_are_answered_in_order_with_seeds_of_their_own(
    mock_server: MockServer, open_mock: OpenEngine
) -> None:
    messages: list[Message] = [{"role": "user", "content": f"prompt {i}"} for i in range(20)]
    prompts: list[Prompt] = [[message] for message in messages]
    completions = await open_mock().sample(prompts, SamplingParams(seed=100))
    assert len(completions) == 20
    sent = {r["body"]["messages"][0]["content"]: r["body"]["seed"] for r in mock_server.requests()}
    assert sent == {f"prompt {i}": 100 + i for i in range(20)}


async def test_completions_keep_the_order_of_their_prompts() -> None:
    replies = tuple((f"prompt {i}.", f"reply {i}") for i in range(12))
    with MockServer(replies=replies) as server:
        engine = open_http("mock", base_url=server.base_url)
        server.script(*({"latency": 0.05 - 0.004 * i} for i in range(12)))
        prompts = [f"prompt {i}." for i in range(12)]
        completions = await engine.sample(prompts, SamplingParams())
        assert [c.text for c in completions] == [f"reply {i}" for i in range(12)]
        await engine.aclose()


async def test_extra_that_is_no_json_is_refused(open_mock: OpenEngine) -> None:
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        await one(open_mock(), SamplingParams(extra={"bad": object()}))
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        await one(open_mock(), SamplingParams(extra={"bad": float("nan")}))


async def test_an_empty_prompt_costs_only_its_sample(open_mock: OpenEngine) -> None:
    with pytest.raises(EngineError, match="empty"):
        await open_mock().sample([[]], SamplingParams())


async def test_the_key_is_sent_and_shown_nowhere(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """A key in a report, an error or a repr is a key lost."""
    key = "sk-secret-1234"
    engine = open_mock(api_key=f" {key}\n", headers={"api-key": key})
    await one(engine)
    headers = mock_server.requests()[-1]["headers"]
    assert (headers["authorization"], headers["api-key"]) == (f"Bearer {key}", key)
    mock_server.script({"status": 401, "message": f"Incorrect API key provided: {key}"})
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        await one(engine)
    assert key not in f"{caught.value}{engine.describe()}{engine.config!r}"


async def test_the_key_comes_from_the_environment(
    open_mock: OpenEngine, mock_server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    await one(open_mock())
    sent = mock_server.requests()[-1]["headers"]["authorization"]
    assert sent == "Bearer from-the-environment"


async def test_a_description_names_what_a_report_needs(open_mock: OpenEngine) -> None:
    engine = open_mock(api="completions", template="nemotron_cascade_2")
    await engine.check()
    described = engine.describe()
    assert described["model"] == "mock"
    assert described["template"] == "nemotron_cascade_2"
    assert len(described["template_sha256"]) == 64
    assert described["server_version"] == "mock 1.2"
    assert open_mock().describe()["template"] == "the server's own"


async def test_check_tells_what_the_server_has(open_mock: OpenEngine) -> None:
    assert (await open_mock().check()).models == ("mock",)


def test_one_engine_serves_several_event_loops(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """Each `asyncio.run` gets connections of its own, which end with it."""
    engine = open_mock()
    for _ in range(3):
        assert asyncio.run(one(engine)).stop_reason is StopReason.STOP
    assert mock_server.stats()["connections"] == 3 + 1  # and the one that asks
    asyncio.run(engine.aclose())
    asyncio.run(engine.aclose())


async def test_closing_twice_is_harmless_and_an_engine_can_go_on(open_mock: OpenEngine) -> None:
    engine = open_mock()
    await one(engine)
    await engine.aclose()
    await engine.aclose()
    assert (await one(engine)).text


def test_the_engine_is_found_by_name(mock_server: MockServer) -> None:
    engine = open_engine("http", "mock", base_url=mock_server.base_url, concurrency=3)
    assert isinstance(engine, Engine)
    assert (engine.name, engine.max_concurrency) == ("mock", 3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"base_url": "localhost:8000/v1"}, "http://HOST:PORT/v1"),
        ({"base_url": "http://"}, "http://HOST:PORT/v1"),
        ({"base_url": "http://host:port/v1"}, "http://HOST:PORT/v1"),
        ({"base_url": "http://me:secret@host/v1"}, "user name"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"deadline_seconds": float("nan")}, "deadline_seconds"),
        ({"max_retries": -1}, "max_retries"),
        ({"api": "responses"}, "'chat' or 'completions'"),
        ({"api_key": "a\r\nX-Evil: 1"}, "control character"),
        ({"timeout": 5}, "no option 'timeout'"),
    ],
)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        open_http("mock", **{"base_url": "http://127.0.0.1:1/v1", **options})
    assert "secret" not in str(caught.value)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="nemotron_cascade_2"):
        open_http("mock", base_url="http://h/v1", api="completions", template="nemotron_cascade2")


def test_the_url_of_an_endpoint_is_taken_as_the_base() -> None:
    engine = open_http("mock", base_url="http://h:1/v1/chat/completions/")
    assert engine.config.base_url == "http://h:1/v1"
