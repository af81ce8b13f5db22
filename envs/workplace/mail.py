"""The directory and the mailbox. Each docstring is what the model reads."""

from __future__ import annotations

from typing import Any, Literal

from cascade.envs.toolworld import Date, Tables
from cascade.envs.workplace.lookup import find, known_address, page_of
from cascade.envs.workplace.office import ME, NOW, Email, Employee

__all__ = ["FUNCTIONS"]


def find_employee(tables: Tables, name: str) -> list[dict[str, str]]:
    """Find colleagues by a part of their name.

    Args:
        name: A part of the name, in any case.
    """
    wanted = name.casefold()
    return [
        {"name": p.name, "email": p.email, "team": p.team}
        for p in tables.table(Employee).values()
        if wanted in p.name.casefold()
    ]


def search_emails(
    tables: Tables,
    text: str = "",
    sender: str | None = None,
    recipient: str | None = None,
    folder: Literal["inbox", "sent"] | None = None,
    since: Date | None = None,
    page: int = 1,
) -> dict[str, Any]:
    """Search the mailbox, newest first, ten messages a page.

    Args:
        text: A text that the subject or the body must contain.
        sender: The sender's e-mail address.
        recipient: The recipient's e-mail address.
        folder: Only this folder.
        since: Only messages of this day (YYYY-MM-DD) or later.
        page: The page, from 1.
    """
    wanted = text.casefold()
    rows = [
        mail
        for mail in tables.table(Email).values()
        if (sender is None or mail.sender == sender.lower())
        and (recipient is None or mail.recipient == recipient.lower())
        and (folder is None or mail.folder == folder)
        and (since is None or mail.sent_at >= since)
        and (wanted in mail.subject.casefold() or wanted in mail.body.casefold())
    ]
    return page_of(rows, page, "sent_at", newest_first=True)


def read_email(tables: Tables, email_id: str) -> dict[str, Any]:
    """Read one message.

    Args:
        email_id: The id of the message.
    """
    return find(tables, Email, email_id).data()


def _send(tables: Tables, recipient: str, subject: str, body: str) -> str:
    new = Email(tables.new_id(Email), "sent", ME, recipient, subject, body, f"{NOW:%Y-%m-%d %H:%M}")
    tables.put(new)
    return new.id


def send_email(tables: Tables, recipient: str, subject: str, body: str) -> str:
    """Send a message to a colleague.

    Args:
        recipient: The colleague's e-mail address.
        subject: The subject.
        body: The text.
    """
    return _send(tables, known_address(tables, recipient), subject, body)


def reply_to_email(tables: Tables, email_id: str, body: str) -> str:
    """Answer the sender of a message from the inbox.

    Args:
        email_id: The id of the message to answer.
        body: The text of the answer.
    """
    mail = find(tables, Email, email_id)
    other = mail.sender if mail.folder == "inbox" else mail.recipient
    return _send(tables, other, f"Re: {mail.subject.removeprefix('Re: ')}", body)


def forward_email(tables: Tables, email_id: str, recipient: str) -> str:
    """Forward a message to a colleague.

    Args:
        email_id: The id of the message to forward.
        recipient: The colleague's e-mail address.
    """
    mail = find(tables, Email, email_id)
    return _send(tables, known_address(tables, recipient), f"Fwd: {mail.subject}", mail.body)


def delete_email(tables: Tables, email_id: str) -> str:
    """Delete a message.

    Args:
        email_id: The id of the message.
    """
    tables.remove(find(tables, Email, email_id))
    return "done"


FUNCTIONS = (
    find_employee,
    search_emails,
    read_email,
    send_email,
    reply_to_email,
    forward_email,
    delete_email,
)
