"""YAML as JSON data: the core schema of YAML 1.2, built from libyaml's events.

PyYAML's own safe loader reads YAML 1.1, where `no` is False, `12:30` is 750 and `2024-05-01` is a
date object: data that no JSON Schema describes. Here a plain scalar is null, true, false, a
decimal / `0o` / `0x` integer, a float, or else a string, so that a schema means the same in YAML
as in JSON. Keys are strings, as written. Building from events lets aliases be counted and sized
before anything is expanded: a "billion laughs" document costs nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from cascade.verifiers.schema.limits import DocumentError, Limits

__all__ = ["parse_yaml", "scalar_value"]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TAG = "tag:yaml.org,2002:"
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}


def scalar_value(text: str) -> Any:
    """Return what a plain scalar means in the core schema of YAML 1.2 (section 10.3.2).

    Raises:
        DocumentError: an infinite, undefined or overlong number.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _OCTAL.fullmatch(text):
            return int(text[2:], 8)
        if _HEX.fullmatch(text):
            return int(text[2:], 16)
    except ValueError:
        raise DocumentError("a number has too many digits") from None
    if _FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise DocumentError(f"{text[:40]} is too large for a number")
        return value
    if _NOT_FINITE.fullmatch(text):
        raise DocumentError(f"{text} is not a JSON number")
    return text


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    size: int = 1
    height: int = 1
    key: str | None = None

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None


class _Builder:
    """Turns events into data, counting what each node would cost when it is written out."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int, int]] = {}
        self.root: Any = None
        self.documents = 0
        self.aliases = 0

    def feed(self, event: Any) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            if self.stack and self.stack[-1].wants_key:
                self._key(self.stack[-1], event.value)
            else:
                self._add(_scalar(event), 1, 0, event.anchor)
        elif isinstance(event, yaml.MappingStartEvent):
            self._push({}, event, "map")
        elif isinstance(event, yaml.SequenceStartEvent):
            self._push([], event, "seq")
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.stack.pop()
            self._add(done.value, done.size, done.height, done.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "")
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise DocumentError("more than one document")

    def _push(self, value: list[Any] | dict[str, Any], event: Any, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            raise DocumentError(f"the tag {event.tag[:80]!r} is not supported")
        if self.stack and self.stack[-1].wants_key:
            raise DocumentError("a key must be a scalar")
        self.stack.append(_Open(value, event.anchor))
        self._check_depth(0)

    def _check_depth(self, height: int) -> None:
        if len(self.stack) + height > self.limits.max_depth:
            raise DocumentError(f"nested deeper than {self.limits.max_depth} levels")

    def _alias(self, anchor: str) -> None:
        self.aliases += 1
        if self.aliases > self.limits.max_aliases:
            raise DocumentError(f"more than {self.limits.max_aliases} aliases")
        if self.stack and self.stack[-1].wants_key:
            raise DocumentError("a key must be a scalar")
        if anchor not in self.anchors:
            raise DocumentError(f"alias *{anchor[:40]} names no value that is complete")
        value, size, height = self.anchors[anchor]
        self._check_depth(height)
        self._add(value, size, height, None)

    def _add(self, value: Any, size: int, height: int, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, size, height)
        if not self.stack:
            self.root = value
            return
        parent = self.stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if parent.size > self.limits.max_nodes:
            raise DocumentError(f"more than {self.limits.max_nodes} values")
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None

    def _key(self, parent: _Open, name: str) -> None:
        if name in parent.value:
            raise DocumentError(f"duplicate key {name[:80]!r}")
        parent.key = name


def _scalar(event: Any) -> Any:
    if event.tag in (None, "!"):
        return scalar_value(event.value) if event.implicit[0] else event.value
    kind = event.tag.removeprefix(_TAG)
    if not event.tag.startswith(_TAG) or kind not in _KINDS:
        raise DocumentError(f"the tag {event.tag[:80]!r} is not supported")
    if kind == "str":
        return event.value
    value = scalar_value(event.value)
    if type(value) not in _KINDS[kind]:
        raise DocumentError(f"{event.value[:40]!r} is not a YAML {kind}")
    return value


def parse_yaml(text: str, limits: Limits) -> Any:
    """Return the one YAML document that `text` is, as JSON data.

    Raises:
        DocumentError: not YAML, several documents, too many aliases, or a tag or key that JSON
            cannot express.
    """
    builder = _Builder(limits)
    line = column = None
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if event.start_mark is not None:
                line, column = event.start_mark.line + 1, event.start_mark.column + 1
            builder.feed(event)
    except DocumentError as error:
        raise DocumentError(error.problem, line, column) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not YAML"
        if "nesting depth" in problem:  # libyaml's scanner, which reads ahead, may be there first
            problem = "nested deeper than the parser allows"
        if mark is None:
            raise DocumentError(problem) from None
        raise DocumentError(problem, mark.line + 1, mark.column + 1) from None
    except yaml.YAMLError as error:
        raise DocumentError(" ".join(str(error).split())[:200]) from None
    if builder.documents == 0:
        raise DocumentError("no document")
    return builder.root
