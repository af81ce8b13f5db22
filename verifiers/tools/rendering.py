"""Writes calls in each format, as the models' chat templates do: gold answers, demonstrations."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from cascade.errors import ConfigError, UnknownNameError
from cascade.types import Message
from cascade.verifiers.tools.calls import Call, CallFormat

__all__ = ["message_of", "render_calls"]


def render_calls(calls: Sequence[Call], format: CallFormat) -> str:
    """Return `calls` as a model of that format writes them.

    Raises:
        ConfigError: XML and Python have no way to write a name or value.
        UnknownNameError: nothing is written in that format.
    """
    if format not in _WRITERS:
        raise UnknownNameError.near("tool-call format", format, _WRITERS)
    return _WRITERS[format](calls)


def message_of(calls: Sequence[Call], content: str = "") -> Message:
    """Return an assistant message in the OpenAI form."""
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [_openai_call(call, index) for index, call in enumerate(calls)],
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _openai_call(call: Call, index: int) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _json(dict(call.arguments))}
    return {"id": f"call_{index}", "type": "function", "function": function}


def _xml(calls: Sequence[Call]) -> str:
    return "\n".join(map(_xml_call, calls))


def _xml_call(call: Call) -> str:
    lines = ["<tool_call>", f"<function={call.name}>"]
    for name, value in call.arguments.items():
        text = value if isinstance(value, str) else _json(value)
        if any(mark in text for mark in ("</parameter>", "<parameter=", "tool_call>")):
            raise ConfigError(f"an XML call cannot hold the value {text[:60]!r}")
        lines += [f"<parameter={name}>", text, "</parameter>"]
    return "\n".join([*lines, "</function>", "</tool_call>"])


def _hermes(calls: Sequence[Call]) -> str:
    return "\n".join(f"<tool_call>\n{_json(_plain(call))}\n</tool_call>" for call in calls)


def _plain(call: Call) -> dict[str, Any]:
    return {"name": call.name, "arguments": dict(call.arguments)}


def _openai(calls: Sequence[Call]) -> str:
    return _json([_openai_call(call, index) for index, call in enumerate(calls)])


def _python(calls: Sequence[Call]) -> str:
    return "[" + ", ".join(map(_python_call, calls)) + "]"


def _python_call(call: Call) -> str:
    for name in (*call.name.split("."), *call.arguments):
        # Keywords are written as they are: a model would, and `parse_python` reads them.
        if not name.isidentifier():
            raise ConfigError(f"{name!r} is no name in Python")
    return f"{call.name}({', '.join(f'{k}={v!r}' for k, v in call.arguments.items())})"


def _llama(calls: Sequence[Call]) -> str:
    objects = [{"name": call.name, "parameters": dict(call.arguments)} for call in calls]
    return "; ".join(map(_json, objects))


def _mistral(calls: Sequence[Call]) -> str:
    return "[TOOL_CALLS]" + _json([_plain(call) for call in calls])


_WRITERS: dict[str, Callable[[Sequence[Call]], str]] = {
    "nemotron": _xml,
    "qwen3_coder": _xml,
    "hermes": _hermes,
    "openai": _openai,
    "python": _python,
    "llama": _llama,
    "mistral": _mistral,
}
