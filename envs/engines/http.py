"""The engine for any OpenAI-compatible server: vLLM, SGLang, llama.cpp, a vendor.

A failed attempt is tried again with growing pauses, up to `max_retries` times and a deadline; what
fails after that is an `EngineError`, which costs one sample and not the run. What no sample can
survive (wrong key, unknown model, a parameter that the server does not take) is a `ConfigError`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from cascade import __version__
from cascade.envs.engines import openai_api
from cascade.envs.engines.http_config import HttpConfig
from cascade.envs.engines.refusals import TryAgain, message_of, refusal
from cascade.envs.engines.templates import load_template, render, template_digest
from cascade.envs.engines.transport import ConnectFailed, ConnectionBroken, HttpPool, Response
from cascade.errors import CascadeError, ConfigError, EngineError
from cascade.types import Completion, Conversation, Prompt, SamplingParams

__all__ = ["HttpConfig", "HttpEngine", "ServerInfo", "open_http"]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_LONGEST_PAUSE_SECONDS = 30.0
_SPARE_FILES = 256
_VERSION_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says about itself."""

    models: tuple[str, ...]
    """Names that it lists; empty if it has no such list."""
    owned_by: str | None = None
    """What serves the model ("vllm", "sglang", …), where it says so."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together, where it says so (vLLM)."""
    version: str | None = None
    """Of the server's program, where it says so (vLLM)."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What belongs to one event loop: connections, and the slots that bound them."""

    pool: HttpPool
    slots: asyncio.Semaphore
    guard: AsyncGenerator[None]


@dataclass(frozen=True, slots=True)
class _Request:
    """One sample's request, ready to be sent any number of times."""

    path: str
    body: bytes
    opened: str = ""


