"""NAME=VALUE options of command lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cascade.errors import ConfigError

__all__ = ["named_values"]


def named_values(texts: Sequence[str], option: str) -> dict[str, Any]:
    """Read NAME=VALUE texts; a value is JSON, or text as it stands.

    Raises:
        ConfigError: a text without a name, told with the name of the `option`.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError(f"{option} needs NAME=VALUE, got {text!r}")
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values
