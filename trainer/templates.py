"""Chat templates by name, and what follows from one: its digest, its generation prefix.

A template is Jinja text. Ours lie in `cascade.envs.engines.templates`, where engines without torch
find them too; each renders the same in transformers, in vLLM and in plain Jinja.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import Message

__all__ = ["load_template", "parsed_tool_calls", "template_digest", "template_names"]

_FOLDER = files("cascade.envs.engines") / "templates"


def template_names() -> tuple[str, ...]:
    """Names of the templates that come with Cascade."""
    return tuple(
        sorted(
            f.name.removesuffix(".jinja") for f in _FOLDER.iterdir() if f.name.endswith(".jinja")
        )
    )


def load_template(name: str) -> str:
    """Return the Jinja text of a template by its name, or by the path of a ``.jinja`` file.

    Raises:
        UnknownNameError: neither a name of ours nor a path that ends in ``.jinja``.
        ConfigError: the file cannot be read.
    """
    if name in template_names():
        return (_FOLDER / f"{name}.jinja").read_text(encoding="utf-8")
    if not name.endswith(".jinja"):
        raise UnknownNameError.near("chat template", name, template_names())
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the chat template {name}: {error.strerror}") from error


def template_digest(template: str) -> str:
    """SHA-256 of the template's text, in hexadecimal."""
    return hashlib.sha256(template.encode()).hexdigest()


def parsed_tool_calls(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Copy the messages with the arguments of tool calls as mappings, which templates need.

    The OpenAI form, which `Message` has, carries them as JSON text.

    Raises:
        DataError: arguments that are not a JSON object.
    """
    return [
        {**message, "tool_calls": [_parsed_call(call) for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else dict(message)
        for message in messages
    ]


def _parsed_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function", call)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except json.JSONDecodeError:
            arguments = None
    if not isinstance(arguments, dict):
        raise DataError(
            f"arguments of the call of {function.get('name')!r} must be a JSON object, "
            f"got {function.get('arguments')!r}"
        )
    return {**call, "function": {**function, "arguments": arguments}}
