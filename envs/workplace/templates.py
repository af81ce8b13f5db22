"""What a user may ask of the office: each template is a request and the calls that fulfil it.

A template draws its people, days and words from `rng` and the tables, looks up by the tools what a
model would have to look up, and returns None where this office has nothing that fits. Every gold
path changes a table, so that doing nothing never earns the reward.
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade.envs.toolworld import Tables
from cascade.envs.workplace.office import (
    BOARDS,
    COLUMNS,
    NOW,
    PRODUCTS,
    STAGES,
    Customer,
    Email,
    Employee,
    Event,
)
from cascade.envs.workplace.tools import OFFICE
from cascade.verifiers.tools import Call

__all__ = ["TEMPLATES", "Draft", "Template"]

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip
_SUBJECTS = ("Lunch on Friday", "New office keys", "Travel plans", "Invoice question",
             "Welcome on board", "Printer is back", "Photo for the web site")  # fmt: skip
_TEXTS = ("Please let me know by tomorrow.", "Thank you for your help.", "Can we talk about it?",
          "All is ready on our side.", "I will send the details soon.")  # fmt: skip
_TITLES = ("Planning talk", "Budget round", "Interview", "Design critique", "Handover")
_JOBS = ("Order new chairs", "Check the backups", "Translate the manual", "Collect feedback",
         "Prepare the stand", "Review the contract")  # fmt: skip
_COMPANIES = ("Quarry Mills", "Saltmarsh Ferries", "Tindal Paper", "Umber Clay", "Wren Aviation")
_METRICS = ("visits", "engaged visits", "average seconds")


@dataclass
class Draft:
    """A request in the making: tools are really called, on the copy that the draft owns."""

    tables: Tables
    rng: random.Random
    calls: list[Call] = field(default_factory=list)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool, note the call, and return its value."""
        self.calls.append(Call(name, arguments))
        result = OFFICE.call(self.tables, name, arguments)
        return json.loads(result.text)

    def colleague(self, *others: Employee) -> Employee:
        """Somebody else than `others`."""
        people = [p for p in self.tables.table(Employee).values() if p not in others]
        return self.rng.choice(people)

    def look_up(self, person: Employee) -> str:
        """Find the address of `person` as a model must."""
        (found,) = self.call("find_employee", name=first_name(person))
        return str(found["email"])

    def pick(self, *choices: str) -> str:
        """One of several wordings."""
        return self.rng.choice(choices)


Template = Callable[[Draft], str | None]
"""Writes the calls into the draft and returns the request; None where nothing fits."""


def first_name(person: Employee) -> str:
    """What everybody calls a colleague: first names are unique in the office."""
    return person.name.split()[0]


def spoken(day: datetime.date | str) -> str:
    """A day as people say it, in any locale."""
    date = datetime.date.fromisoformat(day) if isinstance(day, str) else day
    return f"{_MONTHS[date.month - 1]} {date.day}"


def _workday(rng: random.Random) -> datetime.date:
    while True:
        day = NOW.date() + datetime.timedelta(days=rng.randint(1, 30))
        if day.weekday() < 5:
            return day


def _rows(found: Any, most: int) -> Sequence[dict[str, Any]] | None:
    """The rows of a search, if there are one to `most` of them and all are shown."""
    rows: Sequence[dict[str, Any]] = found["rows"]
    return rows if 1 <= found["total"] <= most else None


def send_message(draft: Draft) -> str | None:
    person = draft.colleague()
    subject, body = draft.rng.choice(_SUBJECTS), draft.rng.choice(_TEXTS)
    draft.call("send_email", recipient=draft.look_up(person), subject=subject, body=body)
    name = first_name(person)
    return draft.pick(
        f'Send {name} an e-mail with the subject "{subject}" that says "{body}"',
        f'Write to {name}: subject "{subject}", text "{body}"',
    )


