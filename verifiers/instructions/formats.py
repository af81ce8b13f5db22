"""Rules about markup and layout.

Behaviour after google-research `instruction_following_eval` (as in mlfoundations/evalchemy
6ed6741), allenai/IFBench db69a6f and open-instruct `IFEvalG` e6c3044, all Apache-2.0.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from random import Random

from cascade.verifiers.instructions import prose
from cascade.verifiers.instructions.emoji import is_emoji
from cascade.verifiers.instructions.rule import Rule, phrase, whole
from cascade.verifiers.instructions.text import (
    PUNCTUATION,
    lines_of,
    plain_words,
    sentences,
    tokens,
)

__all__ = ["RULES", "unfenced"]

_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _bracketed(text: str) -> int:
    """Count pairs of square brackets, each closed on its own line."""
    pairs = 0
    for line in text.split("\n"):
        place = line.find("[")
        while place >= 0:
            place = line.find("]", place + 1)
            if place >= 0:
                pairs += 1
                place = line.find("[", place + 1)
    return pairs


def _placeholders(text: str, *, num_placeholders: int) -> bool:
    return _bracketed(text) >= num_placeholders


_POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}


def _postscript(text: str, *, postscript_marker: str) -> bool:
    pattern = _POSTSCRIPTS.get(postscript_marker) or re.escape(postscript_marker.lower())
    return re.search(pattern, text.lower()) is not None


def _is_bullet(line: str) -> bool:
    line = line.lstrip()
    return line.startswith("-") or (line.startswith("*") and len(line) > 1 and line[1] != "*")


def _bullets(text: str, *, num_bullets: int) -> bool:
    return sum(map(_is_bullet, text.split("\n"))) == num_bullets


def _one_of_three(text: str) -> bool:
    return any(answer in text for answer in _ANSWERS)


_HIGHLIGHT = re.compile(r"\*[^\n*]*+\*")
_DOUBLE_HIGHLIGHT = re.compile(r"\*\*[^\n*]*+\*\*")


def _highlights(text: str, *, num_highlights: int) -> bool:
    found = _HIGHLIGHT.findall(text) + _DOUBLE_HIGHLIGHT.findall(text)
    return sum(1 for part in found if part.strip("*").strip()) >= num_highlights


def _sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    headings = re.finditer(rf"{re.escape(section_spliter)}\s?\d+", text)
    return sum(1 for _ in headings) >= num_sections


def unfenced(text: str) -> str:
    """Take a Markdown code fence, and a "json" label, off a text that is wrapped in one."""
    text = text.strip()
    for label in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(label)
    return text.removesuffix("```").strip()


def _json(text: str) -> bool:
    try:
        json.loads(unfenced(text))
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str) -> bool:
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end and line[start:end].strip("<> \t"):
            return True
    return False


def _square_brackets(text: str) -> bool:
    return all(
        len(word) > 2 and word.startswith("[") and word.endswith("]") for word in text.split()
    )


def _bigrams(text: str) -> bool:
    words = text.split()
    pairs = list(zip(words[::2], words[1::2], strict=False))
    return bool(pairs) and all(a.startswith("<<") and b.endswith(">>") for a, b in pairs)


def _hyphenated_sentences(text: str) -> bool:
    parts = re.split(r"(?<=[.!?])-", text.strip())
    return len(parts) > 1 and all(
        part == part.strip() and len(sentences(part)) == 1 for part in parts
    )


_PARTNERS = {")": "(", "]": "[", "}": "{"}


def _nested(text: str) -> bool:
    open_marks: list[str] = []
    deepest = 0
    for char in text:
        if char in "([{":
            open_marks.append(char)
            deepest = max(deepest, len(open_marks))
        elif char in _PARTNERS:
            if not open_marks or open_marks.pop() != _PARTNERS[char]:
                open_marks.clear()
                deepest = 0
            elif deepest >= 5:
                return True
    return False


def _nested_quotes(text: str) -> bool:
    open_marks: list[str] = []
    deepest = 0
    for char in text:
        if char not in "\"'":
            continue
        if open_marks and open_marks[-1] == char:
            open_marks.pop()
            if deepest - len(open_marks) >= 3:
                return True
        else:
            open_marks.append(char)
            deepest = max(deepest, len(open_marks))
    return False


_LETTERED = re.compile(r"\W*a\W*b\W*c\W*", re.IGNORECASE)


def _options(text: str, *, options: str) -> bool:
    separator = "/" if "/" in options else r"\bor\b" if re.search(r"\bor\b", options) else ","
    allowed = [option.strip() for option in re.split(separator, options)]
    if _LETTERED.match(options):
        return text in allowed
    bare = text.strip(PUNCTUATION + " ").lower()
    return any(option.strip(PUNCTUATION + " ").lower() == bare for option in allowed)


def _one_word_a_line(text: str) -> bool:
    lines = text.translate(_NO_PUNCTUATION).strip().split("\n")
    return sum(1 for line in lines if line) == len(plain_words(text))


_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)


def _emoji(text: str) -> bool:
    bare = [one.translate(_NO_PUNCTUATION).strip() for one in sentences(text)]
    for place, sentence in enumerate(bare):
        if not sentence:
            return False
        if any(map(is_emoji, sentence[-2:])):
            continue
        following = bare[place + 1] if place + 1 < len(bare) else ""
        if not following or not is_emoji(following[0]):
            return False
    return True


def _stairs(text: str) -> bool:
    indents = [len(line) - len(line.lstrip(" ")) for line in lines_of(text)]
    return all(a < b for a, b in pairwise(indents))


_DIGITS_AND_MARKS = "0123456789" + PUNCTUATION.replace('"', "")


def _explained_quotes(text: str) -> bool:
    packed = "".join(text.replace("'\"'", "").split())
    return '""' not in packed and not packed.strip(_DIGITS_AND_MARKS).endswith('"')


def _custom_bullets(text: str, *, sep: str) -> bool:
    return text.count(sep) >= 2


def _italic_thesis(text: str) -> bool:
    opening = re.search(r"<i>|<em>", text)
    closing = re.search(r"</i>|</em>", text[opening.start() :]) if opening else None
    if opening is None or closing is None:
        return False
    start = opening.start()
    thesis = text[start + 3 : start + closing.start()]
    return bool(thesis.strip(" \n\t>")) and bool(text[start + closing.end() :].strip())


def _sub_bullets(text: str) -> bool:
    return all("-" in part for part in text.split("*")[1:])


def _prose_then_bullets(text: str) -> bool:
    before, bullets = 0, 0
    for line in text.split("\n"):
        if line.strip().startswith("*"):
            if before < 2:
                return False
            bullets += 1
        elif bullets:
            return False
        else:
            before += len(sentences(line))
    return bullets >= 2


def _title_case(text: str) -> bool:
    words = [token for token in tokens(text) if token[0].isalpha()]
    return not any(
        word[0].islower() and (len(word) == 1 or word[1:].islower() or word[1:].isupper())
        for word in words
    )


def _template(text: str) -> bool:
    return all(label in text for label in ("My Answer:", "My Conclusion:", "Future Outlook:"))


def _no_space(text: str) -> bool:
    return not any(map(str.isspace, text))


def _bullet_list(rng: Random, count: int, mark: str) -> str:
    return "\n".join(f"{mark} {prose.words(rng, 2)}" for _ in range(count))


def _headed(rng: Random, section_spliter: str, num_sections: int) -> str:
    return "\n".join(
        f"{section_spliter} {place}\n{prose.words(rng, 3, section_spliter)}"
        for place in range(1, num_sections + 1)
    )


def _wrapped(rng: Random, left: str, right: str, count: int) -> str:
    return " ".join(f"{left}{word}{right}" for word in prose.words(rng, count).split())


RULES = (
    Rule(
        "detectable_content:number_placeholders",
        _placeholders,
        "Put at least {num_placeholders} placeholders in square brackets, such as [name].",
        lambda rng, num_placeholders: _wrapped(rng, "[", "]", num_placeholders),
        lambda rng, num_placeholders: _wrapped(rng, "[", "]", num_placeholders - 1) + " apple",
        (whole("num_placeholders", 1, 4),),
    ),
    Rule(
        "detectable_content:postscript",
        _postscript,
        "End with a postscript that begins with {postscript_marker}",
        lambda rng, postscript_marker: (
            f"{prose.sentence(rng, 4)}\n\n{postscript_marker} {prose.words(rng, 3)}"
        ),
        lambda rng, postscript_marker: prose.sentence(rng, 4),
        (replace(phrase("postscript_marker"), draw=lambda rng: rng.choice(list(_POSTSCRIPTS))),),
    ),
    Rule(
        "detectable_format:number_bullet_lists",
        _bullets,
        "Write exactly {num_bullets} bullet points in Markdown, such as: * a point",
        lambda rng, num_bullets: _bullet_list(rng, num_bullets, rng.choice("*-")),
        lambda rng, num_bullets: _bullet_list(rng, num_bullets + 1, "*"),
        (whole("num_bullets", 1, 4),),
    ),
    Rule(
        "detectable_format:constrained_response",
        _one_of_three,
        f"Answer with one of these: {' '.join(_ANSWERS)}",
        lambda rng: rng.choice(_ANSWERS),
        lambda rng: prose.sentence(rng, 3),
    ),
    Rule(
        "detectable_format:number_highlighted_sections",
        _highlights,
        "Highlight at least {num_highlights} parts in Markdown, such as *this part*.",
        lambda rng, num_highlights: _wrapped(rng, "*", "*", num_highlights),
        lambda rng, num_highlights: _wrapped(rng, "**", "**", num_highlights - 1) + " apple",
        (whole("num_highlights", 1, 4),),
    ),
    Rule(
        "detectable_format:multiple_sections",
        _sections,
        "Write {num_sections} sections, each headed {section_spliter} and its number.",
        _headed,
        lambda rng, section_spliter, num_sections: (
            f"{_headed(rng, section_spliter, num_sections - 1)} apple"
        ),
        (phrase("section_spliter"), whole("num_sections", 1, 3)),
    ),
    Rule(
        "detectable_format:json_format",
        _json,
        "Write the whole response as JSON; it may stand in a Markdown code fence.",
        lambda rng: f'```json\n{{"{prose.keyword(rng)}": [1, null]}}\n```',
        lambda rng: f'Here it is: {{"{prose.keyword(rng)}": 1}}',
    ),
    Rule(
        "detectable_format:title",
        _title,
        "Give your response a title in double angular brackets, such as <<a title>>.",
        lambda rng: f"<<{prose.words(rng, 2)}>>\n{prose.sentence(rng, 3)}",
        lambda rng: f"<{prose.words(rng, 2)}>\n{prose.sentence(rng, 3)}",
    ),
    Rule(
        "detectable_format:square_brackets",
        _square_brackets,
        "Put every word of your response in square brackets.",
        lambda rng: _wrapped(rng, "[", "]", 4),
        lambda rng: f"[{prose.words(rng, 3)}]",
    ),
    Rule(
        "detectable_format:bigram_wrapping",
        _bigrams,
        "Wrap every two words in double angular brackets, such as <<two words>> <<two more>>.",
        lambda rng: f"<<{prose.words(rng, 2)}>> <<{prose.words(rng, 2)}>>",
        lambda rng: f"<<{prose.words(rng, 2)}>> {prose.words(rng, 2)}",
    ),
    Rule(
        "detectable_format:sentence_hyphens",
        _hyphenated_sentences,
        "Join all sentences with hyphens, without white space between them.",
        lambda rng: "-".join(prose.sentence(rng, 3) for _ in range(3)),
        lambda rng: f"{prose.sentence(rng, 3)}-{prose.story(rng, 2, 3)}",
    ),
    Rule(
        "format:parentheses",
        _nested,
        "Nest brackets of the kinds ( [ {{ at least 5 levels deep.",
        lambda rng: f"({prose.keyword(rng)} [a {{b (c [d])}}])",
        lambda rng: f"({prose.keyword(rng)} [a {{b (c d)}}])",
    ),
    Rule(
        "format:quotes",
        _nested_quotes,
        "Nest quotations at least 3 levels deep, double and single quotation marks in turn.",
        lambda rng: f'"one \'two "{prose.keyword(rng)}" two\' one"',
        lambda rng: f"\"one '{prose.keyword(rng)}' one\"",
    ),
    Rule(
        "format:options",
        _options,
        "Answer with one of these options and nothing else: {options}",
        lambda rng, options: rng.choice(options.split("/")),
        lambda rng, options: f"{rng.choice(options.split('/'))} because",
        (phrase("options"),),
        joint=lambda rng: {"options": "/".join(prose.keywords(rng, 3))},
    ),
    Rule(
        "format:newline",
        _one_word_a_line,
        "Write each word on a line of its own.",
        lambda rng: prose.words(rng, 4).replace(" ", "\n"),
        lambda rng: prose.words(rng, 4).replace(" ", "\n", 2),
        blind=True,
    ),
    Rule(
        "format:emoji",
        _emoji,
        "End every sentence with an emoji.",
        lambda rng: " ".join(prose.sentence(rng, 3, mark=" 😀.") for _ in range(2)),
        lambda rng: f"{prose.sentence(rng, 3, mark=' 😀.')} {prose.sentence(rng, 3)}",
    ),
    Rule(
        "format:line_indent",
        _stairs,
        "Indent every line further than the one before it.",
        lambda rng: "\n".join(" " * n + prose.keyword(rng) for n in range(3)),
        lambda rng: "\n".join(" " * (n % 2) + prose.keyword(rng) for n in range(3)),
    ),
    Rule(
        "format:quote_unquote",
        _explained_quotes,
        "Follow every quoted phrase with an explanation outside quotation marks.",
        lambda rng: f'"{prose.words(rng, 2)}" {prose.sentence(rng, 4)}',
        lambda rng: f'{prose.words(rng, 2)} "{prose.words(rng, 2)}"',
    ),
    Rule(
        "format:list",
        _custom_bullets,
        "Answer with a list of items, each marked with {sep} instead of a bullet.",
        lambda rng, sep: _bullet_list(rng, 3, sep),
        lambda rng, sep: _bullet_list(rng, 1, sep),
        (phrase("sep"),),
        joint=lambda rng: {"sep": rng.choice(("...", "!?!?", "=>", "ITEM"))},
    ),
    Rule(
        "format:thesis",
        _italic_thesis,
        "Open every section with its thesis in italics, marked up in HTML.",
        lambda rng: f"<i>{prose.sentence(rng, 3)}</i> {prose.sentence(rng, 4)}",
        lambda rng: f"*{prose.sentence(rng, 3)}* {prose.sentence(rng, 4)}",
    ),
    Rule(
        "format:sub-bullets",
        _sub_bullets,
        "Write bullet points marked *, each with at least one sub-bullet marked - below it.",
        lambda rng: f"* {prose.keyword(rng)}\n  - apple\n* {prose.keyword(rng)}\n  - walnut",
        lambda rng: f"* {prose.keyword(rng)}\n  - apple\n* {prose.keyword(rng)}",
    ),
    Rule(
        "format:no_bullets_bullets",
        _prose_then_bullets,
        "Write at least two sentences that end in a period, then at least two bullets marked *.",
        lambda rng: f"{prose.story(rng, 2)}\n{_bullet_list(rng, 2, '*')}",
        lambda rng: f"{prose.story(rng, 1)}\n{_bullet_list(rng, 2, '*')}",
    ),
    Rule(
        "format:title_case",
        _title_case,
        "Write the whole response in title case.",
        lambda rng: prose.words(rng, 4).title(),
        lambda rng: prose.sentence(rng, 4),
        blind=True,
    ),
    Rule(
        "format:output_template",
        _template,
        "Use this template: My Answer: [answer] My Conclusion: [conclusion] "
        "Future Outlook: [outlook]",
        lambda rng: (
            f"My Answer: {prose.keyword(rng)} My Conclusion: {prose.keyword(rng)} "
            f"Future Outlook: {prose.keyword(rng)}"
        ),
        lambda rng: f"My Answer: {prose.keyword(rng)} My Conclusion: {prose.keyword(rng)}",
    ),
    Rule(
        "format:no_whitespace",
        _no_space,
        "Use no white space.",
        lambda rng: prose.words(rng, 3).replace(" ", "-"),
        lambda rng: prose.words(rng, 3),
        blind=True,
    ),
)
