"""Whether a word can be a verb, by a list of common verbs and the forms they take.

The published rule asks a part-of-speech tagger, whose model is downloaded and which takes many
capitalised imperatives for names. Here any form of a listed verb counts, whatever else the word
may be ("light", "plan"): a response is not failed for a reading that its reader need not share.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from cascade.verifiers.instructions.text import listed

__all__ = ["is_verb"]


_GERUND_LIKE = frozenset(
    listed(
        "during morning evening nothing something anything everything king ring spring string "
        "thing wing ceiling building sibling wedding pudding interesting amazing charming "
        "exciting outgoing darling duckling sterling viking"
    )
)
_PREFIXES = ("re", "un", "over", "under", "out", "mis", "pre")


@cache
def _forms(rare: bool) -> frozenset[str]:
    listed = files("cascade.verifiers.instructions").joinpath("verbs.txt")
    forms: set[str] = set()
    for line in listed.read_text(encoding="utf-8").splitlines():
        kind, *words = line.split()
        if kind == "irregular":
            forms.update(words)
        elif kind == "regular" or (kind == "rare" and rare):
            for base in words:
                forms |= _inflected(base)
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


def is_verb(word: str, *, rare: bool = False) -> bool:
    """Whether `word` is a form of a listed English verb, in any case; contractions count.

    Words in -ing count unless they are known to be something else; `rare` adds less common verbs.
    """
    forms = _forms(rare)
    word = word.lower().replace("’", "'").removesuffix("n't").partition("'")[0]
    word = word.rpartition("-")[2]
    if word in forms or (word.endswith("ing") and len(word) > 5 and word not in _GERUND_LIKE):
        return True
    prefix = next((prefix for prefix in _PREFIXES if word.startswith(prefix)), "")
    return bool(prefix) and word[len(prefix) :] in forms
