"""Settings: ranges beside the fields they bound, overrides by name, differences of two runs.

A recipe is a tree of frozen dataclasses. A field that has limits says so in its annotation,
``steps: Annotated[int, Range(1)]``; `check_fields` in ``__post_init__`` holds them, and `override`
turns ``grpo.steps=40`` from a command line into a typed, checked new tree.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union

from cascade.errors import ConfigError, UnknownNameError

__all__ = ["Range", "changes", "check_fields", "override", "resolved"]

_Settings = TypeVar("_Settings")
_ALIASES = {"lr": ("learning_rate", "peak_learning_rate")}
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Range:
    """Where a number must lie; put into a field's annotation."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    """Like `low`, but the bound itself is not allowed."""

    def holds(self, value: float) -> bool:
        """Whether `value` is finite and inside."""
        return (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{_number(self.low)} to {_number(self.high)}"
        words = []
        if self.low is not None:
            words.append(f"{_number(self.low)} or more")
        if self.above is not None:
            words.append(f"more than {_number(self.above)}")
        if self.high is not None:
            words.append(f"at most {_number(self.high)}")
        return " and ".join(words) or "a finite number"


def check_fields(settings: Any) -> None:
    """Hold every field of a dataclass to the `Range` or `Literal` of its annotation.

    Raises:
        ConfigError: names the field, its value and the allowed range.
    """
    for name, hint in _hints(type(settings)).items():
        value = getattr(settings, name)
        if value is None:
            continue
        bounds = _range_of(hint)
        if bounds is not None and not (_is_number(value) and bounds.holds(value)):
            raise ConfigError(f"{name} must be {bounds}, got {value!r}")
        options = _options_of(hint)
        if options and value not in options:
            raise ConfigError(f"{name} must be one of {', '.join(options)}, got {value!r}")


def override(settings: _Settings, assignments: Sequence[str]) -> _Settings:
    """Return `settings` with fields replaced, each assignment being ``path.to.field=value``.

    A part of a path is a field's name, or the `name` of a member of a tuple (a stage). A field may
    be named without the dataclasses between, as long as only one field has that name.

    Raises:
        UnknownNameError: no such field; the near names are given.
        ConfigError: a value of the wrong type or outside its range, or no ``=``.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f"--set needs FIELD=VALUE, got {assignment!r}")
        parts = [part.strip() for part in path.split(".")]
        settings = _replaced(settings, parts, text.strip(), path.strip())
    return settings


def resolved(settings: Any) -> Any:
    """Return a settings tree as plain JSON data; each dataclass says its `kind`."""
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        fields = dataclasses.fields(settings)
        return {"kind": type(settings).__name__} | {
            field.name: resolved(getattr(settings, field.name)) for field in fields
        }
    if isinstance(settings, Mapping):
        return {str(key): resolved(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple, set, frozenset)):
        return [resolved(value) for value in settings]
    if settings is None or isinstance(settings, (bool, int, float, str)):
        return settings
    name = getattr(settings, "__qualname__", None)
    # An address in memory is no setting: the next process has another one.
    return f"{settings.__module__}:{name}" if name else re.sub(r" at 0x\w+", "", str(settings))


def changes(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each leaf that differs between two `resolved` trees."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif (
        isinstance(before, list)
        and isinstance(after, list)
        and len(before) == len(after)
        and len(before) <= 20
    ):
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            label = new.get("name", i) if isinstance(new, Mapping) else i
            yield from changes(old, new, f"{path}.{label}")
    elif before != after:
        yield f"{path}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _replaced(node: Any, parts: list[str], text: str, path: str) -> Any:
    """Return `node` with what `parts` lead to set to `text`."""
    head, rest = parts[0], parts[1:]
    if isinstance(node, tuple):
        return _replaced_member(node, head, rest, text, path)
    hints = _hints(type(node))
    for name in _ALIASES.get(head, ()):
        head = name if name in hints or _holders(node, name) else head
    if head not in hints:
        stages = [name for name in hints if _member(getattr(node, name), head) is not None]
        through = stages or _holders(node, head)
        if len(through) != 1:
            raise _unknown(node, head, path, through)
        head, rest = through[0], parts
    value = getattr(node, head)
    if rest:
        if not (dataclasses.is_dataclass(value) or isinstance(value, tuple)):
            raise ConfigError(f"{path}: {head} is {value!r}, it has no fields")
        new = _replaced(value, rest, text, path)
    else:
        new = _parsed(text, hints[head], path)
    try:
        return dataclasses.replace(node, **{head: new})
    except ConfigError as error:
        if str(error).startswith(path):
            raise
        raise ConfigError(f"{path}={text}: {error}") from error


def _replaced_member(
    node: tuple[Any, ...], head: str, rest: list[str], text: str, path: str
) -> tuple[Any, ...]:
    member = _member(node, head)
    if member is None or not rest:
        names = [m.name for m in node if hasattr(m, "name")]
        raise UnknownNameError.near("setting", path, [f"{name}.FIELD" for name in names])
    return tuple(_replaced(m, rest, text, path) if m is member else m for m in node)


def _member(value: Any, name: str) -> Any:
    """The member of a tuple that is called `name`, if there is one."""
    if not isinstance(value, tuple):
        return None
    return next((m for m in value if getattr(m, "name", None) == name), None)


def _holders(node: Any, name: str) -> list[str]:
    """Fields of `node` whose dataclass has, at any depth, the field `name`."""
    return [
        field.name
        for field in dataclasses.fields(node)
        if dataclasses.is_dataclass(value := getattr(node, field.name))
        and (name in _hints(type(value)) or _holders(value, name))
    ]


def _unknown(node: Any, head: str, path: str, through: Sequence[str]) -> ConfigError:
    if through:
        ways = " or ".join(f"{way}.{head}" for way in through)
        return ConfigError(f"{path}: several fields are called {head!r}: say {ways}")
    before = path[: path.rfind(head)] if head in path else ""
    return UnknownNameError.near("setting", path, [before + known for known in _field_paths(node)])


def _field_paths(node: Any) -> Iterator[str]:
    """Names that a path may go on with: fields, and those of stages and of dataclasses below."""
    for field in dataclasses.fields(node):
        yield field.name
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from (f"{field.name}.{name}" for name in _hints(type(value)))
        elif isinstance(value, tuple):
            for member in value:
                if dataclasses.is_dataclass(member) and hasattr(member, "name"):
                    yield from (f"{member.name}.{name}" for name in _hints(type(member)))


def _hints(kind: Any) -> dict[str, Any]:
    """Annotation of each field of a dataclass, `Annotated` kept.

    A name that its module imports for type checkers only (what needs torch) becomes Any: such a
    field is set in the recipe file, and so are the fields of the dataclass in it.
    """
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        names = vars(sys.modules[base.__module__])
        for name, hint in inspect.get_annotations(base).items():
            try:
                found[name] = typing.get_type_hints(
                    types.SimpleNamespace(__annotations__={name: hint}), names, include_extras=True
                )[name]
            except NameError:
                found[name] = Any
    return {field.name: found[field.name] for field in dataclasses.fields(kind)}


def _alternatives(hint: Any) -> list[Any]:
    """The types that a union allows, without None; `Annotated` taken off."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return [a for arg in typing.get_args(hint) for a in _alternatives(arg)]
    return [] if hint is type(None) else [hint]


def _range_of(hint: Any) -> Range | None:
    if typing.get_origin(hint) is typing.Annotated:
        return next((m for m in typing.get_args(hint)[1:] if isinstance(m, Range)), None)
    if typing.get_origin(hint) in (Union, types.UnionType):
        return next((r for arg in typing.get_args(hint) if (r := _range_of(arg))), None)
    return None


def _options_of(hint: Any) -> tuple[str, ...]:
    kinds = _alternatives(hint)
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Literal:
        return tuple(typing.get_args(kinds[0]))
    return ()


def _may_be_none(hint: Any) -> bool:
    if typing.get_origin(hint) is typing.Annotated:
        return _may_be_none(typing.get_args(hint)[0])
    return hint is type(None) or any(_may_be_none(a) for a in typing.get_args(hint))


def _parsed(text: str, hint: Any, path: str) -> Any:
    """Read `text` as the type that a field's annotation asks for."""
    if text.lower() == "none" and _may_be_none(hint):
        return None
    for kind in _alternatives(hint):
        try:
            return _read(text, kind)
        except (ValueError, TypeError, OverflowError):
            continue
    raise ConfigError(f"{path} must be {_described(hint)}, got {text!r}")


def _read(text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ValueError(text)
        return _WORDS[text.lower()]
    if kind is int:
        number = float(text) if "e" in text.lower() else int(text)
        if number != int(number):
            raise ValueError(text)
        return int(number)
    if kind in (float, str):
        return kind(text)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal and text in args:
        return text
    if origin is tuple:
        words = [word.strip() for word in text.strip("()[]").split(",") if word.strip()]
        kinds = [args[0]] * len(words) if args[1:] == (Ellipsis,) else list(args)
        return tuple(_read(word, k) for word, k in zip(words, kinds, strict=True))
    raise TypeError(kind)


def _described(hint: Any) -> str:
    """Say in words what a field takes."""
    bounds, options = _range_of(hint), _options_of(hint)
    if options:
        return f"one of {', '.join(map(str, options))}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    kinds = _alternatives(hint)
    words = [
        names.get(kind)
        or ("values with commas between" if typing.get_origin(kind) is tuple else None)
        for kind in kinds
    ]
    said = [word for word in words if word]
    if not said:
        return "set in the recipe file (it is no plain value)"
    if bounds is not None:
        said[-1] += f", {bounds}"
    return " or ".join([*said, *(["none"] if _may_be_none(hint) else [])])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: float) -> str:
    return f"{value:g}" if value != int(value) else str(int(value))
