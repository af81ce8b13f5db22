"""Rules about how words are built and how they follow each other.

Behaviour after allenai/IFBench db69a6f (Apache-2.0).
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

from cascade.verifiers.instructions import prose, verbs
from cascade.verifiers.instructions.rule import Rule, whole
from cascade.verifiers.instructions.syllables import syllables
from cascade.verifiers.instructions.text import (
    PUNCTUATION,
    lines_of,
    listed,
    plain_words,
    sentences,
    spoken_words,
)

__all__ = ["RULES"]

_PRIMES = frozenset(n for n in range(2, 100) if all(n % d for d in range(2, n)))
_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxyz")
_EDGES = PUNCTUATION + " "


def _alphabet(text: str) -> bool:
    initials = [word[0].lower() for word in plain_words(text)]
    if not initials or not ("a" <= initials[0] <= "z"):
        return False
    first = ord(initials[0]) - 97
    return all(initial == chr(97 + (first + place) % 26) for place, initial in enumerate(initials))


def _three_vowels(text: str) -> bool:
    return "\n" not in text.strip() and len(set(text.lower()) & set("aeiou")) <= 3


def _has_cluster(word: str) -> bool:
    return any(a in _CONSONANTS and b in _CONSONANTS for a, b in pairwise(word))


def _clusters(text: str) -> bool:
    return all(map(_has_cluster, text.lower().split()))


def _alliteration(sentence: str) -> int:
    """How many words of a sentence share their first letter with a neighbour."""
    words = [bare for word in sentence.lower().split() if (bare := word.lstrip(_EDGES))]
    same = [a[0] == b[0] for a, b in pairwise(words)]
    return sum(1 + (not before) for before, now in zip([False, *same], same, strict=False) if now)


def _growing_alliteration(text: str) -> bool:
    counts = list(map(_alliteration, sentences(text)))
    return all(a < b for a, b in pairwise(counts))


def _ten_palindromes(text: str) -> bool:
    words = plain_words(text.lower())
    return sum(1 for word in words if len(word) >= 5 and word == word[::-1]) >= 10


def _prime_lengths(text: str) -> bool:
    return all(len(word) in _PRIMES for word in plain_words(text))


def _repeats(text: str, *, small_n: int) -> bool:
    return all(count <= small_n for count in Counter(plain_words(text.lower())).values())


def _starts_with_verb(text: str) -> bool:
    words = spoken_words(text[:200])
    # Taggers read a capitalised word before another as a name: "Grant Park", "Bill Gates".
    name = len(words) > 1 and words[0][0].isupper() and words[1][0].isupper()
    return bool(words) and verbs.is_verb(words[0]) and (not name or words[1] == "I")


def _alternating_syllables(text: str) -> bool:
    odd = [syllables(word) % 2 for word in plain_words(text.lower())]
    return all(a != b for a, b in pairwise(odd))


def _chained(text: str) -> bool:
    found = [
        [bare for word in sentence.lower().split() if (bare := word.strip(_EDGES))]
        for sentence in sentences(text)
    ]
    return all(a and b and a[-1] == b[0] for a, b in pairwise(found))


def _circular_paragraphs(text: str) -> bool:
    words = [line.strip().lower().strip(_EDGES).split() for line in lines_of(text)]
    return all(line[0] == line[-1] for line in words if line)


def _no_shared_initials(text: str) -> bool:
    initials = [word[0] for word in plain_words(text.lower())]
    return not any(a == b for a, b in pairwise(initials))


_BY_LETTER = {word[0]: word for word in prose.VOCABULARY}
_PALINDROMES = listed(
    "level radar civic kayak refer rotor tenet madam solos stats minim rotator deified reviver"
)


def _in_order(rng: Random) -> str:
    start = rng.randint(0, 4)
    letters = "abcdefghi"[start : start + 5]
    return " ".join(_BY_LETTER[letter] for letter in letters)


def _alliterative(rng: Random) -> str:
    return " ".join(
        (
            prose.capitalised(prose.keyword(rng)) + ".",
            "Green garden, old mill.",
            "Big blue birds barked.",
        )
    )


def _chain(rng: Random) -> str:
    a, b, c, d = prose.keywords(rng, 4)
    return f"{prose.capitalised(a)} {b}. {prose.capitalised(b)} {c}. {prose.capitalised(c)} {d}."


def _repeated(rng: Random, count: int) -> str:
    word, *others = prose.keywords(rng, 3)
    return " ".join([word] * count + others)


RULES = (
    Rule(
        "words:alphabet",
        _alphabet,
        "Begin each word with the letter of the alphabet after that of the word before, a after z.",
        _in_order,
        lambda rng: f"{_in_order(rng)} {rng.choice(('apple', 'zebra'))}",
    ),
    Rule(
        "words:vowel",
        _three_vowels,
        "Write one paragraph in which only three different vowels occur.",
        lambda rng: f"{rng.choice(('banana', 'cabin', 'habit'))} pins a kitten mat",
        lambda rng: f"{prose.words(rng, 2)} umbrella orange pine",
        blind=True,
    ),
    Rule(
        "words:consonants",
        _clusters,
        "Let each word have two consonants next to each other.",
        lambda rng: " ".join(rng.choices(("bridge", "basket", "kettle", "walnut"), k=4)),
        lambda rng: f"{prose.words(rng, 2)} a tuba",
        blind=True,
    ),
    Rule(
        "sentence:alliteration_increment",
        _growing_alliteration,
        "Give each sentence more alliterating neighbours than the sentence before.",
        _alliterative,
        lambda rng: f"{_alliterative(rng)} {prose.sentence(rng, 1)}",
    ),
    Rule(
        "words:palindrome",
        _ten_palindromes,
        "Use at least 10 single-word palindromes of at least 5 letters.",
        lambda rng: " ".join(rng.sample(_PALINDROMES, 10)),
        lambda rng: " ".join([*rng.sample(_PALINDROMES, 9), "noon"]),
    ),
    Rule(
        "words:prime_lengths",
        _prime_lengths,
        "Use only words whose length is a prime number.",
        lambda rng: " ".join(rng.choices(("an", "owl", "apple", "kitchen"), k=4)),
        lambda rng: f"owl {prose.words(rng, 2)} bird",
        blind=True,
    ),
    Rule(
        "words:start_verb",
        _starts_with_verb,
        "Begin your response with a verb.",
        lambda rng: f"{rng.choice(('Take', 'Walk', 'Think', 'Running'))} {prose.words(rng, 3)}.",
        lambda rng: f"{rng.choice(('The', 'Beautiful', 'Apple'))} {prose.words(rng, 3)}.",
    ),
    Rule(
        "words:repeats",
        _repeats,
        "Use no word more than {small_n} times.",
        lambda rng, small_n: _repeated(rng, small_n),
        lambda rng, small_n: _repeated(rng, small_n + 1),
        (whole("small_n", 1, 3),),
        blind=True,
    ),
    Rule(
        "words:odd_even_syllables",
        _alternating_syllables,
        "Alternate words of an odd and of an even number of syllables.",
        lambda rng: f"the {rng.choice(('apple', 'kitten', 'velvet'))} and rabbit",
        lambda rng: f"the cat and {prose.keyword(rng)}",
        blind=True,
    ),
    Rule(
        "words:last_first",
        _chained,
        "Begin each sentence with the last word of the sentence before.",
        _chain,
        lambda rng: f"{_chain(rng)} Zebra.",
    ),
    Rule(
        "words:paragraph_last_first",
        _circular_paragraphs,
        "End each paragraph with the word it begins with, each on a line of its own.",
        lambda rng: "\n".join(f"{w} {prose.words(rng, 2)} {w}." for w in prose.keywords(rng, 2)),
        lambda rng: f"Apple {prose.words(rng, 2)} apple.\nRabbit {prose.words(rng, 2)} jacket.",
    ),
    Rule(
        "words:no_consecutive",
        _no_shared_initials,
        "Let no two neighbouring words begin with the same letter.",
        _in_order,
        lambda rng: f"{_in_order(rng)} apple apricot",
        blind=True,
    ),
)
