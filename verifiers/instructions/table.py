"""All rules by id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cascade.verifiers.instructions import (
    copies,
    custom,
    formats,
    keywords,
    lengths,
    mentions,
    surfaces,
    wordplay,
)
from cascade.verifiers.instructions.rule import Rule

__all__ = ["RULES"]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.id: rule
        for family in (keywords, lengths, mentions, formats, surfaces, copies, wordplay, custom)
        for rule in family.RULES
    }
)
"""The rules by their published ids."""
