"""Random texts that mean nothing, and texts with random damage, to try verifiers with."""

from __future__ import annotations

from random import Random

__all__ = ["junk", "mutated"]

_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_SYMBOLS = "~^|\\/=+%@$§°"
_EXOTIC = "жωשمก字あ한\u200b\u202e\ud800\x00\u0301\ufdfd"


def _word(rng: Random) -> str:
    return "".join(rng.choices(_CONSONANTS, k=rng.randint(2, 9)))


def junk(rng: Random) -> str:
    """A random text: made-up words, one symbol over and over, or characters of many scripts."""
    kind = rng.randrange(4)
    if kind == 0:
        return " ".join(_word(rng) for _ in range(rng.randint(1, 12)))
    if kind == 1:
        return rng.choice(_SYMBOLS) * rng.randint(1, 60)
    if kind == 2:
        return "".join(rng.choice(_EXOTIC) for _ in range(rng.randint(1, 40)))
    return " ".join(f"{_word(rng)}{rng.choice(_SYMBOLS)}" for _ in range(rng.randint(1, 8)))


def mutated(rng: Random, text: str) -> str:
    """`text` with one to three random edits: cut, doubled, shuffled, cased or overwritten."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(0, len(text))
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:place]
        elif kind == 1:
            text = text[:place] + text
        elif kind == 2:
            words = text.split(" ")
            rng.shuffle(words)
            text = " ".join(words)
        elif kind == 3:
            text = text.swapcase()
        elif kind == 4:
            text = text[:place] + junk(rng) + text[place:]
        else:
            text = text[:place] + rng.choice("\n .,!?*-\"'<[({0") + text[place + 1 :]
    return text
