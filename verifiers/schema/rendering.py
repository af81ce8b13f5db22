"""Writes JSON data in each format, so that `parse` and the schema's types give it back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import yaml

from cascade.errors import ConfigError, UnknownNameError
from cascade.verifiers.schema.extraction import FORMAT_NAMES, Format

__all__ = ["render"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ]*[A-Za-z0-9]|[A-Za-z]")
_XML_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def render(data: Any, format: Format, *, root: str = "document") -> str:
    """Return `data` as one document of `format`; `root` names the element around XML.

    Raises:
        ConfigError: the format cannot express the data (null in TOML, nesting in CSV, …).
        UnknownNameError: there is no such format.
    """
    if format not in _WRITERS:
        raise UnknownNameError.near("format", str(format), FORMAT_NAMES)
    return _xml(data, root) if format == "xml" else _WRITERS[format](data)


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


class _Dumper(yaml.SafeDumper):
    """Quotes every string that could be read as something else by YAML 1.1 or 1.2."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml_string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _RESERVED
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if plain else '"')


_Dumper.add_representer(str, _yaml_string)


def _yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**9)


def _toml(data: Any) -> str:
    if not isinstance(data, Mapping):
        raise ConfigError(f"a TOML document is a table, not {type(data).__name__}")
    return "".join(f"{_toml_key(name)} = {_toml_value(item)}\n" for name, item in data.items())


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml_value(name)


def _toml_value(value: Any) -> str:
    if value is None:
        raise ConfigError("TOML has no null")
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_toml_key(key)} = {_toml_value(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value)


def _xml(data: Any, name: str) -> str:
    if not _XML_NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name an XML element")
    if isinstance(data, Mapping):
        inner = "".join(_xml(item, key) for key, item in data.items())
    elif isinstance(data, list):
        inner = "".join(_xml(item, "item") for item in data)
    else:
        inner = escape(_xml_text(data), quote=False)
    return f"<{name}>{inner}</{name}>"


def _xml_text(value: Any) -> str:
    if isinstance(value, str) and (value != value.strip() or not value.isprintable()):
        raise ConfigError(f"{value[:40]!r} would not survive as the text of an XML element")
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _csv(data: Any) -> str:
    if not isinstance(data, list) or not data:
        raise ConfigError("a CSV document is an array of at least one object")
    out = io.StringIO()
    writer = csv.DictWriter(out, list(data[0]), lineterminator="\n")
    writer.writeheader()
    for row in data:
        writer.writerow({key: _csv_cell(item) for key, item in row.items()})
    return out.getvalue()


def _csv_cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


_WRITERS: dict[str, Callable[[Any], str]] = {
    "json": _json,
    "yaml": _yaml,
    "xml": lambda data: _xml(data, "document"),
    "toml": _toml,
    "csv": _csv,
}
