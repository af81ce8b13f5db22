"""Rules that count kinds of things: numbers, names, pronouns, conjunctions, marks, Japanese words.

Behaviour after allenai/IFBench db69a6f (Apache-2.0).
"""

from __future__ import annotations

import re
from random import Random

from cascade.verifiers.instructions import prose
from cascade.verifiers.instructions.rule import Rule, whole
from cascade.verifiers.instructions.text import PUNCTUATION, listed, tokens

__all__ = ["JAPANESE", "RULES"]

CONJUNCTIONS = ("and", "but", "for", "nor", "or", "so", "yet")
NAMES = listed(
    "Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander "
    "Amelia Benjamin Harper Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel "
    "Ella Jacob Scarlett Nathan Victoria Elijah Layla Nicholas Audrey David Hannah Christopher "
    "Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan"
)
PRONOUNS = frozenset(
    listed(
        "i me we us you he him she her it they them my mine our ours your yours his hers its "
        "their theirs myself ourselves yourself yourselves himself herself itself themselves this "
        "that these those who whom whose which what whoever whomever whatever whichever anybody "
        "anyone anything everybody everyone everything nobody nothing somebody someone something "
        "each either neither both all some any none"
    )
)
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")

_NAME = re.compile(rf"\b(?:{'|'.join(NAMES)})\b")
_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)


def _conjunctions(text: str, *, small_n: int) -> bool:
    words = {word.strip(PUNCTUATION).lower() for word in text.split()}
    return sum(word in words for word in CONJUNCTIONS) >= small_n


def _names(text: str, *, N: int) -> bool:
    return len(set(_NAME.findall(text))) >= N


def _numbers(text: str, *, N: int) -> bool:
    digits = re.finditer(r"\d+", text.translate(_NO_PUNCTUATION))
    return sum(1 for _ in digits) == N


def _pronouns(text: str, *, N: int) -> bool:
    words = tokens(text.lower().replace("/", " "))
    return sum(word in PRONOUNS for word in words) >= N


def _all_marks(text: str) -> bool:
    interrobang = next((mark for mark in ("?!", "!?", "‽") if mark in text), None)
    if interrobang is None:
        return False
    rest = text.replace(interrobang, "", 1)
    return all(mark in rest for mark in ".,!?;:")


def _every_nth_japanese(text: str, *, N: int) -> bool:
    words = [word.strip(PUNCTUATION) for word in text.split()]
    return all(JAPANESE.search(word) for word in words[N - 1 :: N] if word and not word.isdigit())


def _japanese_text(rng: Random, N: int) -> str:
    words = prose.words(rng, 2 * N).split()
    words[N - 1 :: N] = ["ねこ", "いぬ"]
    return " ".join(words)


RULES = (
    Rule(
        "count:conjunctions",
        _conjunctions,
        "Use at least {small_n} different coordinating conjunctions.",
        lambda rng, small_n: " apple ".join(rng.sample(CONJUNCTIONS, small_n)),
        lambda rng, small_n: " apple ".join(rng.sample(CONJUNCTIONS, small_n - 1)) + " apple",
        (whole("small_n", 2, 5),),
    ),
    Rule(
        "count:person_names",
        _names,
        f"Mention at least {{N}} different people of this list: {', '.join(NAMES)}.",
        lambda rng, N: " ".join(rng.sample(NAMES, N)),
        lambda rng, N: " ".join([rng.choice(NAMES)] * (N - 1)) + " apple",
        (whole("N", 2, 6),),
    ),
    Rule(
        "count:numbers",
        _numbers,
        "Use exactly {N} numbers.",
        lambda rng, N: " apple ".join(str(rng.randint(1, 99)) for _ in range(N)),
        lambda rng, N: " apple ".join(str(rng.randint(1, 99)) for _ in range(N + 1)),
        (whole("N", 1, 4),),
    ),
    Rule(
        "count:pronouns",
        _pronouns,
        "Use at least {N} pronouns.",
        lambda rng, N: " ".join(rng.choices(("she", "they", "it", "us"), k=N)),
        lambda rng, N: " ".join(["we"] * (N - 1) + ["apple"]),
        (whole("N", 2, 6),),
    ),
    Rule(
        "count:punctuation",
        _all_marks,
        "Use every one of the marks . , ! ? ; : and also the interrobang ?!",
        lambda rng: f"Apple, {prose.words(rng, 1)}; so: yes! No? What?! Fine.",
        lambda rng: f"Apple, {prose.words(rng, 1)}; so: what?! Fine.",
    ),
    Rule(
        "count:words_japanese",
        _every_nth_japanese,
        "Write every word whose place is a multiple of {N} in Japanese.",
        _japanese_text,
        lambda rng, N: prose.words(rng, 2 * N),
        (whole("N", 2, 5, least=1),),
    ),
)
