"""A judge that needs no model: it knows what a courteous short note looks like.

It judges the mini tasks only ("Write a note to greet Ann."), so that a preference can be learned
and tested anywhere. It sees exactly what a model would: the conversation and two answers.
"""

from __future__ import annotations

import re

from cascade.envs.preference.comparison import Comparison
from cascade.types import Conversation

__all__ = ["OPENINGS", "CourtesyJudge", "courtesy"]

OPENINGS = {
    "greet": "Hello",
    "thank": "Thank you",
    "congratulate": "Well done",
    "comfort": "Take care",
    "invite": "Please come",
    "wake": "Good morning",
}
"""What the note should open with, by the verb of the request."""
LONGEST = 60
"""Characters of a note that is short."""
_REQUEST = re.compile(r"note to (\w+) (\w+)")
_WISH = re.compile(r"\. Have a nice \w+\.$|! Have a nice \w+\.$")


def courtesy(request: str, answer: str) -> int:
    """Score an answer from 1 to 5.

    It is 1, plus 1 each for: the right opening; the name; one closing wish ("Have a nice day.") at
    the end of an answer that has both; at most `LONGEST` characters and no word twice, likewise.
    """
    found = _REQUEST.search(request)
    if found is None:
        return 1
    opening, name = OPENINGS.get(found[1], found[1]), found[2]
    words = re.findall(r"\w+", answer)
    opens, names = answer.startswith(opening), name in words
    both = opens and names
    wishes = both and _WISH.search(answer) is not None
    tidy = both and len(answer) <= LONGEST and len(set(words)) == len(words)
    return 1 + opens + names + wishes + tidy


class CourtesyJudge:
    """Compares two notes by `courtesy`; implements `PairJudge`."""

    async def compare(
        self, conversation: Conversation, first: str, second: str
    ) -> Comparison | str:
        """Return both scores; at equal scores the shorter note is slightly better."""
        request = str(conversation[-1]["content"])
        scores = courtesy(request, first), courtesy(request, second)
        lead = scores[0] - scores[1] or (len(second) > len(first)) - (len(first) > len(second))
        ranking = {0: 3}.get(lead, max(1, 4 - lead) if lead > 0 else min(6, 3 - lead))
        return Comparison(float(scores[0]), float(scores[1]), ranking)
