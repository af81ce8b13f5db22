"""What an HTTP status other than 200 means for the sample, and for the run.

Three answers are possible: ask again (`TryAgain`), this sample cannot be had (`EngineError`), no
sample can (`ConfigError`). The status alone does not tell them apart: a 400 can mean one prompt
that is too long or a parameter that every request has.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from cascade.envs.engines.transport import Response
from cascade.errors import ConfigError, EngineError

__all__ = ["TryAgain", "message_of", "refusal"]

_RETRIED: Final = (408, 409, 425, 429)
_TOO_LONG: Final = re.compile(
    r"context[ _](?:length|size|window)|max(?:imum)?[ _]model[ _]len|prompt[ _]is[ _]too[ _]long"
    r"|prompt[ _]too[ _]long|string_above_max_length|input (?:is )?too long",
    re.IGNORECASE,
)
_CONTEXT_TOKENS: Final = re.compile(
    r"(?:context[ _](?:length|size|window)|max(?:imum)?[ _]model[ _]len(?:gth)?)\D{0,24}?(\d+)",
    re.IGNORECASE,
)
_BLOCKED: Final = re.compile(r"content[ _](?:filter|management|policy)|safety", re.IGNORECASE)
_NO_TOOL_CALLS: Final = re.compile(r"enable-auto-tool-choice|tool-call-parser")
_MESSAGE_CHARACTERS: Final = 600


class TryAgain(Exception):
    """A failure that another attempt may not meet.

    Args:
        reason: for a person.
        after_seconds: how long the server asks to wait, if it does.
        unreachable: no connection could be opened.
    """

    def __init__(
        self, reason: str, after_seconds: float | None = None, *, unreachable: bool = False
    ) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds
        self.unreachable = unreachable


def refusal(
    response: Response, *, url: str, model: str, max_tokens: int, has_answered: bool
) -> TryAgain | EngineError | ConfigError:
    """Return what to raise for an answer whose status is not 200.

    Args:
        response: the server's answer.
        url: where the request went.
        model: the model that was asked for.
        max_tokens: the budget that was asked for.
        has_answered: whether the server has answered other requests of this engine well. A 400
            is then blamed on the sample, not on the settings that all of them share.
    """
    status, message = response.status, message_of(response.body)
    said = f"{url} (model {model!r}) answered {status}: {message}"
    if status == 429 and "insufficient_quota" in response.body.decode("utf-8", "replace"):
        return ConfigError(f"{said}. The account has no quota left: add to it, then resume")
    if status in _RETRIED or status >= 500:
        return TryAgain(f"the server answered {status}: {message}", _retry_after(response))
    if status in (400, 413, 422):
        return _bad_request(said, message, max_tokens, has_answered)
    if status in (401, 403):
        return ConfigError(f"{said}. Give a valid key: api_key=…, or the variable OPENAI_API_KEY")
    if 300 <= status < 400:
        target = response.header("location") or "an unnamed place"
        return ConfigError(f"{said}. It redirects to {target}: give that as the base URL")
    return ConfigError(f"{said}. Check the base URL; it usually ends in /v1")


def _bad_request(
    said: str, message: str, max_tokens: int, has_answered: bool
) -> EngineError | ConfigError:
    context = _CONTEXT_TOKENS.search(message)
    # "The input is longer than …" comes from servers that shorten the budget on their own.
    budget_blamed = context is not None and "longer than" not in message and not has_answered
    if context and budget_blamed and max_tokens >= int(context[1]):
        return ConfigError(
            f"{said}. max_tokens={max_tokens} leaves no room for any prompt: ask for fewer than "
            f"{context[1]}, or start the server with a longer context"
        )
    if _TOO_LONG.search(message):
        return EngineError(f"the prompt does not fit the server's context: {message}")
    if _BLOCKED.search(message):
        return EngineError(f"the server refuses this prompt: {message}")
    if _NO_TOOL_CALLS.search(message):
        said += (
            ". The server was started without tool calls: start vLLM with "
            "--enable-auto-tool-choice --tool-call-parser NAME, the parser of this model (hermes, "
            "qwen3_coder, …)"
        )
        return EngineError(said) if has_answered else ConfigError(said)
    if has_answered:
        return EngineError(said)
    hint = ". Change the parameter that it names"
    if "max_completion_tokens" in message:
        hint = ". Set max_tokens_field='max_completion_tokens'"
    return ConfigError(said + hint)


def message_of(body: bytes) -> str:
    """Return the server's complaint: OpenAI's, FastAPI's or plain text, on one short line."""
    text = body.decode("utf-8", "replace")
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        data = text
    if isinstance(data, dict):
        data = data.get("error") or data.get("message") or data.get("detail") or data
    if isinstance(data, dict):
        parts = [str(data.get("message") or data)]
        # Some vendors say what is wrong only here ("context_length_exceeded").
        parts += [f"({key} {data[key]})" for key in ("code", "param") if _says(data.get(key))]
        data = " ".join(parts)
    line = " ".join(str(data).split()) or "(no text)"
    return line if len(line) <= _MESSAGE_CHARACTERS else line[:_MESSAGE_CHARACTERS] + " …"


def _says(value: Any) -> bool:
    return isinstance(value, str) and not value.isdigit()


def _retry_after(response: Response) -> float | None:
    """Return the seconds that the server asks to wait; nonsense counts as not asked."""
    milliseconds, given = response.header("retry-after-ms"), response.header("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if given is None:
            return None
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(given or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