class HttpEngine:
    """Samples from an OpenAI-compatible server; see `HttpConfig` for the settings.

    It may be used from several event loops, one after the other or at once: each has connections
    of its own, closed when the loop is shut down by `asyncio.run`.
    """

    def __init__(self, config: HttpConfig) -> None:
        self.config = config
        self._template = load_template(config.template) if config.template else None
        self._common: dict[str, Any] = {
            "max_tokens_field": config.max_tokens_field,
            "token_ids": config.token_ids,
            "extra": config.extra_body,
        }
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._random = random.Random()
        self._has_answered = False
        self._is_gone = False
        self._info: ServerInfo | None = None

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return self.config.model

    @property
    def max_concurrency(self) -> int:
        """Requests in flight; more callers wait for a slot."""
        return self.config.concurrency

    def describe(self) -> Mapping[str, Any]:
        """Return the settings that a report must name; never a key or a header."""
        config = self.config
        out: dict[str, Any] = {
            "engine": "http",
            "version": __version__,
            "model": config.model,
            "base_url": config.base_url,
            "api": config.api,
            "concurrency": config.concurrency,
            "timeout_seconds": config.timeout_seconds,
            "deadline_seconds": config.deadline_seconds,
            "max_retries": config.max_retries,
        }
        if self._template is not None:
            out["template"] = "inline" if "{" in (config.template or "") else config.template
            out["template_sha256"] = template_digest(self._template)
        else:
            out["template"] = "the server's own"
        if config.extra_body:
            out["extra_body"] = dict(config.extra_body)
        if self._info is not None:
            out["server"] = self._info.owned_by
            out["server_version"] = self._info.version
            out["max_model_len"] = self._info.max_model_len
        return out

    async def check(self) -> ServerInfo:
        """Ask the server what it has, once and without retries.

        A model that is not listed is no error here: some servers take any name. The first sample
        tells.

        Raises:
            ConfigError: nothing answers at the URL, or it refuses the key.
        """
        line = await self._line()
        timeout_seconds = min(30.0, self.config.timeout_seconds)
        try:
            response = await line.pool.get("/models", timeout_seconds)
        except ConnectFailed as error:
            raise self._unreachable(str(error)) from error
        except (ConnectionBroken, TimeoutError) as error:
            what = str(error) or f"no answer within {timeout_seconds:g} s"
            raise self._unreachable(what) from error
        if response.status in (401, 403):
            raise self._refused("/models", response, 1)
        info = _server_info(response, self.config.model)
        self._info = replace(info, version=await self._version(line.pool))
        return self._info

    async def _version(self, pool: HttpPool) -> str | None:
        """What the server says at /version, which lies beside /v1; most have no such page."""
        try:
            response = await pool.get("/../version", _VERSION_SECONDS)
            said = json.loads(response.body.decode())["version"] if response.status == 200 else None
        except (ConnectFailed, ConnectionBroken, TimeoutError, ValueError, KeyError, TypeError):
            return None
        return said if isinstance(said, str) else None

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return one completion per prompt, in order.

        Prompt `i` is sampled with the seed `params.seed + i`: equal prompts in one call are
        different samples.

        Raises:
            EngineError: one of the prompts failed for good; the others are abandoned.
            ConfigError: the server will never accept such a request.
        """
        if len(prompts) == 1:
            return [await self._sample(self._request(prompts[0], params), params)]
        requests = [self._request(prompt, params, i) for i, prompt in enumerate(prompts)]
        tasks = [asyncio.ensure_future(self._sample(request, params)) for request in requests]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Close the connections of the running loop; calling it twice is harmless."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.guard.aclose()

    def _request(self, prompt: Prompt, params: SamplingParams, index: int = 0) -> _Request:
        if len(prompt) == 0:
            raise EngineError("the prompt is empty: there is nothing to continue")
        config, common, opened = self.config, self._common, ""
        if isinstance(prompt, str) or isinstance(prompt[0], int):
            text = cast("str | Sequence[int]", prompt)
            body = openai_api.completions_body(config.model, text, params, **common)
        elif config.api == "completions":
            text, opened, rest = self._rendered(cast("Conversation", prompt), params)
            body = openai_api.completions_body(config.model, text, rest, **common)
        else:
            messages = cast("Conversation", prompt)
            body = openai_api.chat_body(config.model, messages, params, **common)
        if index and params.seed is not None:
            body["seed"] = params.seed + index
        path = "/completions" if "prompt" in body else "/chat/completions"
        return _Request(path, _json_bytes(body), opened)

    def _rendered(
        self, messages: Conversation, params: SamplingParams
    ) -> tuple[str, str, SamplingParams]:
        """Return the prompt's text, the reasoning block that it opens, and what is left to send."""
        if self._template is None:
            raise ConfigError(
                "api='completions' needs a chat template to send a conversation: give "
                "template='nemotron_cascade_2', a .jinja file, or a model's folder"
            )
        extra = dict(params.extra)
        variables = {**extra.pop("chat_template_kwargs", {})}
        if params.thinking is not None:
            variables.setdefault("enable_thinking", params.thinking)
        text = render(self._template, messages, tools=extra.pop("tools", None), **variables)
        # The template has written the begin-of-text token itself where there is one.
        extra.setdefault("add_special_tokens", False)
        return text, _opened_reasoning(text), _with_extra(params, extra)

    async def _line(self) -> _Line:
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            _allow_open_files(self.config.concurrency)
            pool = HttpPool(self.config.base_url, self.config.request_headers())
            guard = self._closing_with_loop(pool, loop)
            line = _Line(pool, asyncio.Semaphore(self.config.concurrency), guard)
            self._lines[loop] = line
            await anext(guard)
        return line

    async def _closing_with_loop(
        self, pool: HttpPool, loop: asyncio.AbstractEventLoop
    ) -> AsyncGenerator[None]:
        """Close `pool` when the loop shuts its generators down, which `asyncio.run` makes it do."""
        try:
            yield
        finally:
            self._lines.pop(loop, None)
            await pool.aclose()

    async def _sample(self, request: _Request, params: SamplingParams) -> Completion:
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop) or await self._line()
        async with line.slots:
            started = loop.time()
            attempt = 0
            left = self.config.deadline_seconds
            while True:
                try:
                    return await self._attempt(line.pool, request, params, left)
                except TryAgain as error:
                    pause = self._pause(error, attempt)
                    spent = loop.time() - started
                    left = self.config.deadline_seconds - spent - (pause or 0.0)
                    if pause is None or left <= 0:
                        raise self._final(error, request, attempt + 1, spent) from None
                attempt += 1
                await asyncio.sleep(pause)

    def _pause(self, error: TryAgain, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is to be none."""
        # When the server is gone for good, thousands of samples must not each wait for it.
        if attempt >= self.config.max_retries or (error.unreachable and self._is_gone):
            return None
        pause = min(_LONGEST_PAUSE_SECONDS, self.config.retry_seconds * 2.0**attempt)
        pause *= self._random.uniform(0.5, 1.0)
        return max(pause, error.after_seconds or 0.0)

    async def _attempt(
        self, pool: HttpPool, request: _Request, params: SamplingParams, left_seconds: float
    ) -> Completion:
        timeout_seconds = min(self.config.timeout_seconds, left_seconds)
        try:
            response = await pool.post(request.path, request.body, timeout_seconds)
        except ConnectFailed as error:
            raise TryAgain(f"cannot connect: {error}", unreachable=True) from error
        except ConnectionBroken as error:
            raise TryAgain(f"the connection broke: {error}") from error
        except TimeoutError as error:
            raise TryAgain(f"no answer within {timeout_seconds:g} s") from error
        self._is_gone = False
        if response.status != 200:
            if response.status == 404:
                raise await self._not_found(pool, request, response)
            raise self._refused(request.path, response, params.max_tokens)
        try:
            completion = self._completion(request, response, params)
        except openai_api.MalformedAnswer as error:
            raise TryAgain(f"not an answer of the OpenAI API: {error}") from error
        self._has_answered = True
        return completion

    def _completion(
        self, request: _Request, response: Response, params: SamplingParams
    ) -> Completion:
        try:
            answer = json.loads(response.body.decode())
        except (ValueError, RecursionError) as error:
            start = response.body[:80].decode("utf-8", "replace")
            raise openai_api.MalformedAnswer(f"{error}; it starts {start!r}") from error
        if isinstance(answer, dict) and answer.get("error") and not answer.get("choices"):
            raise openai_api.MalformedAnswer(message_of(response.body))
        token_ids = self.config.token_ids
        if request.path == "/chat/completions":
            return openai_api.completion_of_chat(answer, params, token_ids=token_ids)
        return openai_api.completion_of_text(
            answer, params, token_ids=token_ids, opened=request.opened
        )

    def _refused(
        self, path: str, response: Response, max_tokens: int
    ) -> TryAgain | EngineError | ConfigError:
        error = refusal(
            response,
            url=self.config.base_url + path,
            model=self.config.model,
            max_tokens=max_tokens,
            has_answered=self._has_answered,
        )
        key = self.config.api_key
        if key and isinstance(error, CascadeError) and key in str(error):
            return type(error)(str(error).replace(key, "[key]"))
        return error

    async def _not_found(
        self, pool: HttpPool, request: _Request, response: Response
    ) -> CascadeError:
        """Tell an unknown model from a wrong path, by the models that the server lists."""
        said = message_of(response.body)
        where = f"{self.config.base_url}{request.path} answered 404: {said}."
        try:
            listed = _server_info(await pool.get("/models", 30.0), self.config.model).models
        except (ConnectFailed, ConnectionBroken, TimeoutError):
            listed = ()
        if not listed:
            return ConfigError(f"{where} Check the base URL; it usually ends in /v1")
        names = ", ".join(repr(name) for name in listed[:20])
        if self.config.model in listed:
            return ConfigError(f"{where} The server has the model, but not this API: try the other")
        return ConfigError(f"{where} There is no model {self.config.model!r}; it has {names}")

    def _final(
        self, error: TryAgain, request: _Request, attempts: int, seconds: float
    ) -> CascadeError:
        if error.unreachable and not self._has_answered:
            return self._unreachable(str(error))
        self._is_gone = self._is_gone or error.unreachable
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        url = self.config.base_url + request.path
        return EngineError(f"{url}: {error} ({tries} in {seconds:.1f} s)")

    def _unreachable(self, reason: str) -> ConfigError:
        return ConfigError(
            f"no server at {self.config.base_url}: {reason}. Start it, wait until it is ready, or "
            "give another base_url"
        )


def open_http(model: str, **options: Any) -> HttpEngine:
    """Open an `HttpEngine` on `model`; `options` are the fields of `HttpConfig`.

    Raises:
        ConfigError: an option that does not exist or cannot work.
        UnknownNameError: `template` is no template.
    """
    known = {name for name in HttpConfig.__slots__ if name != "model"}
    for name in options:
        if name not in known:
            raise ConfigError(f"the http engine has no option {name!r}: {', '.join(sorted(known))}")
    return HttpEngine(HttpConfig(model=model, **options))


def _json_bytes(body: dict[str, Any]) -> bytes:
    try:
        text = _encode(body)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the request cannot be written as JSON: {error}") from error
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Lone surrogates, which broken data and models contain, are no text: servers reject them.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _server_info(response: Response, model: str) -> ServerInfo:
    try:
        rows = json.loads(response.body.decode())["data"] if response.status == 200 else []
        names = {str(row["id"]): row for row in rows}
    except (ValueError, RecursionError, KeyError, TypeError):
        names = {}
    row = names.get(model, {})
    length = row.get("max_model_len")
    owner = row.get("owned_by")
    return ServerInfo(
        models=tuple(names),
        owned_by=owner if isinstance(owner, str) else None,
        max_model_len=length if isinstance(length, int) else None,
    )


def _opened_reasoning(prompt: str) -> str:
    """Return the end of `prompt` that opens a reasoning block; empty if it opens none."""
    tail = prompt[prompt.rfind("<think>") :] if "<think>" in prompt else ""
    return tail if tail.strip() == "<think>" else ""


def _with_extra(params: SamplingParams, extra: Mapping[str, Any]) -> SamplingParams:
    return replace(params, extra=extra, thinking=None)


def _allow_open_files(connections: int) -> None:
    """Raise the process's limit of open files where the connections need it."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"concurrency={connections} needs {needed} open files, but this process may have "
            f"{hard}: lower the concurrency or raise `ulimit -n`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