def delete_latest(draft: Draft) -> str | None:
    person = draft.colleague()
    found = draft.call("search_emails", sender=draft.look_up(person), folder="inbox")
    if not found["rows"]:
        return None
    draft.call("delete_email", email_id=found["rows"][0]["id"])
    name = first_name(person)
    return draft.pick(
        f"Delete the last e-mail I got from {name}.", f"{name}'s latest message can go."
    )


def delete_about(draft: Draft) -> str | None:
    mail = draft.rng.choice(list(draft.tables.table(Email).values()))
    person = _by_address(draft, mail.sender)
    if person is None:
        return None
    address = draft.look_up(person)
    rows = _rows(draft.call("search_emails", text=mail.subject, sender=address), 5)
    if rows is None:
        return None
    for row in rows:
        draft.call("delete_email", email_id=row["id"])
    return f'Delete all e-mails about "{mail.subject}" that {first_name(person)} sent me.'


def _by_address(draft: Draft, address: str) -> Employee | None:
    people = draft.tables.table(Employee).values()
    return next((person for person in people if person.email == address), None)


def forward_latest(draft: Draft) -> str | None:
    person = draft.colleague()
    other = draft.colleague(person)
    found = draft.call("search_emails", sender=draft.look_up(person), folder="inbox")
    if not found["rows"]:
        return None
    address = draft.look_up(other)
    draft.call("forward_email", email_id=found["rows"][0]["id"], recipient=address)
    return f"Forward the latest e-mail from {first_name(person)} to {first_name(other)}."


def answer_latest(draft: Draft) -> str | None:
    person = draft.colleague()
    found = draft.call("search_emails", sender=draft.look_up(person), folder="inbox")
    if not found["rows"]:
        return None
    body = draft.rng.choice(_TEXTS)
    draft.call("reply_to_email", email_id=found["rows"][0]["id"], body=body)
    return f'Reply to the last e-mail from {first_name(person)} with "{body}"'


def new_meeting(draft: Draft) -> str | None:
    person, title = draft.colleague(), draft.rng.choice(_TITLES)
    start = f"{_workday(draft.rng)} {draft.rng.randint(9, 16):02}:{draft.rng.choice(('00', '30'))}"
    minutes = draft.rng.choice((15, 30, 45, 60))
    address = draft.look_up(person)
    draft.call("create_event", title=title, participant=address, start=start, minutes=minutes)
    return (
        f'Set up a meeting of {minutes} minutes with {first_name(person)} called "{title}" on '
        f"{spoken(start[:10])} at {start[11:]}."
    )


def _next_meeting(draft: Draft, person: Employee) -> dict[str, Any] | None:
    tomorrow = (NOW.date() + datetime.timedelta(days=1)).isoformat()
    address = draft.look_up(person)
    found = draft.call("search_events", participant=address, first_day=tomorrow)
    return found["rows"][0] if found["rows"] else None


def cancel_next(draft: Draft) -> str | None:
    person = draft.colleague()
    event = _next_meeting(draft, person)
    if event is None:
        return None
    draft.call("cancel_event", event_id=event["id"])
    name = first_name(person)
    return draft.pick(
        f"Cancel my next meeting with {name} from tomorrow on.",
        f"I cannot make it to my next meeting with {name} after today; cancel it.",
    )


def move_next(draft: Draft) -> str | None:
    person = draft.colleague()
    event = _next_meeting(draft, person)
    start = f"{_workday(draft.rng)} {draft.rng.randint(9, 16):02}:00"
    if event is None or event["start"] == start:
        return None
    draft.call("move_event", event_id=event["id"], start=start)
    return (
        f"Move my next meeting with {first_name(person)} after today to {spoken(start[:10])} at "
        f"{start[11:]}."
    )


def hand_over_next(draft: Draft) -> str | None:
    person = draft.colleague()
    other = draft.colleague(person)
    event = _next_meeting(draft, person)
    if event is None:
        return None
    draft.call("change_event", event_id=event["id"], participant=draft.look_up(other))
    names = first_name(person), first_name(other)
    return (
        f"My next meeting with {names[0]} after today will be with {names[1]} instead. Change it."
    )


