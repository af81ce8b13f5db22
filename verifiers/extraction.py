r"""Finds the final answer in a response: boxes, then "the answer is …", then the last expression.

Works on the text after the reasoning block. Every scan is linear and bounded, whatever the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cascade.verifiers.policy import Policy
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["Found", "boxes", "find_answer"]

MAX_BOXES = 32
MAX_BOX_CHARACTERS = 20_000
_TAIL = 20_000
"""Characters at the end of a response in which unboxed answers are looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer as it was written, or why there is none."""

    answer: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Box:
    start: int
    end: int
    inside: str


def find_answer(response: str, policy: Policy) -> Found:
    """Return the final answer of `response` under `policy`."""
    text: str | None = response
    if policy.reasoning == "strip":
        text = strip_reasoning(response)
    if text is None:
        return Found(None, "the reasoning block never closed")
    if not text.strip():
        return Found(None, "nothing was said after the reasoning" if response.strip() else "empty")
    if policy.extraction == "whole":
        return Found(text.strip(), "the whole text")
    if found := boxes(text):
        return _chosen(text, found, policy)
    if policy.extraction == "boxed":
        return Found(None, "no box")
    if (marked := _marked(text[-_TAIL:])) is not None:
        return Found(marked, "after 'answer'")
    if policy.extraction == "marked":
        return Found(None, "no box, and no 'the answer is'")
    if (last := _last_expression(text[-_TAIL:])) is not None:
        return Found(last, "the last expression")
    return Found(None, "no box, no 'the answer is', no number")


_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def boxes(text: str) -> list[_Box]:
    r"""Return the last boxes of `text` in order; `\boxed 5` counts, an unclosed one does not."""
    starts = [match.span() for match in _BOX.finditer(text)][-MAX_BOXES:] if "\\" in text else []
    found: list[_Box] = []
    for start, after in starts:
        if found and start < found[-1].end:
            continue  # a box in a box
        if text[after : after + 1] == "{":
            end = _closing_brace(text, after)
            if end is not None:
                found.append(_Box(start, end, text[after + 1 : end - 1].strip()))
        elif bare := re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?|[A-Za-z](?![A-Za-z])").match(
            text, after
        ):
            found.append(_Box(start, bare.end(), bare[0]))
    return [box for box in found if box.inside] or found[-1:]


def _closing_brace(text: str, opening: int) -> int | None:
    depth = 0
    for match in _BRACE.finditer(text, opening, opening + MAX_BOX_CHARACTERS):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return match.end()
    return None


_BETWEEN = re.compile(
    r"[\s$.,;:&()\[\]*\\]*(?:(?:\\text\s*\{\s*)?(?:and|or)\s*\}?)?[\s$.,;:&()\[\]*\\]*"
    r"(?:[A-Za-z](?:_\{?[A-Za-z0-9]\}?)?\s*=)?[\s$]*"
)


_TURN = re.compile(
    r"[.!?]\s|\b(?:wait|no|not|actually|so|thus|hence|therefore|but|final(?:ly)?|correct(?:ed)?)\b",
    re.IGNORECASE,
)
"""A new sentence or a correction: the box after it replaces the one before."""


def _chosen(text: str, found: list[_Box], policy: Policy) -> Found:
    if policy.boxes == "first":
        return _non_empty(found[0].inside, "the first box")
    if policy.boxes == "agree":
        if len({"".join(box.inside.split()) for box in found}) > 1:
            return Found(" or ".join(box.inside for box in found), "boxes that do not agree")
        return _non_empty(found[-1].inside, "the box")
    group = [found[-1]]
    for box in reversed(found[:-1]):
        between = text[box.end : group[0].start]
        side_by_side = len(between) < 60 and _BETWEEN.fullmatch(between)
        if not side_by_side and ("\n" in between or _TURN.search(between)):
            break
        group.insert(0, box)
    different = list(dict.fromkeys("".join(box.inside.split()) for box in group))
    if len(different) > 1:
        return Found(" , ".join(dict.fromkeys(box.inside for box in group)), "boxes side by side")
    return _non_empty(found[-1].inside, "the last box")


def _non_empty(inside: str, reason: str) -> Found:
    return Found(inside, reason) if inside.strip("\\ ,;~$") else Found(None, "the box is empty")


_MARK = re.compile(
    r"(?:final\s+answer|answer|result)\W{0,4}\s*(?:is|:|=|equals)\s*:?\s*|^\s*#{2,}\s*(?=[^\s#A-Za-z])",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"\.(?=\s+[A-Z]|\s*$)|\n|(?<=\S)\s{2,}|\.\*\*")
_MATH = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL
)


def _marked(tail: str) -> str | None:
    """What follows the last "the answer is", up to the end of its sentence."""
    marks = list(_MARK.finditer(tail))
    for mark in reversed(marks[-8:]):
        rest = tail[mark.end() :].lstrip(" \t*_:\n")[:2000]
        if display := re.match(r"\s*(?:\$\$.+?\$\$|\\\[.+?\\\])", rest, re.DOTALL):
            return _stripped(display[0])
        end = _SENTENCE_END.search(rest)
        sentence = _stripped(rest[: end.start()] if end else rest)
        if sentence:
            return _math_of(sentence)
    return None


def _math_of(sentence: str) -> str:
    """Drop the words around a formula: `$5$ by the above` is `$5$`."""
    stated = re.split(r"\b(?:is|are|equals)\b(?![^$]*[$](?![^$]*[$]))", sentence)[-1].strip(" :")
    sentence = stated or sentence
    formulas = list(_MATH.finditer(sentence))
    if not formulas:
        return sentence
    if len(formulas) == 1:
        after = sentence[formulas[0].end() :]
        unit = re.match(r"\s*(?:\\?%|[A-Za-z]+(?:\^?[23²³])?)\s*\Z", after)
        return _stripped(formulas[0][0]) + (after if unit else "")
    return " , ".join(_stripped(formula[0]) for formula in formulas)


def _stripped(text: str) -> str:
    return text.strip().strip("*_`").rstrip(".,;:").strip()


_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])-?(?:\\?\$\s?|[€£])?-?"
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?(?:\s?/\s?[0-9]+)?|\.[0-9]+)"
    r"(?:\s?\\?%)?"
)
_BARE = re.compile(r"[^\n]{1,200}")


def _last_expression(tail: str) -> str | None:
    """A response that is nothing but an answer; else its last formula or number."""
    bare = tail.strip()
    if _BARE.fullmatch(bare) and _is_bare_answer(bare):
        return _math_of(bare) if re.match("[A-Za-z]", bare) else bare
    last_line = bare.rsplit("\n", 1)[-1][-2000:]
    formulas = list(_MATH.finditer(last_line))
    numbers = list(_NUMBER.finditer(last_line)) or list(_NUMBER.finditer(tail))
    if formulas and (
        not numbers or formulas[-1].end() >= numbers[-1].end() or last_line not in tail
    ):
        formula = _stripped(formulas[-1][0])
        sides = re.split(r"(?<![<>!\\])=", formula.strip("$ "))
        return sides[-1].strip() if len(sides) > 1 else formula
    return numbers[-1][0].strip() if numbers else None


def _is_bare_answer(text: str) -> bool:
    """Whether a single line is an answer by itself, not a sentence."""
    words = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", " ", text))
    if re.search(r"[.!?]\s+[A-Z]", text):
        return False
    is_sentence = words and (text.endswith(".") or "=" in text) and re.search(r"[0-9$]", text)
    return len(words) <= 3 and not is_sentence
