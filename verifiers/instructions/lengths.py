"""Rules that count words, sentences and paragraphs, or compare their shares.

Behaviour after google-research `instruction_following_eval` (as in mlfoundations/evalchemy
6ed6741), allenai/IFBench db69a6f and open-instruct `IFEvalG` e6c3044, all Apache-2.0.
"""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random
from typing import Any

from cascade.verifiers.instructions import prose
from cascade.verifiers.instructions.rule import (
    Rule,
    compare,
    passage,
    percent,
    phrase,
    relation,
    whole,
)
from cascade.verifiers.instructions.text import (
    PUNCTUATION,
    count_words,
    listed,
    sentences,
    spoken_words,
)

__all__ = ["RULES", "STOP_WORDS", "divided", "endings"]


def _words(text: str, *, num_words: int, relation: str) -> bool:
    return compare(count_words(text), relation, num_words)


def _sentences(text: str, *, num_sentences: int, relation: str) -> bool:
    return compare(len(sentences(text)), relation, num_sentences)


def divided(text: str, divider: str) -> list[str] | None:
    """Split `text` at `divider`, forgiving one at either end; None if a part between is empty."""
    parts = re.split(divider, text)
    if len(parts) > 1 and not parts[0].strip():
        parts = parts[1:]
    if len(parts) > 1 and not parts[-1].strip():
        parts = parts[:-1]
    return parts if all(part.strip() for part in parts) else None


_STARS = r"\s?\*\*\*\s?"
_STARS_OR_SPACED = r"\s?(?:\*\*\*|\* \* \*)\s?"
_BLANK_LINE = r"\n\n"


def _divided_into(text: str, divider: str, count: int) -> bool:
    parts = divided(text, divider)
    return parts is not None and len(parts) == count


def _paragraphs(text: str, *, num_paragraphs: int) -> bool:
    return _divided_into(text, _STARS, num_paragraphs)


def _opening_word(paragraph: str) -> str:
    word = paragraph.split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", word, maxsplit=1)[0].lower()


