"""What every parser returns: calls, the text around them, and what failed to be a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["FORMATS", "Call", "CallFormat", "Malformed", "ParsedCalls"]

CallFormat = Literal[
    "nemotron", "qwen3_coder", "hermes", "openai", "python", "llama", "mistral", "java",
    "javascript", "auto",
]  # fmt: skip
FORMATS: tuple[CallFormat, ...] = (
    "nemotron", "qwen3_coder", "hermes", "openai", "python", "llama", "mistral", "java",
    "javascript", "auto",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    name: str
    arguments: Mapping[str, Any]
    """Argument name -> JSON data."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A piece of a response that starts as a call and is none."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedCalls:
    """What a response holds."""

    calls: tuple[Call, ...] = ()
    """In order."""
    text: str = ""
    """Everything outside the calls, without the reasoning block, stripped."""
    malformed: tuple[Malformed, ...] = ()
    """Not empty: the response tried to call a tool and failed, whatever else it holds."""
    format: CallFormat = "auto"
    """The format that the response was read in."""
