"""Fixtures of the engines' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cascade.envs.engines.http import HttpEngine, open_http
from mock_server import MockServer

OpenEngine = Callable[..., HttpEngine]


@pytest.fixture(scope="session")
def _server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def mock_server(_server: MockServer) -> MockServer:
    """A real HTTP server in another process, with nothing scripted."""
    _server.reset()
    return _server


@pytest.fixture
def open_mock(mock_server: MockServer, monkeypatch: pytest.MonkeyPatch) -> OpenEngine:
    """Open an engine on the server, with short pauses; options as for `open_http`."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def opened(model: str = "mock", **options: Any) -> HttpEngine:
        defaults = {"base_url": mock_server.base_url, "retry_seconds": 0.01, "max_retries": 2}
        return open_http(model, **{**defaults, **options})

    return opened
