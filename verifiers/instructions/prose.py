"""Plain text of a wanted size, from which witnesses and counter-examples are put together."""

from __future__ import annotations

from random import Random

from cascade.verifiers.instructions.text import listed

__all__ = [
    "VOCABULARY",
    "capitalised",
    "english",
    "keyword",
    "keywords",
    "sentence",
    "story",
    "words",
]

VOCABULARY = listed(
    "apple bridge candle dragon engine flower garden hammer island jacket kettle ladder mirror "
    "needle orange pepper quarry ribbon saddle tunnel umbrella valley window yellow basket cotton "
    "dinner finger ginger helmet insect jungle kitten lemon magnet napkin oyster pillow rabbit "
    "salmon ticket velvet walnut button cactus domino feather goblin hazel icicle"
)
"""Words of more than one letter that are no function words, none part of another."""

_ENGLISH = (
    "we walk to the old mill by the river and rest there",
    "the rain came in the night but it was gone by noon",
    "she put the book on the table and went out to the yard",
    "they said that it would be a good day for a long walk",
)


def words(rng: Random, count: int, *avoid: str) -> str:
    """`count` words without marks, lower-case, none of which occurs in or contains `avoid`."""
    allowed = [
        word
        for word in VOCABULARY
        if not any(word in a.lower() or a.lower() in word for a in avoid)
    ]
    return " ".join(rng.choice(allowed) for _ in range(count))


def keywords(rng: Random, count: int) -> list[str]:
    """`count` different words."""
    return rng.sample(VOCABULARY, count)


def keyword(rng: Random) -> str:
    """One word."""
    return rng.choice(VOCABULARY)


def capitalised(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def sentence(rng: Random, count: int, *avoid: str, mark: str = ".") -> str:
    """A sentence of `count` words, without those in `avoid`, that ends in `mark`."""
    return capitalised(words(rng, count, *avoid)) + mark


def story(rng: Random, count: int, length: int = 4) -> str:
    """`count` sentences of `length` words."""
    return " ".join(sentence(rng, length) for _ in range(count))


def english(rng: Random) -> str:
    """A lower-case English clause with enough function words to be known as English."""
    return rng.choice(_ENGLISH)