def clear_day(draft: Draft) -> str | None:
    event = draft.rng.choice(list(draft.tables.table(Event).values()))
    day = event.start[:10]
    if day <= NOW.date().isoformat():
        return None
    rows = _rows(draft.call("search_events", first_day=day, last_day=day), 6)
    if rows is None:
        return None
    for row in rows:
        draft.call("cancel_event", event_id=row["id"])
    return draft.pick(f"Cancel everything in my calendar on {spoken(day)}.",
                      f"I am away on {spoken(day)}: cancel all meetings of that day.")  # fmt: skip


def first_free_slot(draft: Draft) -> str | None:
    person, day = draft.colleague(), _workday(draft.rng)
    minutes = draft.rng.choice((30, 60))
    free = draft.call("find_free_slots", day=day.isoformat(), minutes=minutes)
    if not free:
        return None
    title, address = draft.rng.choice(_TITLES), draft.look_up(person)
    draft.call("create_event", title=title, participant=address, start=free[0], minutes=minutes)
    return (
        f'Find the first free {minutes} minutes on {spoken(day)} and put a meeting "{title}" with '
        f"{first_name(person)} there."
    )


def new_ticket(draft: Draft) -> str | None:
    person, title = draft.colleague(), draft.rng.choice(_JOBS)
    board, due = draft.rng.choice(BOARDS), _workday(draft.rng)
    address = draft.look_up(person)
    draft.call("create_ticket", title=title, assignee=address, board=board, due=due.isoformat())
    return (
        f'Add a ticket "{title}" for {first_name(person)} to the backlog of the {board} board, due '
        f"{spoken(due)}."
    )


def postpone_overdue(draft: Draft) -> str | None:
    board, column = draft.rng.choice(BOARDS), draft.rng.choice(COLUMNS[:3])
    today, due = NOW.date().isoformat(), _workday(draft.rng)
    rows = _rows(draft.call("search_tickets", board=board, column=column, due_before=today), 7)
    if rows is None:
        return None
    for row in rows:
        draft.call("reschedule_ticket", ticket_id=row["id"], due=due.isoformat())
    return f"All overdue tickets in {column} on the {board} board are now due on {spoken(due)}."


def reassign_tickets(draft: Draft) -> str | None:
    person = draft.colleague()
    other, column = draft.colleague(person), draft.rng.choice(COLUMNS[:3])
    rows = _rows(draft.call("search_tickets", assignee=draft.look_up(person), column=column), 5)
    if rows is None:
        return None
    address = draft.look_up(other)
    for row in rows:
        draft.call("assign_ticket", ticket_id=row["id"], assignee=address)
    return (
        f"{first_name(person)} is on leave: give all of {first_name(person)}'s tickets in {column} "
        f"to {first_name(other)}."
    )


def move_tickets(draft: Draft) -> str | None:
    person, board = draft.colleague(), draft.rng.choice(BOARDS)
    source, target = draft.rng.sample(COLUMNS, 2)
    address = draft.look_up(person)
    rows = _rows(draft.call("search_tickets", assignee=address, board=board, column=source), 6)
    if rows is None:
        return None
    for row in rows:
        draft.call("move_ticket", ticket_id=row["id"], column=target)
    return f"Move {first_name(person)}'s tickets on the {board} board from {source} to {target}."


def delete_done(draft: Draft) -> str | None:
    person = draft.colleague()
    rows = _rows(draft.call("search_tickets", assignee=draft.look_up(person), column="Done"), 6)
    if rows is None:
        return None
    for row in rows:
        draft.call("delete_ticket", ticket_id=row["id"])
    return f"Delete all tickets of {first_name(person)} that are done."


def new_customer(draft: Draft) -> str | None:
    person, name = draft.colleague(), draft.rng.choice(_COMPANIES)
    product = draft.rng.choice(PRODUCTS)
    email = f"hello@{name.split()[0].lower()}.example"
    owner = draft.look_up(person)
    draft.call("add_customer", name=name, email=email, owner=owner, product=product)
    return (
        f"Add {name} ({email}) as a new lead for {product}; {first_name(person)} looks after them."
    )


