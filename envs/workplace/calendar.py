"""The user's calendar. Each docstring is what the model reads."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from cascade.envs.toolworld import Date, DateTime, Tables, ToolError
from cascade.envs.workplace.lookup import find, known_address, page_of
from cascade.envs.workplace.office import Event

__all__ = ["FUNCTIONS"]

_OPENS, _CLOSES = datetime.time(9), datetime.time(18)


def _checked(start: str, minutes: int) -> datetime.datetime:
    try:
        begins = datetime.datetime.strptime(start, "%Y-%m-%d %H:%M")
    except ValueError:
        raise ToolError(f"{start!r} is not a moment that exists") from None
    ends = begins + datetime.timedelta(minutes=minutes)
    if not 5 <= minutes <= 480:
        raise ToolError("a meeting takes 5 to 480 minutes")
    if begins.time() < _OPENS or ends.date() != begins.date() or ends.time() > _CLOSES:
        raise ToolError("meetings lie between 09:00 and 18:00")
    return begins


def search_events(
    tables: Tables,
    text: str = "",
    participant: str | None = None,
    first_day: Date | None = None,
    last_day: Date | None = None,
    page: int = 1,
) -> dict[str, Any]:
    """Search the calendar, soonest first, ten meetings a page.

    Args:
        text: A text that the title must contain.
        participant: The other participant's e-mail address.
        first_day: Only meetings on this day (YYYY-MM-DD) or later.
        last_day: Only meetings on this day (YYYY-MM-DD) or earlier.
        page: The page, from 1.
    """
    wanted = text.casefold()
    rows = [
        event
        for event in tables.table(Event).values()
        if wanted in event.title.casefold()
        and (participant is None or event.participant == participant.lower())
        and (first_day is None or event.start[:10] >= first_day)
        and (last_day is None or event.start[:10] <= last_day)
    ]
    return page_of(rows, page, "start", newest_first=False)


def read_event(tables: Tables, event_id: str) -> dict[str, Any]:
    """Read one meeting.

    Args:
        event_id: The id of the meeting.
    """
    return find(tables, Event, event_id).data()


def create_event(
    tables: Tables, title: str, participant: str, start: DateTime, minutes: int = 30
) -> str:
    """Put a meeting with a colleague into the calendar, between 09:00 and 18:00.

    Args:
        title: What the meeting is called.
        participant: The colleague's e-mail address.
        start: When it begins (YYYY-MM-DD HH:MM).
        minutes: How long it takes.
    """
    _checked(start, minutes)
    address = known_address(tables, participant)
    new = Event(tables.new_id(Event), title, address, start, minutes)
    tables.put(new)
    return new.id


def move_event(tables: Tables, event_id: str, start: DateTime) -> str:
    """Move a meeting to another time, between 09:00 and 18:00.

    Args:
        event_id: The id of the meeting.
        start: When it now begins (YYYY-MM-DD HH:MM).
    """
    event = find(tables, Event, event_id)
    _checked(start, event.minutes)
    tables.put(dataclasses.replace(event, start=start))
    return "done"


def change_event(
    tables: Tables,
    event_id: str,
    title: str | None = None,
    participant: str | None = None,
    minutes: int | None = None,
) -> str:
    """Change the title, the participant or the length of a meeting.

    Args:
        event_id: The id of the meeting.
        title: The new title.
        participant: The new participant's e-mail address.
        minutes: The new length.
    """
    event = find(tables, Event, event_id)
    if title is not None:
        event = dataclasses.replace(event, title=title)
    if participant is not None:
        event = dataclasses.replace(event, participant=known_address(tables, participant))
    if minutes is not None:
        _checked(event.start, minutes)
        event = dataclasses.replace(event, minutes=minutes)
    tables.put(event)
    return "done"


def cancel_event(tables: Tables, event_id: str) -> str:
    """Cancel a meeting.

    Args:
        event_id: The id of the meeting.
    """
    tables.remove(find(tables, Event, event_id))
    return "done"


def find_free_slots(tables: Tables, day: Date, minutes: int = 30) -> list[str]:
    """List the half hours of a day at which a meeting could begin.

    Args:
        day: The day (YYYY-MM-DD).
        minutes: How long the meeting takes.
    """
    busy = []
    for event in tables.table(Event).values():
        if event.start[:10] == day:
            begins = datetime.datetime.strptime(event.start, "%Y-%m-%d %H:%M")
            busy.append((begins, begins + datetime.timedelta(minutes=event.minutes)))
    at = datetime.datetime.combine(datetime.date.fromisoformat(day), _OPENS)
    closes = datetime.datetime.combine(at.date(), _CLOSES)
    length = datetime.timedelta(minutes=minutes)
    free = []
    while minutes > 0 and at + length <= closes:
        if all(at + length <= begins or at >= ends for begins, ends in busy):
            free.append(f"{at:%Y-%m-%d %H:%M}")
        at += datetime.timedelta(minutes=30)
    return free


FUNCTIONS = (
    search_events,
    read_event,
    create_event,
    move_event,
    change_event,
    cancel_event,
    find_free_slots,
)
