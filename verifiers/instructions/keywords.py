"""Rules about words and letters that must, or must not, occur.

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
    letter,
    phrase,
    phrases,
    relation,
    whole,
)
from cascade.verifiers.instructions.text import (
    PUNCTUATION,
    sentences,
    spoken_words,
    tokens,
)

__all__ = ["RULES", "has_word"]


def has_word(text: str, word: str) -> bool:
    """Whether `word` occurs as a whole word, in any case; it may hold marks, as "C++" does."""
    left = r"(?<!\w)" if re.match(r"\w", word) else ""
    right = r"(?!\w)" if re.search(r"\w$", word) else ""
    return re.search(left + re.escape(word) + right, text, re.IGNORECASE) is not None


def _occurrences(text: str, keyword: str) -> int:
    """Occurrences in any case, inside longer words too: the published way of counting."""
    return text.lower().count(keyword.lower())


def _existence(text: str, *, keywords: tuple[str, ...]) -> bool:
    return all(_occurrences(text, keyword) for keyword in keywords)


def _frequency(text: str, *, keyword: str, frequency: int, relation: str) -> bool:
    return compare(_occurrences(text, keyword), relation, frequency)


def _forbidden(text: str, *, forbidden_words: tuple[str, ...]) -> bool:
    return not any(has_word(text, word) for word in forbidden_words)


def _excluded(text: str, *, keyword: str) -> bool:
    return not has_word(text, keyword)


def _letters(text: str, *, letter: str, let_frequency: int, let_relation: str) -> bool:
    return compare(_occurrences(text, letter), let_relation, let_frequency)


def _letter_count(text: str, *, N: int, relation: str) -> bool:
    ascii_letters = sum(1 for char in text if char.isascii() and char.isalpha())
    return compare(ascii_letters, relation, N)


def _once(text: str, *, keyword: str) -> bool:
    return _occurrences(text, keyword) == 1


def _exact_frequency(text: str, *, keyword: str, frequency: int, relation: str = "") -> bool:
    return _occurrences(text, keyword) == frequency


def _once_and_twice(text: str, *, keyword1: str, keyword2: str) -> bool:
    return _occurrences(text, keyword1) == 1 and _occurrences(text, keyword2) == 2


_TIMES = (1, 2, 3, 5, 7)


def _five_keywords(text: str, **keywords: str) -> bool:
    return all(
        _occurrences(text, keywords[f"keyword{place}"]) == times
        for place, times in enumerate(_TIMES, start=1)
    )


def _no_consecutive_initials(text: str) -> bool:
    initials = [word.lstrip(PUNCTUATION)[:1].lower() for word in text.split()]
    pairs = pairwise(initials)
    return not any(a.isascii() and a.isalpha() and b == chr(ord(a) + 1) for a, b in pairs)


def _palindrome(text: str) -> bool:
    """A word of three letters or more with a vowel among them; "a", "--" and "xx" are none."""
    return any(
        len(word) >= 3 and word.isalpha() and word == word[::-1] and set(word) & set("aeiouy")
        for word in (spoken.lower() for spoken in spoken_words(text))
    )


def _at_position(text: str, *, keyword: str, n: int, m: int) -> bool:
    found = sentences(text)
    if len(found) < n:
        return False
    wanted = [word.lower() for word in spoken_words(keyword)]
    there = spoken_words(found[n - 1])[m - 1 : m - 1 + len(wanted)]
    return bool(wanted) and [word.lower() for word in there] == wanted


def _in_sentence(text: str, *, word: str, N: int) -> bool:
    found = sentences(text)
    return len(found) >= N and has_word(found[N - 1], word)


def _start_end(text: str) -> bool:
    words = spoken_words(text)
    if len(words) < 2 or words[0].lower() != words[-1].lower():
        return False
    return text.rstrip().endswith(words[-1])


def _second_and_second_to_last(text: str, *, keyword: str) -> bool:
    words = [token.lower() for token in tokens(text)]
    if words and words[-1] in PUNCTUATION:
        words.pop()
    return len(words) >= 2 and words[1] == words[-2] == keyword.lower()


def _times(rng: Random, keyword: str, count: int) -> str:
    """A text with `keyword` exactly `count` times."""
    return " ".join([prose.words(rng, 2, keyword), *[keyword] * count])


def _nearest(threshold: int, relation: str) -> int:
    """The count that just satisfies `relation`."""
    return threshold if relation == "at least" else max(threshold - 1, 0)


def _missing(threshold: int, relation: str) -> int:
    """The count that just fails it."""
    return max(threshold - 1, 0) if relation == "at least" else threshold


def _letter_text(letter: str, count: int) -> str:
    return (letter + " ") * count + ("b" if letter.lower() != "b" else "c")


def _placed(rng: Random, keyword: str, n: int, m: int) -> str:
    before = [prose.sentence(rng, 3, keyword) for _ in range(n - 1)]
    head = prose.words(rng, m - 1, keyword)
    return " ".join([*before, prose.capitalised(f"{head} {keyword}".strip()) + "."])


def _five_times(rng: Random, **keywords: str) -> str:
    return " ".join(
        " ".join([keywords[f"keyword{place}"]] * times)
        for place, times in enumerate(_TIMES, start=1)
    )


def _two_keywords(rng: Random) -> dict[str, Any]:
    first, second = prose.keywords(rng, 2)
    return {"keyword1": first, "keyword2": second}


def _five_draws(rng: Random) -> dict[str, Any]:
    return {f"keyword{n}": word for n, word in enumerate(prose.keywords(rng, 5), start=1)}


_POSITION = (phrase("keyword"), whole("n", 1, 3, least=1), whole("m", 1, 4, least=1))
_LETTERS = (letter("letter"), whole("let_frequency", 2, 6), relation("let_relation"))


def _letter_rule(name: str) -> Rule:
    return Rule(
        name,
        _letters,
        "Let the letter {letter} appear {let_relation} {let_frequency} times in your response.",
        lambda rng, letter, let_frequency, let_relation: _letter_text(
            letter, _nearest(let_frequency, let_relation)
        ),
        lambda rng, letter, let_frequency, let_relation: _letter_text(
            letter, _missing(let_frequency, let_relation)
        ),
        _LETTERS,
        blind=True,
    )


def _position_rule(name: str) -> Rule:
    return Rule(
        name,
        _at_position,
        "Make {keyword} word number {m} of sentence number {n}.",
        lambda rng, keyword, n, m: _placed(rng, keyword, n, m),
        lambda rng, keyword, n, m: _placed(rng, keyword, n, m + 1),
        _POSITION,
    )


RULES = (
    Rule(
        "keywords:existence",
        _existence,
        "Use each of these keywords in your response: {keywords}.",
        lambda rng, keywords: " ".join(keywords),
        lambda rng, keywords: " ".join([*keywords[1:], prose.words(rng, 2, *keywords)]),
        (phrases("keywords"),),
    ),
    Rule(
        "keywords:frequency",
        _frequency,
        "Let the word {keyword} appear {relation} {frequency} times in your response.",
        lambda rng, keyword, frequency, relation: _times(
            rng, keyword, _nearest(frequency, relation)
        ),
        lambda rng, keyword, frequency, relation: _times(
            rng, keyword, _missing(frequency, relation)
        ),
        (phrase("keyword"), whole("frequency", 2, 4), relation()),
    ),
    Rule(
        "keywords:forbidden_words",
        _forbidden,
        "Keep these words out of your response: {forbidden_words}.",
        lambda rng, forbidden_words: prose.words(rng, 4, *forbidden_words),
        lambda rng, forbidden_words: _times(rng, rng.choice(forbidden_words), 1),
        (phrases("forbidden_words"),),
        blind=True,
    ),
    _letter_rule("keywords:letter_frequency"),
    _letter_rule("letters:letter_counting2"),
    Rule(
        "letters:letter_counting",
        _letter_count,
        "Answer with {relation} {N} letters.",
        lambda rng, N, relation: "a" * _nearest(N, relation) + ".",
        lambda rng, N, relation: "a" * _missing(N, relation) + ".",
        (whole("N", 4, 12), relation()),
        blind=True,
    ),
    Rule(
        "keywords:no_adjacent_consecutive",
        _no_consecutive_initials,
        "Let no two neighbouring words begin with letters that follow each other in the alphabet.",
        lambda rng: f"apple candle engine {rng.choice(('garden', 'garlic'))} ink",
        lambda rng: f"{prose.words(rng, 2)} apple bridge",
        blind=True,
    ),
    Rule(
        "keywords:word_once",
        _once,
        "Use the keyword {keyword} once in your response.",
        lambda rng, keyword: _times(rng, keyword, 1),
        lambda rng, keyword: _times(rng, keyword, rng.choice((0, 2))),
        (phrase("keyword"),),
    ),
    Rule(
        "keywords:word_count_different_numbers",
        _exact_frequency,
        "Let the word {keyword} appear {frequency} times in your response.",
        lambda rng, keyword, frequency: _times(rng, keyword, frequency),
        lambda rng, keyword, frequency: _times(rng, keyword, frequency + rng.choice((-1, 1))),
        (phrase("keyword"), whole("frequency", 1, 4), relation(used=False)),
    ),
    Rule(
        "keywords:exclude_word_harder",
        _excluded,
        "Keep the word {keyword} out of your response.",
        lambda rng, keyword: prose.words(rng, 4, keyword),
        lambda rng, keyword: _times(rng, keyword, 1) + ".",
        (phrase("keyword"),),
        blind=True,
    ),
    Rule(
        "keywords:palindrome",
        _palindrome,
        "Use a palindrome (a word of three letters or more) in your response.",
        lambda rng: f"{prose.words(rng, 3)} {rng.choice(('level', 'noon', 'civic'))}",
        lambda rng: "a I " + prose.words(rng, 3),
    ),
    _position_rule("keywords:keyword_specific_position"),
    _position_rule("words:keywords_specific_position"),
    Rule(
        "keywords:start_end",
        _start_end,
        "Begin and end your response with the same word, and put nothing after it, not even a dot.",
        lambda rng: "Apple {} apple".format(prose.words(rng, 2, "apple")),
        lambda rng: "Apple {} apple.".format(prose.words(rng, 2, "apple")),
    ),
    Rule(
        "sentence:keyword",
        _in_sentence,
        'Use the keyword "{word}" in sentence number {N}.',
        lambda rng, word, N: _placed(rng, word, N, 3),
        lambda rng, word, N: _placed(rng, word, N + 1, 3),
        (phrase("word"), whole("N", 1, 3, least=1)),
    ),
    Rule(
        "words:words_position",
        _second_and_second_to_last,
        "Let the second word and the last but one word of your response both be {keyword}.",
        lambda rng, keyword: f"Apple {keyword} {prose.words(rng, 2, keyword)} {keyword} walnut.",
        lambda rng, keyword: f"{keyword} apple {prose.words(rng, 2, keyword)} walnut {keyword}.",
        (phrase("keyword"),),
    ),
    Rule(
        "count:keywords_multiple",
        _five_keywords,
        "Use {keyword1} once, {keyword2} twice, {keyword3} three times, {keyword4} five times "
        "and {keyword5} seven times.",
        _five_times,
        lambda rng, **keywords: (
            f"{_five_times(rng, **keywords)} {rng.choice(list(keywords.values()))}"
        ),
        tuple(phrase(f"keyword{place}") for place in range(1, 6)),
        joint=_five_draws,
    ),
    Rule(
        "count:count_increment_word",
        _once_and_twice,
        "Use the keyword {keyword1} once and the keyword {keyword2} twice in your response.",
        lambda rng, keyword1, keyword2: f"{keyword1} {keyword2} {keyword2}",
        lambda rng, keyword1, keyword2: f"{keyword1} {keyword1} {keyword2}",
        (phrase("keyword1"), phrase("keyword2")),
        joint=_two_keywords,
    ),
)