def set_stage(draft: Draft) -> str | None:
    customer = draft.rng.choice(list(draft.tables.table(Customer).values()))
    stage = draft.rng.choice([stage for stage in STAGES if stage != customer.stage])
    (row,) = draft.call("search_customers", name=customer.name)["rows"]
    draft.call("update_customer", customer_id=row["id"], stage=stage)
    return draft.pick(f"Set {customer.name} to {stage}.", f"{customer.name} is now at {stage}.")


def drop_customer(draft: Draft) -> str | None:
    customer = draft.rng.choice(list(draft.tables.table(Customer).values()))
    (row,) = draft.call("search_customers", name=customer.name)["rows"]
    draft.call("remove_customer", customer_id=row["id"])
    return draft.pick(f"Remove {customer.name} from our customers.", f"Delete {customer.name}.")


def lose_silent_customers(draft: Draft) -> str | None:
    product, stage = draft.rng.choice(PRODUCTS), draft.rng.choice(STAGES[:3])
    weeks = draft.rng.randint(4, 10)
    day = (NOW.date() - datetime.timedelta(weeks=weeks)).isoformat()
    found = draft.call("search_customers", stage=stage, product=product, contacted_before=day)
    rows = _rows(found, 7)
    if rows is None:
        return None
    for row in rows:
        draft.call("update_customer", customer_id=row["id"], stage="Lost")
    return (
        f"Customers at {stage} for {product} whom nobody has contacted since before {spoken(day)} "
        "are lost. Update them."
    )


def hand_over_customers(draft: Draft) -> str | None:
    person = draft.colleague()
    other, stage = draft.colleague(person), draft.rng.choice(STAGES)
    rows = _rows(draft.call("search_customers", owner=draft.look_up(person), stage=stage), 5)
    if rows is None:
        return None
    owner = draft.look_up(other)
    for row in rows:
        draft.call("update_customer", customer_id=row["id"], owner=owner)
    return f"{first_name(other)} takes over {first_name(person)}'s customers at {stage}."


def plot(draft: Draft) -> str | None:
    metric, kind = draft.rng.choice(_METRICS), draft.rng.choice(("bar", "line"))
    first, last = _span(draft.rng)
    draft.call("create_plot", metric=metric, kind=kind, first_day=first, last_day=last)
    return f"Make a {kind} chart of {metric} from {spoken(first)} to {spoken(last)}."


def _span(rng: random.Random) -> tuple[str, str]:
    first = NOW.date() - datetime.timedelta(days=rng.randint(15, 55))
    return first.isoformat(), (first + datetime.timedelta(days=rng.randint(3, 14))).isoformat()


def report_or_ticket(draft: Draft) -> str | None:
    first, last = _span(draft.rng)
    limit = draft.rng.randint(20, 80)
    count = draft.call("count_visits", first_day=first, last_day=last)
    person, board, due = draft.colleague(), draft.rng.choice(BOARDS), _workday(draft.rng)
    address = draft.look_up(person)
    if count > limit:
        draft.call("send_email", recipient=address, subject="Visits", body="We did well.")
    else:
        draft.call("create_ticket", title="Find more visitors", assignee=address, board=board,
                   due=due.isoformat())  # fmt: skip
    name = first_name(person)
    return (
        f"If there were more than {limit} visits from {spoken(first)} to {spoken(last)}, send "
        f'{name} an e-mail "Visits" with the text "We did well."; if not, add a ticket "Find more '
        f'visitors" for {name} to the backlog of the {board} board, due {spoken(due)}.'
    )


TEMPLATES: tuple[Template, ...] = (
    send_message,
    delete_latest,
    delete_about,
    forward_latest,
    answer_latest,
    new_meeting,
    cancel_next,
    move_next,
    hand_over_next,
    clear_day,
    first_free_slot,
    new_ticket,
    postpone_overdue,
    reassign_tickets,
    move_tickets,
    delete_done,
    new_customer,
    set_stage,
    drop_customer,
    lose_silent_customers,
    hand_over_customers,
    plot,
    report_or_ticket,
)
