"""Which part of a response is the document.

The rule, in order:

1. A reasoning block is not part of the answer: it is dropped, and a response that opens one
   without closing it has no answer (`answer_part`).
2. Of the Markdown code fences that are labelled with the format (or a usual alias of it), the
   **last** is the document; if none is, the last fence without a label. A fence that never closes
   is a response cut short: it has no answer.
3. Without such a fence, JSON runs from the first line that begins with a bracket to the last line
   that ends with one, XML from the first that begins with ``<`` to the last that ends with ``>``,
   if there are such lines; YAML, TOML, CSV and all else are the whole text.

Each step picks one text; no step tries several, so a response cannot offer a choice of answers.
The ``whole`` rule, under which the published rewards were given, is step 1 alone.
"""

from __future__ import annotations

import re
from typing import Literal

from cascade.verifiers.reasoning import TAGS
from cascade.verifiers.schema.limits import DocumentError

__all__ = ["FORMAT_NAMES", "Extraction", "Format", "answer_part", "extract"]

Format = Literal["json", "yaml", "xml", "toml", "csv"]
FORMAT_NAMES: tuple[Format, ...] = ("json", "yaml", "xml", "toml", "csv")
Extraction = Literal["auto", "whole"]

_MARKS = [mark for pair in TAGS for mark in pair]
_LABELS = {
    "json": frozenset({"json", "json5", "jsonc"}),
    "yaml": frozenset({"yaml", "yml"}),
    "xml": frozenset({"xml"}),
    "toml": frozenset({"toml"}),
    "csv": frozenset({"csv"}),
}
# Possessive quantifiers: no line, however long, is read twice.
_FENCE = re.compile(r"^ {0,3}(`{3,}+|~{3,}+)[ \t]*+([^\s`]*+)[^\n`]*+$", re.MULTILINE)
_FIRST = {"json": "[{", "xml": "<"}
_LAST = {"json": "]}", "xml": ">"}
_SPANS = {
    "json": (
        re.compile(r"^[ \t]*+[\[{]", re.MULTILINE),
        re.compile(r"[\]}][ \t]*+$", re.MULTILINE),
    ),
    "xml": (re.compile(r"^[ \t]*+<", re.MULTILINE), re.compile(r">[ \t]*+$", re.MULTILINE)),
}


def answer_part(response: str) -> str | None:
    """Return the response without the reasoning that it begins with; None if that never closes.

    Only what stands at the beginning is reasoning, with its opening mark or, where the chat
    template has written that, without: a document or an argument may well contain ``<think>``.
    """
    if not any(mark in response for mark in _MARKS):
        return response
    text = response
    for opening, closing in TAGS:
        before, closed, after = text.partition(closing)
        if closed and opening not in before:
            text = after
            break
    while True:
        bare = text.lstrip()
        tags = next((pair for pair in TAGS if bare.startswith(pair[0])), None)
        if tags is None:
            return text
        _, closed, text = bare.partition(tags[1])
        if not closed:
            return None


def extract(response: str, format: Format, rule: Extraction = "auto") -> str:
    """Return the text of the document in `response`, by the rule in this module's docstring.

    Raises:
        DocumentError: there is none: an empty answer, an open reasoning block or an open fence.
    """
    answer = answer_part(response)
    if answer is None:
        raise DocumentError("the reasoning block never closes")
    text = answer.strip()
    if rule == "auto":
        fenced = _fenced(text, format)
        text = _span(text, format) if fenced is None else fenced
    if not text.strip():
        raise DocumentError("the answer is empty")
    return text


def _fenced(text: str, format: Format) -> str | None:
    if "```" not in text and "~~~" not in text:
        return None
    labelled = unlabelled = None
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            opened = match
            continue
        closes = match[1].startswith(opened[1]) and not match[2]
        if not closes:
            continue
        content = text[opened.end() + 1 : match.start()]
        label = opened[2].lower().lstrip("{.").rstrip("}")
        if label in _LABELS[format]:
            labelled = content
        elif not label:
            unlabelled = content
        opened = None
    if opened is not None:
        label = opened[2].lower()
        if not label or label in _LABELS[format]:
            raise DocumentError("the code fence never closes")
    return labelled if labelled is not None else unlabelled


def _span(text: str, format: Format) -> str:
    if format not in _SPANS or (text[:1] in _FIRST[format] and text[-1:] in _LAST[format]):
        return text
    begins, ends = _SPANS[format]
    first = begins.search(text)
    if first is None:
        return text
    end = max((match.end() for match in ends.finditer(text, first.start())), default=len(text))
    return text[first.start() : end].strip()