def _nth_paragraph(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    found = [part for part in text.split("\n\n") if part.strip()]
    if len(found) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    return _opening_word(found[nth_paragraph - 1]) == first_word.lower()


def _word_range(text: str, *, min_words: int, max_words: int) -> bool:
    return min_words <= count_words(text) <= max_words


def _unique_words(text: str, *, N: int) -> bool:
    return len({word.strip(PUNCTUATION) for word in text.lower().split()}) >= N


def _all_unique(text: str) -> bool:
    words = [word.lower() for word in spoken_words(text)]
    return bool(words) and len(set(words)) == len(words)


def _lowercase_words(text: str, *, N: int) -> bool:
    return sum(1 for _ in re.finditer(r"\b[a-z]++\b", text)) <= N


def _composition(text: str, *, n_sent: int, n_words: int) -> bool:
    parts = divided(text, _STARS_OR_SPACED)
    if parts is None or len(parts) != 3:
        return False
    return all(
        len(found) == n_sent and all(len(spoken_words(one)) == n_words for one in found)
        for found in map(sentences, parts)
    )


STOP_WORDS = frozenset(
    listed(
        "i me my myself we our ours ourselves you your yours yourself yourselves he him his "
        "himself she her hers herself it its itself they them their theirs themselves what which "
        "who whom this that these those am is are was were be been being have has had having do "
        "does did doing a an the and but if or because as until while of at by for with about "
        "against between into through during before after above below to from up down in out on "
        "off over under again further then once here there when where why how all any both each "
        "few more most other some such no nor not only own same so than too very can will just "
        "should now s t d ll m o re ve y don ain aren couldn didn doesn hadn hasn haven isn ma "
        "mightn mustn needn shan shouldn wasn weren won wouldn"
    )
)
"""English function words, and the pieces that contractions fall into."""


def _stop_words(text: str, *, percentage: float) -> bool:
    words = re.findall(r"\w+", text.lower())
    stops = sum(word in STOP_WORDS for word in words)
    return bool(words) and 100 * stops / len(words) <= percentage


def endings(text: str, ignored: str = "") -> tuple[int, int, int]:
    """Sentences that end in a period, a question mark, an exclamation mark, but for `ignored`."""
    ends = [sentence.rstrip(ignored or "\0")[-1:] for sentence in sentences(text)]
    return ends.count("."), ends.count("?"), ends.count("!")


def _two_to_one(text: str) -> bool:
    declarative, interrogative, _ = endings(text)
    return declarative == 2 * interrogative


def _balanced(text: str) -> bool:
    declarative, interrogative, exclamatory = endings(text)
    return declarative == interrogative == exclamatory


def _equal_sentences(text: str) -> bool:
    found = sentences(text)
    return len(found) == 3 and len({len(sentence) for sentence in found}) == 1


def _trigrams(text: str) -> set[str]:
    return {text[start : start + 3] for start in range(len(text) - 2)}


def _overlap(text: str, *, reference_text: str, percentage: float) -> bool:
    found = _trigrams(text)
    shared = len(found & _trigrams(reference_text))
    return bool(found) and abs(100 * shared / len(found) - percentage) <= 2


def _increment(text: str, *, small_n: int) -> bool:
    counts = [len(_unmarked(sentence)) for sentence in sentences(text)]
    return all(b - a == small_n for a, b in pairwise(counts))


_MARKS = str.maketrans("", "", PUNCTUATION)


def _unmarked(sentence: str) -> list[str]:
    return sentence.translate(_MARKS).split()


def _count_for(threshold: int, relation: str, *, follow: bool) -> int:
    return max(threshold - ((relation == "at least") != follow), 1)


def _paragraph_text(rng: Random, num_paragraphs: int, nth_paragraph: int, first_word: str) -> str:
    parts = [prose.sentence(rng, 4, first_word) for _ in range(num_paragraphs)]
    parts[nth_paragraph - 1] = f"{first_word} {prose.words(rng, 3, first_word)}."
    return "\n\n".join(parts)


def _nth_draw(rng: Random) -> dict[str, Any]:
    count = rng.randint(1, 3)
    return {
        "num_paragraphs": count,
        "nth_paragraph": rng.randint(1, count),
        "first_word": prose.keyword(rng),
    }


def _range_draw(rng: Random) -> dict[str, Any]:
    low = rng.randint(3, 8)
    return {"min_words": low, "max_words": low + rng.randint(0, 3)}


def _parts(rng: Random, count: int, divider: str) -> str:
    return divider.join(prose.sentence(rng, 3) for _ in range(count))


def _composed(rng: Random, n_sent: int, n_words: int) -> str:
    return "\n***\n".join(prose.story(rng, n_sent, n_words) for _ in range(3))


def _overlapping(rng: Random, reference_text: str, percentage: float) -> str:
    """The reference, then digits until the share of shared trigrams has fallen far enough."""
    text = reference_text
    wanted = _trigrams(reference_text)
    found = _trigrams(text)
    shared = len(found)
    while 100 * shared / max(len(found), 1) > percentage + 1:
        text += rng.choice("0123456789")
        last = text[-3:]
        shared += last in wanted and last not in found
        found.add(last)
    return text


def _growing(rng: Random, small_n: int) -> str:
    return " ".join(prose.sentence(rng, 2 + place * small_n) for place in range(3))


def _same_length(rng: Random) -> str:
    return " ".join(
        (
            f"Rabbit {rng.choice(('kettle', 'button'))} ginger.",
            "Velvet window jacket.",
            "Orange ladder needle.",
        )
    )


_AT_OR_BELOW = (relation(),)

RULES = (
    Rule(
        "length_constraints:number_words",
        _words,
        "Answer with {relation} {num_words} words.",
        lambda rng, num_words, relation: prose.words(
            rng, _count_for(num_words, relation, follow=True)
        ),
        lambda rng, num_words, relation: prose.words(
            rng, _count_for(num_words, relation, follow=False)
        ),
        (whole("num_words", 3, 9), *_AT_OR_BELOW),
        blind=True,
    ),
    Rule(
        "length_constraints:number_sentences",
        _sentences,
        "Answer with {relation} {num_sentences} sentences.",
        lambda rng, num_sentences, relation: prose.story(
            rng, _count_for(num_sentences, relation, follow=True)
        ),
        lambda rng, num_sentences, relation: prose.story(
            rng, _count_for(num_sentences, relation, follow=False)
        ),
        (whole("num_sentences", 2, 4), *_AT_OR_BELOW),
        blind=True,
    ),
    Rule(
        "length_constraints:number_paragraphs",
        _paragraphs,
        "Write {num_paragraphs} paragraphs, with the divider *** between them.",
        lambda rng, num_paragraphs: _parts(rng, num_paragraphs, "\n***\n"),
        lambda rng, num_paragraphs: _parts(rng, num_paragraphs + 1, "\n***\n"),
        (whole("num_paragraphs", 1, 3),),
        blind=True,
    ),
    Rule(
        "length_constraints:nth_paragraph_first_word",
        _nth_paragraph,
        "Write {num_paragraphs} paragraphs with an empty line between them; paragraph "
        "{nth_paragraph} must begin with the word {first_word}.",
        _paragraph_text,
        lambda rng, num_paragraphs, nth_paragraph, first_word: _parts(
            rng, num_paragraphs + 1, "\n\n"
        ),
        (
            whole("num_paragraphs", 1, 3),
            whole("nth_paragraph", 1, 3, least=1),
            phrase("first_word"),
        ),
        joint=_nth_draw,
    ),
    Rule(
        "paragraphs:paragraphs",
        lambda text: _divided_into(text, _STARS, 2),
        "Write 2 paragraphs, with the divider *** between them.",
        lambda rng: _parts(rng, 2, "\n***\n"),
        lambda rng: _parts(rng, 3, "\n***\n"),
    ),
    Rule(
        "paragraphs:paragraphs2",
        lambda text: _divided_into(text, _BLANK_LINE, 2),
        "Write 2 paragraphs, with two line breaks between them and nowhere else.",
        lambda rng: _parts(rng, 2, "\n\n"),
        lambda rng: _parts(rng, 2, "\n"),
    ),
    Rule(
        "count:word_count_range",
        _word_range,
        "Answer with {min_words} to {max_words} words.",
        lambda rng, min_words, max_words: prose.words(rng, rng.randint(min_words, max_words)),
        lambda rng, min_words, max_words: prose.words(rng, max_words + 1),
        (whole("min_words", 3, 8), whole("max_words", 8, 11)),
        blind=True,
        joint=_range_draw,
    ),
    Rule(
        "count:unique_word_count",
        _unique_words,
        "Use at least {N} different words.",
        lambda rng, N: " ".join(prose.keywords(rng, N)),
        lambda rng, N: " ".join(prose.keywords(rng, N - 1)),
        (whole("N", 3, 8),),
        blind=True,
    ),
    Rule(
        "count:count_unique",
        _all_unique,
        "Use no word more than once.",
        lambda rng: " ".join(prose.keywords(rng, 5)) + ".",
        lambda rng: f"Apple {prose.words(rng, 2)} apple.",
        blind=True,
    ),
    Rule(
        "count:lowercase_counting",
        _lowercase_words,
        "Use at most {N} words in lower case.",
        lambda rng, N: f"{prose.words(rng, 3).upper()} {prose.words(rng, N)}",
        lambda rng, N: prose.words(rng, N + 1),
        (whole("N", 1, 4),),
        blind=True,
    ),
    Rule(
        "count:counting_composition",
        _composition,
        "Write 3 paragraphs, with the divider * * * between them, of exactly {n_sent} sentences "
        "each, every sentence of exactly {n_words} words.",
        _composed,
        lambda rng, n_sent, n_words: _composed(rng, n_sent, n_words + 1),
        (whole("n_sent", 1, 2, least=1), whole("n_words", 2, 4, least=1)),
    ),
    Rule(
        "ratio:stop_words",
        _stop_words,
        "Let stop words be no more than {percentage}% of your words.",
        lambda rng, percentage: prose.words(rng, 5),
        lambda rng, percentage: "it is the " + prose.words(rng, 1),
        (percent("percentage", 10, 60),),
        blind=True,
    ),
    Rule(
        "ratio:sentence_type",
        _two_to_one,
        "Write two declarative sentences for every question.",
        lambda rng: f"{prose.story(rng, 2)} {prose.sentence(rng, 3, mark='?')}",
        lambda rng: f"{prose.story(rng, 3)} {prose.sentence(rng, 3, mark='?')}",
    ),
    Rule(
        "ratio:sentence_balance",
        _balanced,
        "Write as many declarative sentences as questions and as exclamations.",
        lambda rng: " ".join(prose.sentence(rng, 3, mark=mark) for mark in "?.!"),
        lambda rng: " ".join(prose.sentence(rng, 3, mark=mark) for mark in "?.!."),
    ),
    Rule(
        "ratio:sentence_words",
        _equal_sentences,
        "Answer with three sentences of the same number of characters and all different words.",
        _same_length,
        lambda rng: "Rabbit kettle ginger. Velvet window. Orange ladder needle.",
    ),
    Rule(
        "ratio:overlap",
        _overlap,
        "Share {percentage}% of your trigrams, within 2%, with this text: {reference_text}",
        _overlapping,
        lambda rng, reference_text, percentage: "0123456789",
        (passage("reference_text"), percent("percentage", 20, 90)),
        joint=lambda rng: {
            "reference_text": prose.sentence(rng, 12),
            "percentage": float(rng.randint(20, 90)),
        },
    ),
    Rule(
        "sentence:increment",
        _increment,
        "Give every sentence exactly {small_n} more words than the one before it.",
        _growing,
        lambda rng, small_n: f"{_growing(rng, small_n)} {prose.sentence(rng, 1)}",
        (whole("small_n", 1, 3, least=1),),
    ),
)
