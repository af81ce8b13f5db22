"""Fills the office: people, messages, meetings, tasks, customers and visits, by seed."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from functools import lru_cache

from cascade.envs.toolworld import Row, Tables
from cascade.envs.workplace.office import (
    BOARDS,
    COLUMNS,
    ME,
    NOW,
    PRODUCTS,
    SOURCES,
    STAGES,
    Customer,
    Email,
    Employee,
    Event,
    Ticket,
    Visit,
)

__all__ = ["office"]

_FIRST = ("Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Igor", "Jun",
          "Kemal", "Lena", "Milo", "Nour", "Oskar", "Priya")  # fmt: skip
_LAST = ("Abara", "Brandt", "Costa", "Dahl", "Ekwall", "Fontana", "Gruber", "Haas", "Ito", "Jansen",
         "Kovac", "Lindt", "Moreno", "Novak", "Okafor", "Petrov")  # fmt: skip
_TEAMS = ("Design", "Engineering", "Sales", "Operations")
_TOPICS = ("Budget draft", "Release plan", "Hiring update", "Supplier contract", "Design review",
           "Survey results", "Training day", "Security audit", "Quarterly report")  # fmt: skip
_BODIES = ("Could you have a look before we meet?", "The numbers are attached as usual.",
           "I would like your opinion on the second part.",
           "Nothing urgent, only for your information.",
           "Please confirm when you can.")  # fmt: skip
_MEETINGS = ("Weekly sync", "Project kickoff", "One-to-one", "Roadmap session", "Retrospective",
             "Customer call", "Demo rehearsal")  # fmt: skip
_WORK = ("Fix login form", "Write onboarding guide", "Update price page", "Test offline mode",
         "Interview five users", "Clean up old branches", "Draft release notes",
         "Measure start time",
         "Replace icons", "Compare vendors")  # fmt: skip
_PLACES = ("Alder", "Birch", "Cedar", "Dune", "Elm", "Fjord", "Glen", "Harbor", "Isle", "Juniper",
           "Kelp", "Larch")  # fmt: skip
_TRADES = ("Logistics", "Foods", "Optics", "Motors", "Textiles")
_NOTES = ("", "Met at the fair.", "Asked for a demo.")
_DAYS_OF_VISITS = 60


@lru_cache(maxsize=16)
def _start(seed: int) -> Tables:
    return Tables(_rows(random.Random(f"office {seed}")))


def office(seed: int = 0) -> Tables:
    """Return a fresh office. The same seed fills the same one, on any machine."""
    return _start(seed).copy()


def _rows(rng: random.Random) -> Iterator[Row]:
    people = [
        Employee(f"p{i + 1:04}", f"{first} {last}",
                 f"{first.lower()}.{last.lower()}@fernhill.example", rng.choice(_TEAMS))
        for i, (first, last) in enumerate(zip(_FIRST, rng.sample(_LAST, len(_LAST)), strict=True))
    ]  # fmt: skip
    yield from people
    addresses = [person.email for person in people]
    yield from _emails(rng, addresses)
    yield from _events(rng, addresses)
    yield from _tickets(rng, addresses)
    yield from _customers(rng, addresses)
    yield from _visits(rng)


def _moment(rng: random.Random, first_day: int, last_day: int) -> datetime.datetime:
    """A working moment between so many days from today, on the half hour."""
    day = NOW.date() + datetime.timedelta(days=rng.randint(first_day, last_day))
    return datetime.datetime.combine(day, datetime.time(rng.randint(9, 16), rng.choice((0, 30))))


def _emails(rng: random.Random, addresses: list[str]) -> Iterator[Email]:
    # Minutes apart, so that "the latest" is never two messages.
    moments = sorted(_moment(rng, -40, -1) for _ in range(160))
    for index, moment in enumerate(moments):
        other = rng.choice(addresses)
        inbox = rng.random() < 0.75
        sender, recipient = (other, ME) if inbox else (ME, other)
        sent_at = f"{moment + datetime.timedelta(minutes=index % 29):%Y-%m-%d %H:%M}"
        yield Email(f"e{index + 1:04}", "inbox" if inbox else "sent", sender, recipient,
                    rng.choice(_TOPICS), rng.choice(_BODIES), sent_at)  # fmt: skip


def _events(rng: random.Random, addresses: list[str]) -> Iterator[Event]:
    taken: set[datetime.datetime] = set()
    while len(taken) < 70:
        taken.add(_moment(rng, -15, 25))
    for index, start in enumerate(sorted(taken)):
        yield Event(f"m{index + 1:04}", rng.choice(_MEETINGS), rng.choice(addresses),
                    f"{start:%Y-%m-%d %H:%M}", rng.choice((30, 30, 60)))  # fmt: skip


def _tickets(rng: random.Random, addresses: list[str]) -> Iterator[Ticket]:
    for index in range(90):
        due = NOW.date() + datetime.timedelta(days=rng.randint(-20, 40))
        yield Ticket(f"t{index + 1:04}", rng.choice(_WORK), rng.choice(addresses),
                     rng.choice(BOARDS), rng.choice(COLUMNS), due.isoformat())  # fmt: skip


def _customers(rng: random.Random, addresses: list[str]) -> Iterator[Customer]:
    names = [f"{place} {trade}" for place in _PLACES for trade in _TRADES]
    for index, name in enumerate(rng.sample(names, 60)):
        last = NOW.date() - datetime.timedelta(days=rng.randint(1, 90))
        yield Customer(f"c{index + 1:04}", name, f"office@{name.replace(' ', '').lower()}.example",
                       rng.choice(addresses), rng.choice(STAGES), rng.choice(PRODUCTS),
                       last.isoformat(), rng.choice(_NOTES))  # fmt: skip


def _visits(rng: random.Random) -> Iterator[Visit]:
    number = 0
    for back in range(_DAYS_OF_VISITS, 0, -1):
        day = (NOW.date() - datetime.timedelta(days=back)).isoformat()
        for _ in range(rng.randint(2, 9)):
            number += 1
            yield Visit(f"v{number:04}", day, f"visitor{rng.randint(100, 999)}",
                        rng.choice(SOURCES), rng.randint(5, 900), rng.random() < 0.4)  # fmt: skip
