"""Requests a second of the HTTP engine and its peers, against one server, side by side.

    python benchmarks/http_engine.py [--in-flight 512] [--latency 0.05] [--requests 20000]

The server is tests/mock_server.py in a process of its own; each answer takes `--latency` seconds,
so the ideal is in-flight / latency. "bound" is the least that Python can do for a request: a bare
asyncio loop that writes the JSON, waits, and reads the JSON of the answer, without parsing
HTTP, timeouts, retries or a pool limit. Every round runs all contenders in turn; medians are
compared. "CPU" is this process's own, which other work on the machine disturbs less than the rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cascade.envs.engines.http import open_http
from cascade.envs.engines.openai_api import chat_body
from cascade.types import Message, SamplingParams
from mock_server import MockServer

PROMPT: tuple[Message, ...] = (
    {"role": "user", "content": "Find the number of ordered pairs of positive integers. " * 8},
)
PARAMS = SamplingParams(max_tokens=1000, seed=1)
Send = Callable[[], Awaitable[object]]


async def drive(send: Send, requests: int, in_flight: int) -> tuple[float, float]:
    """Keep `in_flight` calls of `send` going; return requests a second and CPU µs a request."""
    left = requests

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await send()

    # Connections are opened before the clock starts.
    await asyncio.gather(*(send() for _ in range(in_flight)))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return (
        requests / (time.perf_counter() - wall),
        (time.process_time() - cpu) / requests * 1e6,
    )


async def bound(url: str, requests: int, in_flight: int) -> tuple[float, float]:
    """Measure a bare loop over asyncio's streams."""
    address = urlsplit(url)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: mock\r\nContent-Length: %d\r\n\r\n"

    async def send() -> Any:
        if idle:
            reader, writer = idle.pop()
        else:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
        body = json.dumps(chat_body("mock", PROMPT, PARAMS)).encode()
        writer.write(head % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer[answer.find(b"Content-Length:") + 15 :].split(b"\r\n", 1)[0])
        data = json.loads(await reader.readexactly(length))
        idle.append((reader, writer))
        return data["choices"][0]["message"]["content"]

    try:
        return await drive(send, requests, in_flight)
    finally:
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()


async def ours(url: str, requests: int, in_flight: int) -> tuple[float, float]:
    """Measure the engine with its default settings."""
    engine = open_http("mock", base_url=url, concurrency=in_flight)
    try:
        return await drive(lambda: engine.sample([PROMPT], PARAMS), requests, in_flight)
    finally:
        await engine.aclose()


async def with_aiohttp(url: str, requests: int, in_flight: int) -> tuple[float, float]:
    """Measure a bare aiohttp session."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send() -> Any:
            body = chat_body("mock", PROMPT, PARAMS)
            async with session.post(f"{url}/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        return await drive(send, requests, in_flight)


async def with_httpx(url: str, requests: int, in_flight: int) -> tuple[float, float]:
    """Measure a bare httpx client."""
    import httpx

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits, timeout=600) as client:

        async def send() -> Any:
            body = chat_body("mock", PROMPT, PARAMS)
            response = await client.post(f"{url}/chat/completions", json=body)
            return response.json()["choices"][0]["message"]["content"]

        # So slow at many connections that a share of the requests gives the rate well enough.
        return await drive(send, max(in_flight, requests // 20), in_flight)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--in-flight", type=int, default=512)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="of: bound, ours, aiohttp, httpx")
    args = parser.parse_args()
    contenders = {"bound": bound, "ours": ours, "aiohttp": with_aiohttp, "httpx": with_httpx}
    if args.only:
        contenders = {name: contenders[name] for name in args.only}
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    with MockServer(latency_seconds=args.latency) as server:
        for _ in range(args.rounds):
            for name, contender in contenders.items():
                run = contender(server.base_url, args.requests, args.in_flight)
                results[name].append(asyncio.run(run))
    ideal = args.in_flight / args.latency if args.latency else float("inf")
    print(f"{args.in_flight} in flight, {args.latency * 1000:g} ms: ideal {ideal:,.0f} requests/s")
    columns = f"{'requests/s':>12}{'CPU µs':>9}{'of ideal':>10}{'of bound':>10}{'CPU of bound':>14}"
    print(" " * 10 + columns)
    medians = {
        name: tuple(statistics.median(column) for column in zip(*rounds, strict=True))
        for name, rounds in results.items()
    }
    best_rate, best_cpu = medians.get("bound", next(iter(medians.values())))
    for name, (rate, cpu) in medians.items():
        print(
            f"{name:10}{rate:12,.0f}{cpu:9.0f}{rate / ideal:10.1%}{rate / best_rate:10.1%}"
            f"{cpu / best_cpu:14.1%}"
        )


if __name__ == "__main__":
    main()
