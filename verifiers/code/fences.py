"""Finds the program in a model's answer.

The rule: what follows the reasoning block counts. Of its fenced code blocks, the last one that is
tagged with an accepted language is the program; if none is tagged so, the last one without a tag.
Blocks in other languages never count. A last block that never closes was cut off: there is no
program, even if earlier blocks are complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["Found", "extract_program", "find_program"]

_ALIASES: Mapping[str, str] = {
    "py": "python", "python3": "python", "py3": "python", "python2": "python2",
    "c++": "cpp", "cpp": "cpp", "cc": "cpp", "cxx": "cpp", "c++11": "cpp", "c++14": "cpp",
    "c++17": "cpp", "c++20": "cpp", "cpp11": "cpp", "cpp14": "cpp", "cpp17": "cpp", "cpp20": "cpp",
    "js": "javascript", "node": "javascript", "rs": "rust", "golang": "go",
}  # fmt: skip
_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^\n`]*)$")


@dataclass(frozen=True, slots=True)
class Found:
    """A program and the accepted language that its block stands for."""

    language: str
    source: str


@dataclass(frozen=True, slots=True)
class _Block:
    tag: str
    body: str
    closed: bool


def extract_program(response: str, language: str = "python") -> str | None:
    """Return the program in `language` that `response` ends with; None if there is none."""
    found = find_program(response, (language,))
    return None if found is None else found.source


def find_program(response: str, languages: Sequence[str]) -> Found | None:
    """Return the program in one of `languages`; an untagged block is taken for the first of them.

    Tags are compared without regard to case and version: ``py`` and ``Python3`` are python,
    ``c++20`` is any C++ of `languages` (the same standard if it is among them, else the first).
    """
    text = strip_reasoning(response)
    if text is None:
        return None
    blocks = [block for block in _blocks(text) if block.body.strip()]
    if not blocks or not blocks[-1].closed:
        return None
    for block in reversed(blocks):
        if block.tag and (language := _language_of(block.tag, languages)):
            return Found(language, block.body)
    for block in reversed(blocks):
        if not block.tag:
            return Found(languages[0], block.body)
    return None


def family(language: str) -> str:
    """Return the language without its version: "cpp" for "cpp17" and "c++20"."""
    return _ALIASES.get(language.lower(), language.lower())


def _language_of(tag: str, languages: Sequence[str]) -> str | None:
    exact = tag.replace("c++", "cpp")
    if exact in languages:
        return exact
    return next((name for name in languages if family(name) == family(tag)), None)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks in order; a fence closes with at least as many marks as it opened."""
    fence, tag, indent, lines = "", "", 0, list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, tag, indent, lines = match[2], _tag_of(match[3]), len(match[1]), []
        elif match and match[2].startswith(fence) and not match[3].strip():
            yield _Block(tag, _joined(lines), True)
            fence = ""
        else:
            lines.append(_without_margin(line, indent))
    if fence:
        yield _Block(tag, _joined(lines), False)


def _tag_of(info: str) -> str:
    words = info.strip().strip("{}").lstrip(".").lower().replace(",", " ").split()
    return words[0] if words else ""


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _without_margin(line: str, width: int) -> str:
    """Take away the indentation of the list item that the block stands in, and no more."""
    margin = len(line) - len(line.lstrip(" \t"))
    return line[min(width, margin) :]
