"""Sentences, words and paragraphs of a text, without models or downloaded data.

The published checkers split text with NLTK (the Punkt sentence model and the Treebank word
tokenizer). The rules here follow the same conventions and need no data; docs/instructions.md says
how often the two differ on real responses. Every function takes time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = [
    "PUNCTUATION",
    "count_words",
    "folded",
    "lines_of",
    "listed",
    "paragraphs",
    "plain_words",
    "sentences",
    "spoken_words",
    "tokens",
    "without_accents",
]


def listed(words: str) -> tuple[str, ...]:
    """Words of a list that is written as one string."""
    return tuple(words.split())


PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""ASCII punctuation, which the published rules strip from words."""

_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)
_CLOSERS = "\"'”’»)\\]}*_`"
# Possessive, and anchored at the start of a run of marks, so that a long run is scanned once.
_MARK = re.compile(
    rf"(?<![.!?…])(?P<stop>[.!?…]++)(?P<close>[{_CLOSERS}]*+)(?=\s|$)|(?P<wide>[。！？।؟۔]++[」』”’）]*+)"
)
_TITLES = frozenset(
    listed(
        "mr mrs ms dr prof rev gen col capt cpt lt sgt maj sen rep gov hon st mt messrs mme mlle "
        "vs v viz cf al ca approx fig figs eq eqs no nos vol vols ch sec pp ed eds e.g i.e"
    )
)
_ABBREVIATIONS = frozenset(
    listed(
        "inc ltd jr sr co corp bros dept est etc u.s u.s.a u.k u.n e.u d.c a.m p.m b.c a.d ph.d "
        "m.d b.a m.a b.s m.s j.d jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues "
        "wed thu thurs fri sat sun ave blvd rd hwy n.y l.a adm p.s p.p.s"
    )
)
_OPENERS = frozenset(
    listed(
        "i he she it we you they this that these those the a an my our your his her its their "
        "there here but however so then when while if in on at as for after before what why how "
        "who where also moreover furthermore additionally now once"
    )
)
_LEFT = "\"'“‘«([{*_`<-—–"


def sentences(text: str) -> list[str]:
    """Split `text` into its sentences, white space trimmed.

    A sentence ends at a run of ``. ! ?`` and closing marks before white space, or at a full stop
    of a script that puts no space after it. A period after an abbreviation or an initial ends one
    only before a capitalised word that usually opens sentences. Line breaks end none.
    """
    found: list[str] = []
    start = 0
    for mark in _MARK.finditer(text):
        if mark["stop"] is not None and not _ends_sentence(text, start, mark):
            continue
        found.append(text[start : mark.end()].strip())
        start = mark.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]


def _ends_sentence(text: str, start: int, mark: re.Match[str]) -> bool:
    stop = mark["stop"]
    if "!" in stop or "?" in stop:
        return True
    following = _next_word(text, mark.end())
    if not following:
        return True
    if stop != ".":
        return following[0].isupper()
    word = _word_before(text, start, mark.start())
    if word.isdigit():
        return not following[0].islower()
    lowered = word.lower()
    if lowered in _TITLES:
        return False
    if lowered in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word.isupper()):
        return following[0].isupper() and following.lower() in _OPENERS
    return True


def _word_before(text: str, start: int, end: int) -> str:
    first = end
    lowest = max(start, end - 24)
    while first > lowest and not text[first - 1].isspace():
        first -= 1
    return text[first:end].lstrip(_LEFT)


_NEXT = re.compile(rf"\s*+[{re.escape(_LEFT)}]*+([^\W_]*+)(\S?)")


def _next_word(text: str, position: int) -> str:
    """The word that follows, or its first mark; empty at the end of the text."""
    match = _NEXT.match(text, position)
    return (match[1] or match[2]) if match else ""


_WORD = re.compile(r"\w+")


def count_words(text: str) -> int:
    """Count runs of word characters: the published count, in which "don't" is two words."""
    return sum(1 for _ in _WORD.finditer(text))


_SPOKEN = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def spoken_words(text: str) -> list[str]:
    """Words as a reader counts them: "don't" and "well-known" are one each, marks are none."""
    return _SPOKEN.findall(text)


def plain_words(text: str) -> list[str]:
    """Words between white space with all ASCII punctuation deleted; empty ones are dropped."""
    return text.translate(_NO_PUNCTUATION).split()


_TOKEN = re.compile(
    r"\.\.\.|--|[;@#$%&?!\"\[\](){}<>«»“”‘’„`]|[:,](?![0-9])"
    r"|(?:[^\s;@#$%&?!\"\[\](){}<>«»“”‘’„`:,.\-]|[:,](?=[0-9])|\.(?!\.\.)|-(?!-))+"
)
_CLITICS = ("'s", "'m", "'d", "'ll", "'re", "'ve", "n't")


def tokens(text: str) -> Iterator[str]:
    """Yield words and marks as the Penn Treebank convention separates them.

    Marks stand alone, contractions split ("do", "n't"), hyphenated words stay whole, and the
    period that ends a sentence is separate.
    """
    for sentence in sentences(text):
        for token in _TOKEN.findall(sentence):
            if "'" in token or token[-1] == ".":
                yield from _split_clitic(token)
            else:
                yield token


def _split_clitic(token: str) -> Iterator[str]:
    if len(token) > 1 and token.endswith(".") and "." not in token[:-1]:
        yield from _split_clitic(token[:-1])
        yield "."
        return
    tail = token[-3:].lower()
    for clitic in _CLITICS:
        if tail.endswith(clitic) and len(token) > len(clitic):
            yield token[: -len(clitic)]
            yield token[-len(clitic) :]
            return
    yield token


def paragraphs(text: str) -> list[str]:
    """Parts of `text` between blank lines, without the empty ones."""
    return [part for part in text.split("\n\n") if part.strip()]


def lines_of(text: str) -> list[str]:
    """Lines of `text` that are not blank."""
    return [line for line in text.split("\n") if line.strip()]


def folded(text: str) -> str:
    """Trim and lower-case, for comparisons that ignore case and outer white space."""
    return text.strip().lower()


def without_accents(text: str) -> str:
    """Reduce letters to ASCII ("São" to "Sao"); what has no ASCII form is dropped."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
