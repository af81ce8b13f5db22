"""A real HTTP server that speaks the OpenAI API and fails on command.

It runs in its own process, so that it costs the client under test no time: one request is parsed
and answered in about 30 µs. Tests use the fixture `mock_server` of `tests/envs/conftest.py` or::

    with MockServer(latency_seconds=0.05) as server:
        server.script({"status": 429, "headers": {"Retry-After": "0.1"}}, {"disconnect": True})
        ...                      # the client talks to server.base_url
        server.stats()["requests"]

A step of a script is used up by the next request, in order of arrival; then everything is answered
normally. The keys of a step:

========== =======================================================================================
status     HTTP status, with `message` as the server's complaint (200 without: a normal answer)
headers    extra response headers
body       the whole body as text, in place of a normal answer
choice     fields that replace those of the one choice
fields     fields that replace those of the whole answer
latency    seconds to wait, in place of the server's own latency
hang       True: never answer
disconnect True: close the connection unanswered; "middle": after half of the answer
chunked    True: send the answer in chunks, without a Content-Length
close      True: answer, say ``Connection: close``, and close
========== =======================================================================================
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

__all__ = ["MockServer"]

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many"}
_KEPT = 2000
"""How many request bodies the server keeps for `MockServer.requests`."""


class MockServer:
    """Starts the server in a process of its own, on this machine alone.

    Args:
        model: the only model it has; another name is a 404, as in vLLM.
        reply: the text of each answer.
        replies: (substring of the request's body, answer) pairs; the first that fits wins.
        latency_seconds: how long each answer takes; answers overlap without bound.
        die_after: the process ends itself, hard, upon the request after so many.
        port: where to listen; 0 takes a free port.
    """

    def __init__(
        self,
        *,
        model: str = "mock",
        reply: str = "The answer is \\boxed{42}.",
        replies: tuple[tuple[str, str], ...] = (),
        latency_seconds: float = 0.0,
        die_after: int | None = None,
        port: int = 0,
    ) -> None:
        settings = {
            "model": model,
            "reply": reply,
            "replies": replies,
            "latency": latency_seconds,
            "die_after": die_after,
            "port": port,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, json.dumps(settings)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def script(self, *steps: Mapping[str, Any]) -> None:
        """Queue what happens to the next requests."""
        self._control("script", {"steps": steps})

    def stats(self) -> dict[str, Any]:
        """Return counts: requests, in_flight, max_in_flight, connections, open, scripted."""
        return self._control("stats", {})

    def requests(self) -> list[dict[str, Any]]:
        """Return the last requests in order: path, headers, body, and time of arrival."""
        kept: list[dict[str, Any]] = self._control("requests", {})["requests"]
        return kept

    def reset(self) -> None:
        """Forget counts, requests and script."""
        self._control("reset", {})

    def stop(self) -> None:
        """Kill the process, as `kill -9` does; calling it twice is harmless."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _control(self, command: str, data: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/control/{command}", json.dumps(data).encode()
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


class _State:
    """What all connections of the server share."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.model: str = settings["model"]
        self.reply: str = settings["reply"]
        self.replies: list[tuple[bytes, str]] = [
            (json.dumps(part)[1:-1].encode(), text) for part, text in settings["replies"]
        ]
        self.latency: float = settings["latency"]
        self.die_after: int | None = settings["die_after"]
        self.open = 0
        self.reset()

    def reset(self) -> None:
        self.requests = self.in_flight = self.max_in_flight = self.connections = 0
        self.steps: deque[Mapping[str, Any]] = deque()
        self.kept: deque[tuple[str, bytes, bytes, float]] = deque(maxlen=_KEPT)

    def control(self, command: str, body: bytes) -> dict[str, Any]:
        if command == "script":
            self.steps.extend(json.loads(body)["steps"])
        elif command == "reset":
            self.reset()
        elif command == "requests":
            return {"requests": [_kept_request(*kept) for kept in self.kept]}
        names = ("requests", "in_flight", "max_in_flight", "connections", "open")
        return {name: getattr(self, name) for name in names} | {"scripted": len(self.steps)}


def _kept_request(path: str, head: bytes, body: bytes, at: float) -> dict[str, Any]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    return {"path": path, "headers": headers, "body": json.loads(body or b"null"), "at": at}


class _Connection(asyncio.Protocol):
    """One client connection; requests on it are answered one after the other."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.buffer = b""
        self.busy = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.state.connections += 1
        self.state.open += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.state.open -= 1
        if self.busy:
            self.state.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        length = 0
        at = head.lower().find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        body = self.buffer[end + 4 : end + 4 + length]
        self.buffer = self.buffer[end + 4 + length :]
        self.handle(head, body)

    def handle(self, head: bytes, body: bytes) -> None:
        state = self.state
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/control/"):
            self.send(200, json.dumps(state.control(path[9:], body)).encode(), {"close": True})
            return
        if path == "/version":
            self.send(200, b'{"version": "mock 1.2"}', {})
            return
        state.requests += 1
        if state.die_after is not None and state.requests > state.die_after:
            os._exit(9)
        state.kept.append((path, head, body, time.time()))
        self.busy = True
        state.in_flight += 1
        state.max_in_flight = max(state.max_in_flight, state.in_flight)
        step = state.steps.popleft() if state.steps and not path.endswith("/models") else {}
        if step.get("hang"):
            return
        latency = step.get("latency", state.latency)
        loop = asyncio.get_running_loop()
        loop.call_later(latency, self.answer, path, body, step) if latency else self.answer(
            path, body, step
        )

    def answer(self, path: str, body: bytes, step: Mapping[str, Any]) -> None:
        if self.lost:
            return
        self.busy = False
        self.state.in_flight -= 1
        if step.get("disconnect") is True:
            self.transport.abort()
            return
        status, answer = self.content(path, body, step)
        self.send(status, answer, step)

    def content(self, path: str, body: bytes, step: Mapping[str, Any]) -> tuple[int, bytes]:
        if "body" in step:
            return step.get("status", 200), step["body"].encode("utf-8", "surrogatepass")
        if step.get("status", 200) != 200:
            error = {"message": step.get("message", "scripted failure"), "code": step["status"]}
            return step["status"], json.dumps({"error": error}).encode()
        if path.endswith("/models"):
            return 200, json.dumps({"object": "list", "data": [{"id": self.state.model}]}).encode()
        request = json.loads(body)
        if request.get("model") != self.state.model:
            error = {"message": f"The model `{request.get('model')}` does not exist.", "code": 404}
            return 404, json.dumps({"error": error}).encode()
        text = next((t for part, t in self.state.replies if part in body), self.state.reply)
        chat = path.endswith("/chat/completions")
        if not chat and not path.endswith("/completions"):
            return 404, b'{"detail":"Not Found"}'
        answer = (_chat_answer if chat else _completions_answer)(request, text)
        answer["choices"][0].update(step.get("choice", {}))
        return 200, json.dumps(answer | step.get("fields", {})).encode()

    def send(self, status: int, body: bytes, step: Mapping[str, Any]) -> None:
        chunked = step.get("chunked")
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n"
        head += "Content-Type: application/json\r\n"
        head += "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {len(body)}\r\n"
        for name, value in step.get("headers", {}).items():
            head += f"{name}: {value}\r\n"
        if step.get("close"):
            head += "Connection: close\r\n"
        if chunked:
            half = len(body) // 2
            parts = (body[:half], body[half:], b"") if half else (body, b"")
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        whole = head.encode() + b"\r\n" + body
        if step.get("disconnect") == "middle":
            self.transport.write(whole[: len(whole) - len(body) // 2])
            self.transport.close()
            return
        self.transport.write(whole)
        if step.get("close"):
            self.transport.close()


def _usage(prompt: int, tokens: int) -> dict[str, int]:
    total = prompt + tokens
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": total}


def _base(request: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "mock-1", "object": kind, "created": 1, "model": request["model"]}


def _chat_answer(request: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Answer as vLLM does; a token is a word with the blank before it, its id its length."""
    words = _words(text)
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    answer = _base(request, "chat.completion") | {"choices": [choice]}
    if request.get("logprobs"):
        as_ids = request.get("return_tokens_as_token_ids")
        choice["logprobs"] = {
            "content": [
                {"token": f"token_id:{len(w)}" if as_ids else w, "logprob": -0.25, "bytes": None}
                for w in words
            ]
        }
    if request.get("return_token_ids"):
        choice["token_ids"] = [len(word) for word in words]
        answer["prompt_token_ids"] = [1, 2, 3]
    answer["usage"] = _usage(3, len(words))
    return answer


def _completions_answer(request: Mapping[str, Any], text: str) -> dict[str, Any]:
    words = _words(text)
    choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
    if request.get("logprobs") is not None:
        choice["logprobs"] = {"tokens": words, "token_logprobs": [-0.5] * len(words)}
    if request.get("return_token_ids"):
        choice["token_ids"] = [len(word) for word in words]
        choice["prompt_token_ids"] = [1, 2]
    answer = _base(request, "text_completion") | {"choices": [choice]}
    answer["usage"] = _usage(2, len(words))
    return answer


def _words(text: str) -> list[str]:
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


async def _serve(settings: Mapping[str, Any]) -> None:
    state = _State(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(state), "127.0.0.1", settings["port"], backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("settings")
    asyncio.run(_serve(json.loads(parser.parse_args().settings)))
