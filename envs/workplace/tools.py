"""The toolbox of the office.

Searches return at most ten rows a page, so that a long answer never floods a context; changes
return the id of what was made, or "done".
"""

from __future__ import annotations

from cascade.envs.toolworld import Toolbox
from cascade.envs.workplace import analytics, board, calendar, customers, mail

__all__ = ["OFFICE"]

OFFICE = Toolbox(
    [
        *mail.FUNCTIONS,
        *calendar.FUNCTIONS,
        *board.FUNCTIONS,
        *customers.FUNCTIONS,
        *analytics.FUNCTIONS,
    ]
)
