"""Checks that hold a response to the instruction's own words where the published ones let it off.

The published checkers pass some responses that do not do what was asked: a text without a single
question keeps "two statements to one question" (0 = 2 × 0), a list without sub-bullets passes once
loose judging has deleted its asterisks. Benchmark numbers rest on them, so `RULES` keeps them; a
model that is trained against them finds them out. `SOUND_RULES` is the same table with these rules
replaced. A few of them also accept what the published check wrongly fails, and say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType

from cascade.verifiers.instructions import custom, lengths, verbs
from cascade.verifiers.instructions.formats import unfenced
from cascade.verifiers.instructions.rule import Rule
from cascade.verifiers.instructions.table import RULES
from cascade.verifiers.instructions.text import (
    PUNCTUATION,
    lines_of,
    plain_words,
    sentences,
    spoken_words,
    without_accents,
)

__all__ = ["SOUND_RULES"]

Check = Callable[..., bool]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _json_document(text: str) -> bool:
    """An object or an array, as a response "wrapped in JSON" is; a bare number is neither."""
    try:
        value = json.loads(unfenced(text), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list)


_BRACKETS = re.compile(r"\[([^\[\]\n]++)\]")


def _named_placeholders(text: str, *, num_placeholders: int) -> bool:
    """Empty brackets hold no place for anything."""
    inside = (match[1] for match in _BRACKETS.finditer(text))
    return sum(any(map(str.isalnum, part)) for part in inside) >= num_placeholders


_CLOSERS = "\"'”’)]}*_`"


def _two_to_one(text: str) -> bool:
    """A quotation mark after the period changes nothing; without a question nothing is kept."""
    declarative, interrogative, _ = lengths.endings(text, _CLOSERS)
    return declarative == 2 * interrogative > 0


def _balanced(text: str) -> bool:
    declarative, interrogative, exclamatory = lengths.endings(text, _CLOSERS)
    return declarative == interrogative == exclamatory > 0


def _different_words(text: str) -> bool:
    words = [word.lower() for word in spoken_words(text)]
    return bool(words) and len(words) == len(set(words))


def _several_sentences(text: str, **_: object) -> bool:
    return len(sentences(text)) > 1


def _several_lines(text: str) -> bool:
    return len(lines_of(text)) > 1


def _several_words(text: str) -> bool:
    return len(plain_words(text)) > 1


def _quotes_something(text: str) -> bool:
    quoted = re.split(r'["“”]', text)[1:-1:2]
    return any(any(map(str.isalnum, part)) for part in quoted)


def _sub_bullets(text: str) -> bool:
    """Bullets are lines, so bold text is none. The published check also fails bold text."""
    waiting = False
    bullets = 0
    for line in text.split("\n"):
        mark = line.lstrip()[:2]
        if mark == "* ":
            if waiting:
                return False
            waiting = True
            bullets += 1
        elif mark == "- ":
            waiting = False
    return bullets > 0 and not waiting


def _marked_lines(text: str, *, sep: str) -> bool:
    return sum(line.lstrip().startswith(sep) for line in text.split("\n")) >= 2


_LABELS = re.compile(r"My Answer:|My Conclusion:|Future Outlook:")


def _filled_template(text: str) -> bool:
    """The labels in order, each with something after it."""
    parts = _LABELS.split(text)
    return _LABELS.findall(text) == ["My Answer:", "My Conclusion:", "Future Outlook:"] and all(
        part.strip(PUNCTUATION + " \n") for part in parts[1:]
    )


def _enough_words(text: str, *, N: int) -> bool:
    return len(text.split()) >= N


def _paragraphs_of_words(text: str) -> bool:
    return all(len(line.split()) > 1 for line in lines_of(text))


def _real_dates(text: str) -> bool:
    try:
        for part in text.split(","):
            date.fromisoformat(part.strip())
    except ValueError:
        return False
    return True


def _names_countries(text: str) -> bool:
    bare = {without_accents(line.strip(PUNCTUATION + " ")) for line in text.split("\n")}
    return len(bare & set(custom.AFRICA)) >= 45


def _distinct_palindromes(text: str) -> bool:
    words = {
        word
        for word in plain_words(text.lower())
        if len(word) >= 5 and word.isalpha() and word == word[::-1] and len(set(word)) > 1
    }
    return len(words) >= 10


_MINOR = lengths.STOP_WORDS | {"per", "via", "upon", "onto", "toward", "towards"}


def _title_case(text: str) -> bool:
    """Minor words inside may be lower-case. The published check fails them."""
    words = [word for word in spoken_words(text) if word[0].isalpha()]
    return bool(words) and all(
        word[0].isupper() or not word[0].islower() or (place > 0 and word in _MINOR)
        for place, word in enumerate(words)
    )


def _any_verb(text: str) -> bool:
    """Rare verbs count, and a capitalised word after it does not make the verb a name."""
    words = spoken_words(text[:200])
    return bool(words) and verbs.is_verb(words[0], rare=True)


# Each published check, and what must hold besides.
_ALSO: dict[str, Check] = {
    "ratio:sentence_words": _different_words,
    "sentence:increment": _several_sentences,
    "sentence:alliteration_increment": _several_sentences,
    "words:last_first": _several_sentences,
    "words:odd_even_syllables": _several_words,
    "words:alphabet": _several_words,
    "words:paragraph_last_first": _paragraphs_of_words,
    "format:line_indent": _several_lines,
    "format:quote_unquote": _quotes_something,
    "count:words_japanese": _enough_words,
    "custom:date_format_list": _real_dates,
    "custom:reverse_newline": _names_countries,
}
_INSTEAD: dict[str, Check] = {
    "ratio:sentence_type": _two_to_one,
    "ratio:sentence_balance": _balanced,
    "detectable_format:json_format": _json_document,
    "detectable_content:number_placeholders": _named_placeholders,
    "format:sub-bullets": _sub_bullets,
    "format:list": _marked_lines,
    "format:output_template": _filled_template,
    "format:title_case": _title_case,
    "words:palindrome": _distinct_palindromes,
    "words:start_verb": _any_verb,
}


def _both(first: Check, second: Check) -> Check:
    return lambda text, **arguments: first(text, **arguments) and second(text, **arguments)


def _sound(rule: Rule) -> Rule:
    if rule.id in _INSTEAD:
        return replace(rule, check=_INSTEAD[rule.id])
    if rule.id in _ALSO:
        return replace(rule, check=_both(rule.check, _ALSO[rule.id]))
    return rule


SOUND_RULES: Mapping[str, Rule] = MappingProxyType(
    {id_: _sound(rule) for id_, rule in RULES.items()}
)
"""`RULES` with those checks replaced that pass what was not asked for."""
