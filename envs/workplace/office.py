"""The tables of the office, and the moment at which every episode takes place."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from cascade.envs.toolworld import Row

__all__ = [
    "BOARDS",
    "COLUMNS",
    "ME",
    "NOW",
    "PRODUCTS",
    "SOURCES",
    "STAGES",
    "Board",
    "Column",
    "Customer",
    "Email",
    "Employee",
    "Event",
    "Metric",
    "Plot",
    "Product",
    "Source",
    "Stage",
    "Ticket",
    "Visit",
]

NOW = datetime.datetime(2026, 3, 12, 16, 30)
"""A Thursday. The world's clock stands still."""
ME = "robin.vale@fernhill.example"
"""The user, whose mailbox and calendar these are."""

Board = Literal["Website", "Mobile", "Research"]
Column = Literal["Backlog", "Doing", "Review", "Done"]
Stage = Literal["Lead", "Contacted", "Offer", "Won", "Lost"]
Product = Literal["Sensors", "Software", "Support", "Training"]
Source = Literal["search", "newsletter", "social", "direct"]
Metric = Literal["visits", "engaged visits", "average seconds"]
BOARDS: tuple[Board, ...] = get_args(Board)
COLUMNS: tuple[Column, ...] = get_args(Column)
STAGES: tuple[Stage, ...] = get_args(Stage)
PRODUCTS: tuple[Product, ...] = get_args(Product)
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, slots=True)
class Employee(Row):
    """A colleague."""

    prefix: ClassVar[str] = "p"
    name: str
    email: str
    team: str


@dataclass(frozen=True, slots=True)
class Email(Row):
    """A message in the user's mailbox."""

    prefix: ClassVar[str] = "e"
    wording: ClassVar[frozenset[str]] = frozenset({"subject", "body"})
    folder: Literal["inbox", "sent"]
    sender: str
    recipient: str
    subject: str
    body: str
    sent_at: str


@dataclass(frozen=True, slots=True)
class Event(Row):
    """A meeting of the user with one colleague."""

    prefix: ClassVar[str] = "m"
    wording: ClassVar[frozenset[str]] = frozenset({"title"})
    title: str
    participant: str
    start: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Ticket(Row):
    """A task on a board."""

    prefix: ClassVar[str] = "t"
    wording: ClassVar[frozenset[str]] = frozenset({"title"})
    title: str
    assignee: str
    board: Board
    column: Column
    due: str


@dataclass(frozen=True, slots=True)
class Customer(Row):
    """A company that buys, or might."""

    prefix: ClassVar[str] = "c"
    wording: ClassVar[frozenset[str]] = frozenset({"name", "notes"})
    name: str
    email: str
    owner: str
    stage: Stage
    product: Product
    last_contact: str
    notes: str


@dataclass(frozen=True, slots=True)
class Visit(Row):
    """A visit to the company's web site."""

    prefix: ClassVar[str] = "v"
    day: str
    visitor: str
    source: Source
    seconds: int
    engaged: bool


@dataclass(frozen=True, slots=True)
class Plot(Row):
    """A chart that was made."""

    prefix: ClassVar[str] = "g"
    metric: Metric
    kind: Literal["bar", "line"]
    first_day: str
    last_day: str
