"""Settings of the HTTP engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from cascade.errors import ConfigError

__all__ = ["HttpConfig"]


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where the server is, and how patient to be with it.

    Raises:
        ConfigError: a value that cannot work.
    """

    model: str
    """The model's name on the server."""
    base_url: str = ""
    """Up to and with ``/v1``; default the environment variable OPENAI_BASE_URL."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as a bearer token; default the environment variable OPENAI_API_KEY."""
    api: Literal["chat", "completions"] = "chat"
    """How conversations are sent. Raw text and token ids always go to ``/completions``."""
    template: str | None = None
    """Renders conversations for ``api="completions"``: a name, a file or Jinja text."""
    concurrency: int = 64
    """Requests in flight, and connections."""
    timeout_seconds: float = 3600.0
    """For one attempt. Nothing streams, so a long sample is silent until it is whole."""
    deadline_seconds: float = 7200.0
    """For one sample: all attempts and pauses, the wait for a free slot not counted."""
    max_retries: int = 5
    """Attempts after the first."""
    retry_seconds: float = 0.5
    """The first pause; each next one is twice as long, up to 30 s, less up to half at random."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the token budget. OpenAI's reasoning models want the second."""
    token_ids: bool = False
    """Ask for token ids (vLLM's ``return_token_ids``)."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every request; None leaves a field out. `SamplingParams.extra` goes over them."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers, for servers with their own kind of login."""

    def __post_init__(self) -> None:
        """Fill in the environment's values and refuse what cannot work."""
        key = self.api_key if self.api_key is not None else os.environ.get("OPENAI_API_KEY")
        object.__setattr__(self, "base_url", _checked_url(self.base_url))
        object.__setattr__(self, "api_key", (key or "").strip() or None)
        if not self.model:
            raise ConfigError("model is empty: give the name that the server lists at /v1/models")
        if self.api not in ("chat", "completions"):
            raise ConfigError(f"api must be 'chat' or 'completions', got {self.api!r}")
        if self.concurrency < 1:
            raise ConfigError(f"concurrency must be 1 or more, got {self.concurrency!r}")
        if self.max_retries < 0:
            raise ConfigError(f"max_retries must be 0 or more, got {self.max_retries!r}")
        for name in ("timeout_seconds", "deadline_seconds", "retry_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)!r}")
        if any(not text.isprintable() for pair in self.request_headers().items() for text in pair):
            raise ConfigError("api_key or headers hold a line feed or another control character")

    def request_headers(self) -> dict[str, str]:
        """Return the headers of every request, credentials among them."""
        login = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {**login, **self.headers}


def _checked_url(given: str) -> str:
    url = (given or os.environ.get("OPENAI_BASE_URL", "")).strip()
    if not url:
        raise ConfigError("base_url is missing: give http://HOST:PORT/v1, or set OPENAI_BASE_URL")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"base_url must look like http://HOST:PORT/v1, got {url!r}")
    if parts.username is not None:
        raise ConfigError("base_url holds a user name: give the key as api_key or in headers")
    path = parts.path.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")
    return parts._replace(path=path, fragment="").geturl()
