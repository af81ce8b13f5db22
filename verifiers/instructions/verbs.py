"""Whether a word can be a verb, by a list of common verbs and the forms they take.

The published rule asks a part-of-speech tagger, whose model is downloaded and which takes many
capitalised imperatives for names. Here any form of a listed verb counts, whatever else the word
may be ("light", "plan"): a response is not failed for a reading that its reader need not share.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["is_verb"]


@cache
def _forms() -> frozenset[str]:
    listed = files("cascade.verifiers.instructions").joinpath("verbs.txt")
    forms: set[str] = set()
    for line in listed.read_text(encoding="utf-8").splitlines():
        if line.startswith("irregular "):
            forms.update(line.split()[1:])
        elif line and not line.startswith("#"):
            for base in line.split():
                forms.update(_inflected(base))
    return frozenset(forms)


def _inflected(base: str) -> set[str]:
    """The base form, third person, past and participle as the spelling rules make them."""
    stem = base[:-1] if base.endswith("e") and not base.endswith(("ee", "ye", "oe")) else base
    third = base + ("es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
    forms = {base, third, stem + "ed", stem + "ing"}
    if base.endswith("y") and base[-2] not in "aeiou":
        forms |= {base[:-1] + "ies", base[:-1] + "ied"}
    if base[-1] not in "aeiouwxyhs" and base[-2] in "aeiou" and base[-3:-2] not in tuple("aeiou"):
        forms |= {base + base[-1] + "ed", base + base[-1] + "ing"}
    return forms


def is_verb(word: str) -> bool:
    """Whether `word` is a form of a common English verb, in any case; contractions count."""
    word = word.lower().replace("’", "'")
    word = word.removesuffix("n't").split("'")[0]
    if word in _forms():
        return True
    head, _, tail = word.rpartition("-")
    if head:
        return tail in _forms()
    prefix = next((p for p in ("re", "un", "over", "under", "out", "mis", "pre") if word.startswith(p)), "")
    return bool(prefix) and len(word) > len(prefix) + 2 and word[len(prefix) :] in _forms()
