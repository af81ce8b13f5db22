"""How many syllables an English word has: spelling rules, and a list of words that break them."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["syllables"]

_LISTED = """
1 aisle ache axe cache queue suite quiche fourth league tongue vague plague vogue rogue fugue
1 clothes youth earth learn heard friend friends eyes
2 business people evening every something sometimes someone wednesday chocolate average couple
2 interest real poem diet quiet science fluid ruin lion riot client giant chaos duet fuel cruel
2 trial dial create naked wicked sacred rugged hundred iron maybe apache being doing going seeing
2 unique antique technique safety using genre chile poet create yahoo
3 area idea ideas camera family favorite several different vegetable comfortable temperature recipe
3 museum simile karate coyote sesame interesting everyone everybody everything created creates
3 creating creation creator creative theater theory violent violet violin influence cruelty poetry
3 diary audience anime adobe employee realize realized korean colonial vacuum genuine previous
3 various obvious serious soviet scientist scientists sciences nuclear linear media radio
4 society variety anxiety reality experience material january february apostrophe catastrophe
4 epitome european influential scientific experienced immediate appreciate initiative
5 creativity miscellaneous university
"""
_COUNTS = {
    word: int(count)
    for count, *listed in (line.split() for line in _LISTED.split("\n") if line)
    for word in listed
}
# Before these endings a silent e stays silent: "hopeful", "statement", "somebody".
_ENDINGS = {
    "ly": 1, "ment": 1, "ments": 1, "less": 1, "ness": 1, "ful": 1, "some": 1, "body": 2,
    "where": 1, "place": 1, "work": 1, "time": 1, "man": 1, "line": 1, "way": 1, "ways": 1,
    "hood": 1, "wise": 1, "like": 1, "mental": 2, "fully": 2, "lessly": 2,
}  # fmt: skip
_ENDING = re.compile(rf"^([a-z]*[aeiouy][a-z]*[^l]e)({'|'.join(_ENDINGS)})$")
# A y before a vowel is a consonant ("beyond"); u after q belongs to it.
_GROUP = re.compile(r"(?:(?<!q)[aeiou]|(?<=q)u(?![aeiou])|y(?![aeiou]))+|(?<=[^aeiou])y(?=[aeiou])")
# Two vowels that are spoken apart.
_APART = re.compile(
    r"i[ao](?=t(?!i)|b|c|d|r|v|m|gr|l$|ls$)(?<![cst]i[ao])|io$|iu|[^gq]ua[lt]|ious(?<=[dnrvb]ious)"
    r"|(?<![cstlgn])ien|ier(?=s?$)(?<=rrier|rtier)|[aeiou]ing$|ia$(?<![cstg]ia)|uou|eo(?=l|g|r|d)"
)
_SILENT = re.compile(r"(?:[^aeiouyl]|[aeiouy]l|ll|rl)e$|[^aeiouytd]ed$|[^aeiouyscxzgh]es$")
_KEPT = re.compile(r"[^aeiouyrl]les?$|[^aeiouyrl]led$(?<!lled)")
_LONGEST = 45


@lru_cache(maxsize=65_536)
def syllables(word: str) -> int:
    """Count the syllables of a lower-case English word; 0 for what is not one ("2nd", "")."""
    if len(word) > _LONGEST or not word.isascii() or not word.isalpha():
        return 0
    if word in _COUNTS:
        return _COUNTS[word]
    compound = _ENDING.match(word)
    if compound:
        return syllables(compound[1]) + _ENDINGS[compound[2]]
    count = len(_GROUP.findall(word)) + len(_APART.findall(word))
    if _SILENT.search(word) and not _KEPT.search(word):
        count -= 1
    return max(count, 1)
