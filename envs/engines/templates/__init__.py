"""Chat templates: from a conversation to the text that a model continues.

A template is Jinja text, rendered as transformers renders it, so a model's own template gives the
same text here as in the server. Ours lie in this folder, one ``.jinja`` file each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import Message

__all__ = ["load_template", "parsed_tool_calls", "render", "template_digest", "template_names"]

_FOLDER = files(__name__)


def template_names() -> tuple[str, ...]:
    """Names of the templates that come with Cascade."""
    names = (file.name for file in _FOLDER.iterdir() if file.name.endswith(".jinja"))
    return tuple(sorted(name.removesuffix(".jinja") for name in names))


def load_template(source: str) -> str:
    """Return a template's Jinja text.

    Args:
        source: one of `template_names()`; a ``.jinja`` file; a ``tokenizer_config.json`` or
            ``chat_template.json``; a model's folder that holds one of these; or Jinja text itself.

    Raises:
        UnknownNameError: none of these.
        ConfigError: the file cannot be read, or holds no template.
    """
    if source in template_names():
        return (_FOLDER / f"{source}.jinja").read_text(encoding="utf-8")
    if "{{" in source or "{%" in source:
        return source
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    if path.suffix not in (".jinja", ".json"):
        raise UnknownNameError.near("chat template", source, template_names())
    return _from_file(path)


def _from_folder(folder: Path) -> str:
    for name in ("chat_template.jinja", "chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            return _from_file(folder / name)
    raise ConfigError(f"{folder} holds no chat_template.jinja and no tokenizer_config.json")


def _from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jinja":
            return text
        config: Any = json.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read the chat template {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"cannot read the chat template {path}: {error}") from error
    template = config.get("chat_template") if isinstance(config, dict) else None
    if isinstance(template, list):
        # Several templates by name: the one called "default" is the one for conversations.
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    if not isinstance(template, str):
        raise ConfigError(f"{path} has no chat_template")
    tokens = {name: _token_text(config.get(name)) for name in ("bos_token", "eos_token")}
    set_tokens = "".join(
        "{%- set " + name + " = " + json.dumps(token) + " -%}" for name, token in tokens.items()
    )
    return set_tokens + template


def _token_text(token: Any) -> str:
    """Special tokens are text, or an object with the text in `content`, or absent."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def template_digest(template: str) -> str:
    """SHA-256 of the template's text, in hexadecimal."""
    return hashlib.sha256(template.encode()).hexdigest()


def render(
    template: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    enable_thinking: bool | None = None,
    add_generation_prompt: bool = True,
    **variables: Any,
) -> str:
    """Return the text of a conversation.

    Args:
        template: anything that `load_template` takes.
        messages: the conversation; tool calls may carry their arguments as JSON text.
        tools: on offer, in the OpenAI function form.
        enable_thinking: open a reasoning block, or close an empty one; None: the template's
            default.
        add_generation_prompt: end with the head of the assistant's next message.
        variables: further variables of the template.

    Raises:
        UnknownNameError: `template` is none.
        ConfigError: the template is broken.
        DataError: the template refuses the conversation, or cannot work with it.
    """
    if enable_thinking is not None:
        variables["enable_thinking"] = enable_thinking
    compiled = _compiled(load_template(template))
    try:
        return compiled.render(
            messages=parsed_tool_calls(messages),
            tools=None if tools is None else list(tools),
            add_generation_prompt=add_generation_prompt,
            **variables,
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise DataError(f"the chat template refuses the conversation: {error}") from error


def parsed_tool_calls(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Copy the messages with the arguments of tool calls as mappings, which templates need.

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
        except ValueError:
            arguments = None
    if not isinstance(arguments, dict):
        raise DataError(
            f"arguments of the call of {function.get('name')!r} must be a JSON object, "
            f"got {function.get('arguments')!r}"
        )
    return {**call, "function": {**function, "arguments": arguments}}


@lru_cache(maxsize=64)
def _compiled(text: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    try:
        return environment.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"the chat template is broken in line {error.lineno}: {error}") from error


class _Generation(jinja2.ext.Extension):
    """``{% generation %}``, which marks the assistant's words for training: nothing here."""

    tags = {"generation"}  # noqa: RUF012 - the base class types it so

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False) -> str:
    """Write JSON without Jinja's HTML escapes, as transformers does."""
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
