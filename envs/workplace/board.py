"""The task boards. Each docstring is what the model reads."""

from __future__ import annotations

import dataclasses
from typing import Any

from cascade.envs.toolworld import Date, Tables
from cascade.envs.workplace.lookup import find, known_address, page_of
from cascade.envs.workplace.office import Board, Column, Ticket

__all__ = ["FUNCTIONS"]


def search_tickets(
    tables: Tables,
    text: str = "",
    assignee: str | None = None,
    board: Board | None = None,
    column: Column | None = None,
    due_before: Date | None = None,
    page: int = 1,
) -> dict[str, Any]:
    """Search the task boards, soonest due first, ten tickets a page.

    Args:
        text: A text that the title must contain.
        assignee: The e-mail address of the person whose ticket it is.
        board: Only this board.
        column: Only this column.
        due_before: Only tickets due before this day (YYYY-MM-DD).
        page: The page, from 1.
    """
    wanted = text.casefold()
    rows = [
        ticket
        for ticket in tables.table(Ticket).values()
        if wanted in ticket.title.casefold()
        and (assignee is None or ticket.assignee == assignee.lower())
        and (board is None or ticket.board == board)
        and (column is None or ticket.column == column)
        and (due_before is None or ticket.due < due_before)
    ]
    return page_of(rows, page, "due", newest_first=False)


def read_ticket(tables: Tables, ticket_id: str) -> dict[str, Any]:
    """Read one ticket.

    Args:
        ticket_id: The id of the ticket.
    """
    return find(tables, Ticket, ticket_id).data()


def create_ticket(
    tables: Tables, title: str, assignee: str, board: Board, due: Date, column: Column = "Backlog"
) -> str:
    """Put a ticket on a board.

    Args:
        title: What is to be done.
        assignee: The e-mail address of the person who shall do it.
        board: The board.
        due: The day it is due (YYYY-MM-DD).
        column: The column to put it in.
    """
    address = known_address(tables, assignee)
    new = Ticket(tables.new_id(Ticket), title, address, board, column, due)
    tables.put(new)
    return new.id


def move_ticket(tables: Tables, ticket_id: str, column: Column) -> str:
    """Move a ticket to another column of its board.

    Args:
        ticket_id: The id of the ticket.
        column: The column it goes to.
    """
    tables.put(dataclasses.replace(find(tables, Ticket, ticket_id), column=column))
    return "done"


def assign_ticket(tables: Tables, ticket_id: str, assignee: str) -> str:
    """Give a ticket to another person.

    Args:
        ticket_id: The id of the ticket.
        assignee: The e-mail address of the person who takes it over.
    """
    ticket = find(tables, Ticket, ticket_id)
    tables.put(dataclasses.replace(ticket, assignee=known_address(tables, assignee)))
    return "done"


def reschedule_ticket(tables: Tables, ticket_id: str, due: Date) -> str:
    """Set the day on which a ticket is due.

    Args:
        ticket_id: The id of the ticket.
        due: The new day (YYYY-MM-DD).
    """
    tables.put(dataclasses.replace(find(tables, Ticket, ticket_id), due=due))
    return "done"


def delete_ticket(tables: Tables, ticket_id: str) -> str:
    """Delete a ticket.

    Args:
        ticket_id: The id of the ticket.
    """
    tables.remove(find(tables, Ticket, ticket_id))
    return "done"


FUNCTIONS = (
    search_tickets,
    read_ticket,
    create_ticket,
    move_ticket,
    assign_ticket,
    reschedule_ticket,
    delete_ticket,
)
