"""Requests and answers of the OpenAI API as plain data: no network, no retries.

Written against the API's reference, vLLM's extensions of it (`return_token_ids`,
`chat_template_kwargs`, `reasoning`) and those of SGLang and llama.cpp where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cascade.errors import ConfigError, EngineError
from cascade.types import Completion, Message, SamplingParams, StopReason

__all__ = [
    "MalformedAnswer",
    "chat_body",
    "completion_of_chat",
    "completion_of_text",
    "completions_body",
]

_STOP_REASONS: Final = {
    "stop": StopReason.STOP,
    "eos": StopReason.STOP,
    "end_turn": StopReason.STOP,
    "stop_sequence": StopReason.STOP,
    "length": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "content_filter": StopReason.CONTENT_FILTER,
    "refusal": StopReason.CONTENT_FILTER,
}
_BROKEN_OFF: Final = ("abort", "error", "cancelled")
"""Finish reasons with which servers say that they gave up, not the model."""

_TOKEN_ID: Final = "token_id:"


class MalformedAnswer(Exception):
    """An answer that is not what the API promises; asking again may help."""


def chat_body(
    model: str,
    messages: Sequence[Message],
    params: SamplingParams,
    *,
    max_tokens_field: str = "max_tokens",
    token_ids: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of a request to ``/chat/completions``.

    Args:
        model: the model's name on the server.
        messages: the conversation.
        params: `top_k` and `thinking` become vLLM's and SGLang's fields only where they are set.
        max_tokens_field: OpenAI's own reasoning models want ``max_completion_tokens``.
        token_ids: ask vLLM for token ids.
        extra: fields of every request; `params.extra` goes over them, and a field that is None
            in either is left out altogether.
    """
    body = _sampling(model, params, max_tokens_field, token_ids)
    body["messages"] = _sent(messages)
    if params.logprobs:
        body["logprobs"] = True
    if params.thinking is not None:
        body["chat_template_kwargs"] = {"enable_thinking": params.thinking}
    return _with_extra(body, extra, params.extra)


def _sent(messages: Sequence[Message]) -> Sequence[Mapping[str, Any]]:
    """The messages, with earlier reasoning under both of its names.

    vLLM 0.32 reads `reasoning`, SGLang and others `reasoning_content`; what a server does not know
    it leaves alone.
    """
    if not any("reasoning_content" in message for message in messages):
        return messages if isinstance(messages, list | tuple) else list(messages)
    return [
        {**message, "reasoning": message["reasoning_content"]}
        if "reasoning_content" in message
        else message
        for message in messages
    ]


def completions_body(
    model: str,
    prompt: str | Sequence[int],
    params: SamplingParams,
    *,
    max_tokens_field: str = "max_tokens",
    token_ids: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of a request to ``/completions``; arguments as for `chat_body`."""
    body = _sampling(model, params, max_tokens_field, token_ids)
    body["prompt"] = prompt if isinstance(prompt, str | list | tuple) else list(prompt)
    if params.logprobs:
        body["logprobs"] = 1
    return _with_extra(body, extra, params.extra)


def _sampling(
    model: str, params: SamplingParams, max_tokens_field: str, token_ids: bool
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "temperature": params.temperature,
        "top_p": params.top_p,
        max_tokens_field: params.max_tokens,
    }
    if params.seed is not None:
        body["seed"] = params.seed
    if params.stop:
        body["stop"] = params.stop
    if params.top_k:
        body["top_k"] = params.top_k
    if token_ids:
        body["return_token_ids"] = True
    return body


def _with_extra(body: dict[str, Any], *extras: Mapping[str, Any] | None) -> dict[str, Any]:
    for extra in extras:
        if not extra:
            continue
        kwargs = {**body.get("chat_template_kwargs", {}), **extra.get("chat_template_kwargs", {})}
        body.update(extra)
        if kwargs:
            body["chat_template_kwargs"] = kwargs
        for name in [name for name, value in extra.items() if value is None]:
            del body[name]
    return body


def completion_of_chat(answer: Any, params: SamplingParams, *, token_ids: bool) -> Completion:
    """Read the answer of ``/chat/completions``.

    Where the server has no reasoning parser and the chat template has opened the reasoning block
    in the prompt, the text starts inside the block. ``<think>`` and a line feed are then put in
    front, so that the text can be judged without its prompt: when `</think>` comes without
    `<think>` (unless thinking was turned off), and when thinking was asked for and the text was
    cut off before either. The second must read as a block that never closed, not as an answer.

    Raises:
        MalformedAnswer: no choice, no finish reason, fields of the wrong type.
        EngineError: the server gave up on the sample, or ended it for an unknown reason.
        ConfigError: log-probabilities or token ids were asked for and are not there.
    """
    choice = _choice(answer)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise MalformedAnswer("the choice has no message")
    text = _content(message.get("content"))
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(reasoning, str):
        reasoning = None
    stop_reason = _stop_reason(choice)
    if reasoning is None and _starts_inside_reasoning(text, stop_reason, params.thinking):
        text = f"<think>\n{text}"
    logprobs, ids = _chat_tokens(choice)
    return _completion(
        answer,
        text,
        stop_reason,
        params,
        reasoning=reasoning,
        tool_calls=_tool_calls(message.get("tool_calls")),
        logprobs=logprobs,
        ids=ids,
        prompt_ids=answer.get("prompt_token_ids"),
        need_ids=token_ids,
    )


def completion_of_text(
    answer: Any, params: SamplingParams, *, token_ids: bool, opened: str = ""
) -> Completion:
    """Read the answer of ``/completions``; raises what `completion_of_chat` does.

    Args:
        answer: the server's JSON.
        params: what was asked for.
        token_ids: whether token ids were asked for.
        opened: how the prompt ends if it opens a reasoning block (``<think>`` and a line feed);
            it goes in front of the text.
    """
    choice = _choice(answer)
    logprobs = choice.get("logprobs")
    values = tokens = None
    if isinstance(logprobs, dict):
        values, tokens = logprobs.get("token_logprobs"), logprobs.get("tokens")
    return _completion(
        answer,
        opened + _content(choice.get("text")),
        _stop_reason(choice),
        params,
        logprobs=values,
        ids=choice.get("token_ids") or _ids_in(tokens),
        prompt_ids=choice.get("prompt_token_ids") or answer.get("prompt_token_ids"),
        need_ids=token_ids,
    )


def _choice(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise MalformedAnswer(f"the answer is a JSON {type(answer).__name__}, not an object")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedAnswer("the answer has no choices")
    choice: dict[str, Any] = choices[0]
    return choice


def _stop_reason(choice: Mapping[str, Any]) -> StopReason:
    given = choice.get("finish_reason")
    if not isinstance(given, str):
        raise MalformedAnswer(f"finish_reason is {given!r}")
    reason = _STOP_REASONS.get(given)
    if reason is None and given in _BROKEN_OFF:
        raise MalformedAnswer(f"the server broke the sample off: finish_reason is {given!r}")
    if reason is None:
        raise EngineError(f"the server ended the sample with the unknown finish_reason {given!r}")
    return reason


def _content(content: Any) -> str:
    """Return the text of a message; None (a pure tool call) is empty, parts are joined."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text", "") for part in content]
        if all(isinstance(text, str) for text in texts):
            return "".join(texts)
    raise MalformedAnswer(f"the text is a JSON {type(content).__name__}")


