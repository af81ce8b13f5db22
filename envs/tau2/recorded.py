"""What a file of results shows of its data base, for those who have the results alone.

Such a data base is a part of the published one. It is enough to judge the episodes it was read
from: a document that nobody looked at was changed neither by the agent nor, where it was changed as
expected, without the agent. Changes of documents that the records do not show are compared call by
call (`unseen_changes`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cascade.envs.tau2.documents import Document, Documents
from cascade.envs.tau2.domains import Domain
from cascade.envs.tau2.judging import looks_only
from cascade.verifiers.tools import Call

__all__ = ["recorded_tables", "succeeded", "unseen_changes"]

Tables = dict[str, dict[str, Document]]
_TABLE_OF = {
    "get_user_details": ("users", "user_id"),
    "get_order_details": ("orders", "order_id"),
    "get_product_details": ("products", "product_id"),
    "get_reservation_details": ("reservations", "reservation_id"),
}


def recorded_tables(simulations: Iterable[Mapping[str, Any]], tables: Sequence[str]) -> Tables:
    """Collect the documents that the tools showed before anything was changed.

    Every episode starts from the same data base, so what one episode read holds for all. Flights
    are shown by searches (seats and prices) and by their state on a day.

    Args:
        simulations: episodes with their messages, as tau2-bench stores them.
        tables: the tables of the domain; each is there, if only empty.
    """
    found: Tables = {table: {} for table in tables}
    for simulation in simulations:
        for name, arguments, result in _untouched(simulation["messages"]):
            if name in _TABLE_OF:
                table, key = _TABLE_OF[name]
                found[table].setdefault(result[key], result)
            elif name.startswith("search_"):
                for flight in _flat(result):
                    _add_flight(found["flights"], flight, flight.get("date") or arguments["date"])
            elif name == "get_flight_status" and result != "available":
                state = {"flight_number": arguments["flight_number"], "status": result}
                _add_flight(found["flights"], state, arguments["date"])
    return found


def unseen_changes(domain: Domain, start: Documents, calls: Iterable[Call]) -> Counter[str]:
    """Count the calls that would change a document which the data base does not have."""
    documents, found = start.copy(), Counter[str]()
    for call in calls:
        if looks_only(call.name):
            continue
        result = domain.toolbox.call(documents, call.name, call.arguments)
        if result.failed and "not found" in result.text:
            found[json.dumps([call.name, call.arguments], sort_keys=True)] += 1
    return found


def succeeded(messages: Sequence[Mapping[str, Any]]) -> list[Call]:
    """Return the calls that may have changed something and whose recorded result is no error."""
    results = {m["id"]: m["content"] or "" for m in messages if m["role"] == "tool"}
    return [
        Call(call["name"], call["arguments"])
        for message in messages
        for call in message.get("tool_calls") or ()
        if not looks_only(call["name"]) and not results.get(call["id"], "").startswith("Error")
    ]


def _untouched(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """Calls with arguments and results, up to the first that changes anything."""
    results = {m["id"]: m["content"] for m in messages if m["role"] == "tool"}
    for message in messages:
        for call in message.get("tool_calls") or ():
            if not looks_only(call["name"]):
                return
            text = results.get(call["id"]) or ""
            if not text.startswith("Error"):
                yield call["name"], call["arguments"], _parsed(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(flights: Any) -> Iterator[Document]:
    for item in flights:
        yield from _flat(item) if isinstance(item, list) else (item,)


def _add_flight(flights: dict[str, Document], shown: Document, date: str) -> None:
    number = shown["flight_number"]
    flight = flights.setdefault(number, {"flight_number": number, "dates": {}})
    for field in ("origin", "destination", "scheduled_departure_time_est",
                  "scheduled_arrival_time_est"):  # fmt: skip
        if field in shown:
            flight[field] = shown[field]
    if "prices" in shown or date not in flight["dates"]:
        kept = ("status", "available_seats", "prices")
        flight["dates"][date] = {field: shown[field] for field in kept if field in shown}
