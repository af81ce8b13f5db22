"""Which language a text is written in: by script, then by function words.

A script that one language owns decides by itself. Languages that share a script are told apart by
their most frequent function words; a word that several of them have counts less for each. The
answer is exact arithmetic over two small tables, so it is the same in every run and thread (the
detector behind the published checkers draws random numbers). Where nothing speaks for a language
the answer is None, and a rule that asks for one is not followed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

__all__ = ["LANGUAGES", "Language", "detect"]

_READ = 20_000
"""Characters that are looked at: the answer for a longer text is that for its beginning."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language that `detect` knows."""

    code: str
    name: str
    script: str
    words: frozenset[str]
    """Frequent function words, lower-case; empty where the script is enough."""
    sample: str
    """A sentence, for texts that must be in this language."""


def _load() -> dict[str, Language]:
    table = files("cascade.verifiers.instructions").joinpath("languages.txt")
    found: dict[str, Language] = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            code, name, script, words, sample = line.split("|")
            found[code] = Language(code, name, script, frozenset(words.split()), sample)
    return found


LANGUAGES: Mapping[str, Language] = MappingProxyType(_load())

_SCRIPTS = {
    "latin": "A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ",
    "cyrillic": "Ѐ-ӿ",
    "arabic": "ء-يٮ-ۓ",
    "devanagari": "ऀ-ॿ",
    "bengali": "ঀ-৿",
    "thai": "฀-๿",
    "tamil": "஀-௿",
    "telugu": "ఀ-౿",
    "hangul": "가-힣ᄀ-ᇿ㄰-㆏",
    "hebrew": "א-ת",
    "kannada": "ಀ-೿",
    "gujarati": "઀-૿",
    "gurmukhi": "਀-੿",
    "malayalam": "ഀ-ൿ",
    "greek": "Ͱ-Ͽἀ-῿",
    "han": "一-鿿㐀-䶿",
    "kana": "ぁ-ヿ",
}
_PATTERNS = {script: re.compile(f"[{characters}]+") for script, characters in _SCRIPTS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MARKS = re.compile(r"[\u0900-\u0963\u0970-\u097f]+")


def _by_script(script: str) -> dict[str, dict[str, float]]:
    """Weights of the function words of each language of a script."""
    members = [language for language in LANGUAGES.values() if language.script == script]
    owners = Counter(word for language in members for word in language.words)
    return {
        language.code: {word: 1 / owners[word] for word in language.words} for language in members
    }


_WEIGHTS = {script: _by_script(script) for script in ("latin", "cyrillic", "arabic", "devanagari")}


def detect(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of most of `text`; None if nothing tells.

    Short texts of names, numbers or code have no language. Chinese is "zh" in either form.
    """
    text = text[:_READ]
    letters = {script: sum(map(len, p.findall(text))) for script, p in _PATTERNS.items()}
    if letters["kana"] * 10 > letters["han"]:
        letters["kana"] += letters.pop("han")
    script = max(letters, key=lambda name: letters[name])
    if not letters[script]:
        return None
    if script in _WEIGHTS:
        return _by_words(text.lower(), script)
    return next(code for code, known in LANGUAGES.items() if known.script == script)


def _by_words(lowered: str, script: str) -> str | None:
    # Vowel signs of Devanagari are not word characters to `re`.
    finder = _MARKS if script == "devanagari" else _WORD
    counts = Counter(finder.findall(lowered.replace("’", "'")))
    scores = {
        code: sum(weights[word] * count for word, count in counts.items() if word in weights)
        for code, weights in _WEIGHTS[script].items()
    }
    best, second = sorted(scores, key=lambda code: -scores[code])[:2]
    return best if scores[best] > scores[second] else None
