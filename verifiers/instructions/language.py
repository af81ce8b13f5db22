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

from cascade.verifiers.instructions.text import listed

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
_DENSE = ("hangul", "han", "kana")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\\[A-Za-z]+|(?:https?://|www\.)\S*", re.DOTALL)
_MARKS = re.compile(r"[\u0900-\u0963\u0970-\u097f]+")


def _by_script(script: str) -> dict[str, dict[str, float]]:
    """Weights of the function words of each language of a script."""
    members = [language for language in LANGUAGES.values() if language.script == script]
    owners = Counter(word for language in members for word in language.words)
    return {
        language.code: {word: 1 / owners[word] for word in language.words} for language in members
    }


_FEW_WORDS = 40
# Pairs of letters that are common within English words (94 % of those in a list of verbs).
_ENGLISH_PAIRS = frozenset(
    listed(
        "ab ac ad ag ai ak al am an ap ar as at au av ay ba be bi bl bo br bu ca cc ce ch ci ck cl "
        "co cr ct cu da de di do dr du ea ec ed ee ef eg ei el em en ep er es et ev ew ex fa fe ff "
        "fi fl fo fr fy ga ge gh gi gl gn go gr gu ha he hi ho hr ht ia ib ic id ie if ig il im in "
        "ip ir is it iv iz ke la ld le li ll lo lt lu ly ma mb me mi mm mo mp mu na nc nd ne nf ng "
        "ni nk no ns nt nv oa oc od oi ok ol om on oo op or os ot ou ov ow pa pe pi pl po pp pr pt "
        "pu qu ra rc rd re rg ri rm rn ro rr rs rt ru rv ry sa sc se sh si sl so sp ss st su sw ta "
        "tc te th ti to tr tt tu ub uc ue ug ui ul um un up ur us ut va ve vi vo wa we wi wn wo xp "
        "ze"
    )
)

_WEIGHTS = {script: _by_script(script) for script in ("latin", "cyrillic", "arabic", "devanagari")}


def detect(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of most of `text`; None if nothing tells.

    Short texts of names, numbers or code have no language. Chinese is "zh" in either form.
    """
    text = text[:_READ]
    spoken = _CODE.sub(" ", text)
    letters = _letters(spoken)
    if not any(letters.values()):
        spoken, letters = text, _letters(text)
    if letters["kana"] * 10 > letters["han"]:
        letters["kana"] += letters.pop("han")
    script = max(letters, key=lambda name: letters[name])
    if not letters[script]:
        return None
    if script in _WEIGHTS:
        return _by_words(spoken.lower(), script)
    return next(code for code, known in LANGUAGES.items() if known.script == script)


def _letters(text: str) -> dict[str, int]:
    """Letters of each script; those that stand for a syllable or a word count double."""
    patterns = {"latin": _PATTERNS["latin"]} if text.isascii() else _PATTERNS
    return dict.fromkeys(_PATTERNS, 0) | {
        script: sum(map(len, pattern.findall(text))) * (2 if script in _DENSE else 1)
        for script, pattern in patterns.items()
    }


def _by_words(lowered: str, script: str) -> str | None:
    # Vowel signs of Devanagari are not word characters to `re`.
    finder = _MARKS if script == "devanagari" else _WORD
    counts = Counter(finder.findall(lowered.replace("’", "'")))
    scores = {
        code: sum(weights[word] * count for word, count in counts.items() if word in weights)
        for code, weights in _WEIGHTS[script].items()
    }
    first, second = sorted(scores, key=lambda code: -scores[code])[:2]
    if scores[first] > scores[second]:
        return first
    tied = script == "latin" and scores["en"] == scores[first]
    return "en" if tied and counts.total() <= _FEW_WORDS and _spelt_like_english(counts) else None


def _spelt_like_english(counts: Counter[str]) -> bool:
    """For a title or a list of names, in which no function word occurs."""
    pairs = [word[place : place + 2] for word in counts for place in range(len(word) - 1)]
    return len(pairs) >= 8 and sum(pair in _ENGLISH_PAIRS for pair in pairs) >= 0.8 * len(pairs)
