"""Gymnasium spaces for text: any Unicode string, and any conversation.

`gymnasium.spaces.Text` needs a maximal length and a fixed set of characters, which a language
model keeps to neither.
"""

from __future__ import annotations

from typing import Any

from gymnasium import Space

from cascade.types import Message

__all__ = ["ConversationSpace", "TextSpace"]

_WORDS = ("yes", "no", "7", "the answer is 4", "\\boxed{42}", "√2", "")


class TextSpace(Space[str]):
    """Every `str`."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a short random text (masks are not supported)."""
        return _WORDS[int(self.np_random.integers(len(_WORDS)))]

    def contains(self, x: Any) -> bool:
        """Whether `x` is a string."""
        return isinstance(x, str)

    @property
    def is_np_flattenable(self) -> bool:
        """Text has no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextSpace)

    def __hash__(self) -> int:
        return hash(TextSpace)

    def __repr__(self) -> str:
        return "TextSpace()"


class ConversationSpace(Space[tuple[Message, ...]]):
    """Every tuple of chat messages that have a `role` and a text `content`."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> tuple[Message, ...]:
        """Return a conversation of one user message (masks are not supported)."""
        return ({"role": "user", "content": _WORDS[int(self.np_random.integers(len(_WORDS)))]},)

    def contains(self, x: Any) -> bool:
        """Whether `x` is a tuple of messages."""
        return isinstance(x, tuple) and all(
            isinstance(message, dict)
            and isinstance(message.get("role"), str)
            and isinstance(message.get("content"), str)
            for message in x
        )

    @property
    def is_np_flattenable(self) -> bool:
        """Conversations have no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConversationSpace)

    def __hash__(self) -> int:
        return hash(ConversationSpace)

    def __repr__(self) -> str:
        return "ConversationSpace()"
