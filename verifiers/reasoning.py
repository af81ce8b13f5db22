"""Takes the reasoning block away, so that only what the model says to the user is judged."""

from __future__ import annotations

__all__ = ["TAGS", "strip_reasoning"]

TAGS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
"""Opening and closing marks of the reasoning blocks in use (the last two: Magistral, Kimi)."""


def strip_reasoning(text: str, tags: tuple[tuple[str, str], ...] = TAGS) -> str | None:
    """Return what follows the last reasoning block; None if a block never closed.

    A chat template may have opened the block in the prompt, so a closing mark alone counts. Text
    without any mark is returned as it is.
    """
    for opening, closing in tags:
        end = text.rfind(closing)
        if text.rfind(opening) > end:
            return None
        if end >= 0:
            text = text[end + len(closing) :]
    return text
