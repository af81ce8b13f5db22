"""How the HTTP engine meets failures: what is tried again, what costs a sample or a run."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest

from cascade.envs.engines.http import HttpEngine, open_http
from cascade.errors import ConfigError, EngineError
from cascade.types import Completion, Message, SamplingParams
from mock_server import MockServer

OpenEngine = Callable[..., HttpEngine]
ASK: tuple[Message, ...] = ({"role": "user", "content": "What is 6 * 7?"},)
PARAMS = SamplingParams(max_tokens=100)
TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, you requested 100 output tokens "
    "and your prompt contains at least 4097 input tokens."
)


async def one(engine: HttpEngine, params: SamplingParams = PARAMS) -> Completion:
    return (await engine.sample([ASK], params))[0]


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "step",
    [
        {"status": 429},
        {"status": 408},
        {"status": 500},
        {"status": 502, "body": "<html>Bad Gateway</html>"},
        {"status": 503},
        {"disconnect": True},
        {"disconnect": "middle"},
        {"body": '{"choices": [{"mess'},
        {"body": ""},
        {"body": "[" * 100_000},
        {"body": "9" * 10_000},
        {"body": '"text"'},
        {"body": '{"error": {"message": "upstream failed", "code": 502}}'},
        {"fields": {"choices": []}},
        {"fields": {"choices": None}},
        {"choice": {"message": None}},
        {"choice": {"message": {"content": 42}}},
        {"choice": {"finish_reason": None}},
        {"choice": {"finish_reason": "abort"}},
        {"choice": {"message": {"content": "x", "tool_calls": "f()"}}},
    ],
    ids=str,
)
async def test_a_passing_failure_is_tried_again(
    open_mock: OpenEngine, mock_server: MockServer, step: dict[str, Any]
) -> None:
    mock_server.script(step)
    assert (await one(open_mock())).text == "The answer is \\boxed{42}."
    assert mock_server.stats()["requests"] == 2


async def test_a_lasting_failure_costs_the_sample_after_all_retries(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script(*[{"status": 503, "message": "out of memory"}] * 4)
    engine = open_mock(max_retries=3)
    with pytest.raises(EngineError, match=r"503: out of memory \(4 attempts in"):
        await one(engine)
    assert mock_server.stats()["requests"] == 4
    assert (await one(engine)).text  # the engine itself goes on


async def test_no_retries_means_one_attempt(open_mock: OpenEngine, mock_server: MockServer) -> None:
    mock_server.script({"status": 500})
    with pytest.raises(EngineError, match=r"\(1 attempt in"):
        await one(open_mock(max_retries=0))
    assert mock_server.stats()["requests"] == 1


async def test_pauses_between_attempts_grow(open_mock: OpenEngine, mock_server: MockServer) -> None:
    """Pause n lies between half and the whole of 2^n times the first."""
    mock_server.script(*[{"status": 500}] * 3)
    await one(open_mock(retry_seconds=0.1, max_retries=3))
    at = [request["at"] for request in mock_server.requests()]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert [pause >= 0.05 * 2**n for n, pause in enumerate(pauses)] == [True] * 3


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "0.4"}, {"retry-after-ms": "400", "Retry-After": "60"}]
)
async def test_the_server_says_how_long_to_wait(
    open_mock: OpenEngine, mock_server: MockServer, headers: dict[str, str]
) -> None:
    mock_server.script({"status": 429, "headers": headers})
    await one(open_mock())
    first, second = (request["at"] for request in mock_server.requests())
    assert 0.4 <= second - first < 30


@pytest.mark.parametrize("given", ["soon", "-5", "", formatdate(0, usegmt=True)])
async def test_a_retry_after_without_sense_is_ignored(
    open_mock: OpenEngine, mock_server: MockServer, given: str
) -> None:
    mock_server.script({"status": 429, "headers": {"Retry-After": given}})
    assert (await one(open_mock())).text


@pytest.mark.parametrize(
    "given",
    ["3600", formatdate(time.time() + 3600, usegmt=True), "inf"],
    ids=["seconds", "date", "inf"],
)
async def test_a_wait_beyond_the_deadline_is_not_begun(
    open_mock: OpenEngine, mock_server: MockServer, given: str
) -> None:
    mock_server.script({"status": 429, "headers": {"Retry-After": given}})
    with pytest.raises(EngineError, match="429"):
        await one(open_mock(deadline_seconds=60))


async def test_a_silent_server_times_out_and_is_asked_again(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script({"hang": True})
    assert (await one(open_mock(timeout_seconds=0.2))).text
    assert mock_server.stats()["in_flight"] == 0


async def test_the_deadline_bounds_all_attempts_together(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script(*[{"hang": True}] * 100)
    engine = open_mock(timeout_seconds=0.2, deadline_seconds=0.5, max_retries=99)
    with pytest.raises(EngineError, match="no answer within"):
        await one(engine)
    assert mock_server.stats()["requests"] <= 3


async def test_waiting_for_a_slot_is_not_held_against_the_deadline(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """A run queues a hundred times more samples than it has slots."""
    mock_server.script(*[{"latency": 0.15}] * 6)
    engine = open_mock(concurrency=1, deadline_seconds=0.6)
    completions = await engine.sample([ASK] * 6, PARAMS)
    assert len(completions) == 6


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_stops_the_run(
    open_mock: OpenEngine, mock_server: MockServer, status: int
) -> None:
    mock_server.script({"status": status, "message": "no such key"})
    engine = open_mock()
    with pytest.raises(ConfigError, match=r"no such key.*OPENAI_API_KEY") as caught:
        await one(engine)
    assert engine.config.base_url in str(caught.value)
    assert mock_server.stats()["requests"] == 1


async def test_an_unknown_model_stops_the_run_and_names_those_there_are(
    open_mock: OpenEngine,
) -> None:
    with pytest.raises(ConfigError, match=r"no model 'moc'; it has 'mock'"):
        await one(open_mock("moc"))


async def test_a_base_url_without_its_version_stops_the_run(mock_server: MockServer) -> None:
    engine = open_http("mock", base_url=f"http://127.0.0.1:{mock_server.port}/v2/x")
    mock_server.script({"status": 404, "body": '{"detail":"Not Found"}'})
    with pytest.raises(ConfigError, match="404"):
        await one(engine)


async def test_a_redirect_stops_the_run_and_names_the_target(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script({"status": 308, "headers": {"Location": "https://new.example/v1"}})
    with pytest.raises(ConfigError, match=r"https://new\.example/v1"):
        await one(open_mock())


async def test_a_spent_quota_stops_the_run(open_mock: OpenEngine, mock_server: MockServer) -> None:
    """OpenAI says 429 for this too, and it never passes."""
    body = '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    mock_server.script({"status": 429, "body": body})
    with pytest.raises(ConfigError, match="quota"):
        await one(open_mock())
    assert mock_server.stats()["requests"] == 1


async def test_a_bad_parameter_stops_the_run(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script({"status": 400, "message": "top_p must be below 0.9"})
    with pytest.raises(ConfigError, match=r"top_p must be below 0\.9.*Change the parameter"):
        await one(open_mock())


async def test_a_wrong_name_of_the_budget_is_explained(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    complaint = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    mock_server.script({"status": 400, "message": complaint})
    with pytest.raises(ConfigError, match="max_tokens_field='max_completion_tokens'"):
        await one(open_mock())


@pytest.mark.parametrize("others_answered", [False, True])
async def test_a_server_without_tool_calls_is_told_how_to_start(
    open_mock: OpenEngine, mock_server: MockServer, others_answered: bool
) -> None:
    """In the words of vLLM; a run of other tasks goes on, each sample with tools says why."""
    engine = open_mock()
    if others_answered:
        await one(engine)
    mock_server.script(
        {
            "status": 400,
            "message": '"auto" tool choice requires --enable-auto-tool-choice and '
            "--tool-call-parser to be set",
        }
    )
    expected = EngineError if others_answered else ConfigError
    with pytest.raises(expected, match="start vLLM with --enable-auto-tool-choice --tool"):
        await one(engine)


@pytest.mark.parametrize(
    "complaint",
    [
        TOO_LONG,
        "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The response was filtered due to the prompt triggering our content management policy",
    ],
)
async def test_one_prompt_that_cannot_be_answered_costs_one_sample(
    open_mock: OpenEngine, mock_server: MockServer, complaint: str
) -> None:
    mock_server.script({"status": 400, "message": complaint})
    engine = open_mock()
    with pytest.raises(EngineError):
        await one(engine)
    assert mock_server.stats()["requests"] == 1
    assert (await one(engine)).text


async def test_a_budget_that_no_prompt_fits_beside_stops_the_run(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """With 131,072 tokens asked of a context of 4,096, every sample would be a fault."""
    complaint = (
        "'max_tokens' or 'max_completion_tokens' is too large: 131072. This model's maximum "
        "context length is 4096 tokens and your request has 12 input tokens"
    )
    mock_server.script({"status": 400, "message": complaint})
    with pytest.raises(ConfigError, match="ask for fewer than 4096"):
        await one(open_mock(), SamplingParams())


async def test_a_bad_request_after_good_ones_is_blamed_on_its_prompt(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    engine = open_mock()
    await one(engine)
    mock_server.script({"status": 400, "message": "cannot encode this"})
    with pytest.raises(EngineError, match="cannot encode this"):
        await one(engine)


async def test_a_server_that_never_answered_stops_the_run() -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    engine = open_http("mock", base_url=url, max_retries=1, retry_seconds=0.01)
    with pytest.raises(ConfigError, match=rf"no server at {url}: .*refused"):
        await one(engine)
    with pytest.raises(ConfigError, match=rf"no server at {url}: .*refused"):
        await engine.check()


async def test_an_unknown_host_stops_the_run() -> None:
    engine = open_http("mock", base_url="http://no-such-host.invalid/v1", max_retries=0)
    with pytest.raises(ConfigError, match=r"no server at http://no-such-host\.invalid/v1"):
        await one(engine)


async def test_a_server_that_comes_up_late_is_waited_for() -> None:
    port = unused_port()
    engine = open_http(
        "mock", base_url=f"http://127.0.0.1:{port}/v1", max_retries=20, retry_seconds=0.05
    )
    pending = asyncio.ensure_future(one(engine))
    await asyncio.sleep(0.2)
    with MockServer(port=port):
        assert (await pending).text
    await engine.aclose()


async def test_a_server_that_dies_half_way_costs_samples_not_the_run() -> None:
    with MockServer(die_after=5) as server:
        engine = open_http(
            "mock", base_url=server.base_url, concurrency=1, max_retries=2, retry_seconds=0.01
        )
        outcomes = await asyncio.gather(*(one(engine) for _ in range(20)), return_exceptions=True)
        await engine.aclose()
    assert sum(isinstance(outcome, Completion) for outcome in outcomes) == 5
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(failure, EngineError) for failure in failures)
    # The first waits and tries again; the others learn from it that the server is gone.
    assert "3 attempts" in str(failures[0])
    assert all("1 attempt " in str(failure) for failure in failures[1:])


async def test_a_server_that_comes_back_is_used_again() -> None:
    with MockServer() as server:
        port = server.port
        engine = open_http("mock", base_url=server.base_url, max_retries=1, retry_seconds=0.01)
        await one(engine)
    for _ in range(2):
        with pytest.raises(EngineError, match="cannot connect"):
            await one(engine)
    with MockServer(port=port) as server:
        assert (await one(engine)).text
        server.script({"status": 500})
        assert (await one(engine)).text
    await engine.aclose()


async def test_no_more_than_the_concurrency_is_in_flight_and_connections_are_reused(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script(*[{"latency": 0.005}] * 300)
    engine = open_mock(concurrency=8)
    await asyncio.gather(*(one(engine) for _ in range(300)))
    stats = mock_server.stats()
    assert stats["requests"] == 300
    assert stats["max_in_flight"] == 8
    assert stats["connections"] == 8 + 2  # the two that scripted and asked


async def test_a_hundred_in_flight_need_a_hundred_connections() -> None:
    with MockServer(latency_seconds=0.2) as server:
        engine = open_http("mock", base_url=server.base_url, concurrency=100)
        await asyncio.gather(*(one(engine) for _ in range(100)))
        assert server.stats()["max_in_flight"] == 100
        await engine.aclose()


async def test_cancelling_leaves_nothing_in_flight(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    """The server sees its connections end, so that it can stop generating."""
    mock_server.script(*[{"hang": True}] * 10)
    engine = open_mock(concurrency=10)
    pending = [asyncio.ensure_future(one(engine)) for _ in range(20)]
    await until(lambda: mock_server.stats()["in_flight"] == 10)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await until(lambda: mock_server.stats()["in_flight"] == 0)
    assert (await one(engine)).text


async def test_one_failure_of_many_prompts_abandons_the_others(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script({"hang": True}, {"status": 400, "message": TOO_LONG}, {"hang": True})
    engine = open_mock()
    with pytest.raises(EngineError, match="context"):
        await engine.sample([ASK] * 3, PARAMS)
    await until(lambda: mock_server.stats()["in_flight"] == 0)


async def test_closing_under_way_fails_the_samples(
    open_mock: OpenEngine, mock_server: MockServer
) -> None:
    mock_server.script({"hang": True})
    engine = open_mock(max_retries=0)
    pending = asyncio.ensure_future(one(engine))
    await until(lambda: mock_server.stats()["in_flight"] == 1)
    await engine.aclose()
    with pytest.raises(EngineError, match="the connection broke"):
        await pending


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; the test fails after ten seconds."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.01)