def _tool_calls(calls: Any) -> tuple[Mapping[str, Any], ...]:
    if not calls:
        return ()
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise MalformedAnswer("tool_calls is not a list of objects")
    return tuple(calls)


def _starts_inside_reasoning(text: str, stop_reason: StopReason, thinking: bool | None) -> bool:
    if "<think>" in text.partition("</think>")[0]:
        return False
    if "</think>" in text:
        return thinking is not False
    return thinking is True and stop_reason is StopReason.LENGTH


def _chat_tokens(choice: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the log-probabilities and the token ids, as far as they are there."""
    logprobs, ids = choice.get("logprobs"), choice.get("token_ids")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return None, ids
    try:
        values = [entry["logprob"] for entry in content]
        return values, ids or _ids_in([entry["token"] for entry in content])
    except (TypeError, KeyError) as error:
        raise MalformedAnswer("an entry of logprobs has no token or no logprob") from error


def _ids_in(tokens: Any) -> list[int] | None:
    """Read ids out of vLLM's ``token_id:123`` tokens; None if they are ordinary text."""
    if not isinstance(tokens, list):
        return None
    if not all(isinstance(token, str) and token.startswith(_TOKEN_ID) for token in tokens):
        return None
    numbers = [token[len(_TOKEN_ID) :] for token in tokens]
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else None


def _completion(
    answer: Mapping[str, Any],
    text: str,
    stop_reason: StopReason,
    params: SamplingParams,
    *,
    logprobs: Any,
    ids: Any,
    prompt_ids: Any,
    need_ids: bool,
    reasoning: str | None = None,
    tool_calls: tuple[Mapping[str, Any], ...] = (),
) -> Completion:
    usage = answer.get("usage")
    num_tokens = num_prompt_tokens = None
    if isinstance(usage, dict):
        num_tokens = _count(usage.get("completion_tokens"))
        num_prompt_tokens = _count(usage.get("prompt_tokens"))
    values: tuple[float, ...] | None = None
    if params.logprobs:
        if logprobs is None and num_tokens != 0:
            raise ConfigError(
                "logprobs were asked for, but the server returned none; use a server that returns "
                "the log-probabilities of sampled tokens (vLLM does), or do not ask for them"
            )
        values = _checked(logprobs or (), float | int, "a log-probability")
    token_ids = None if ids is None else _checked(ids, int, "a token id")
    if need_ids and token_ids is None and num_tokens != 0:
        raise ConfigError(
            "token_ids=True, but the server returned no token ids: it has to know vLLM's field "
            "return_token_ids (vLLM 0.10.2 or later)"
        )
    if values is not None and token_ids is not None and len(values) != len(token_ids):
        raise MalformedAnswer(f"{len(token_ids)} token ids but {len(values)} log-probabilities")
    return Completion(
        text=text,
        stop_reason=stop_reason,
        reasoning=reasoning,
        tool_calls=tool_calls,
        prompt_token_ids=None if prompt_ids is None else _checked(prompt_ids, int, "a token id"),
        token_ids=token_ids,
        logprobs=values,
        num_prompt_tokens=num_prompt_tokens,
        num_tokens=num_tokens if num_tokens is not None or token_ids is None else len(token_ids),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _checked(values: Any, kind: Any, what: str) -> tuple[Any, ...]:
    if isinstance(values, list | tuple) and all(isinstance(value, kind) for value in values):
        return tuple(values)
    raise MalformedAnswer(f"{what} is missing or of the wrong type")
