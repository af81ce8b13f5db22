"""The tools of τ²-bench's airline domain: users, reservations, flights.

Behaviour, names, arguments and errors are those of sierra-research/tau2-bench at a2c0247; the
descriptions are ours. Peculiarities that decide rewards are kept: seats are taken by a booking
alone, never by a change and never given back; a certificate pays whole and is then gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

from cascade.envs.tau2.arithmetic import calculate as value_of
from cascade.envs.tau2.documents import Document, Documents
from cascade.envs.toolworld import Toolbox, ToolError

__all__ = ["AIRLINE", "DEFAULTS"]

DEFAULTS = {"reservations": ("status",)}
"""Table -> fields that a document without them has as null."""

_NOW = "2024-05-15T15:00:00"
_NEW_RESERVATIONS = ("HATHAT", "HATHAU", "HATHAV")
_NEW_CERTIFICATES = ("certificate_3221322", "certificate_3221323", "certificate_3221324")
_INSURANCE, _BAG = 30, 50
"""Dollars a passenger, dollars a bag."""
_AIRPORTS = {
    "SFO": "San Francisco", "JFK": "New York", "LAX": "Los Angeles", "ORD": "Chicago",
    "DFW": "Dallas", "DEN": "Denver", "SEA": "Seattle", "ATL": "Atlanta", "MIA": "Miami",
    "BOS": "Boston", "PHX": "Phoenix", "IAH": "Houston", "LAS": "Las Vegas", "MCO": "Orlando",
    "EWR": "Newark", "CLT": "Charlotte", "MSP": "Minneapolis", "DTW": "Detroit",
    "PHL": "Philadelphia", "LGA": "LaGuardia",
}  # fmt: skip


class FlightOnDate(TypedDict):
    """One flight of a reservation."""

    flight_number: str
    date: str


class Passenger(TypedDict):
    """Who flies."""

    first_name: str
    last_name: str
    dob: str


class Payment(TypedDict):
    """What one payment method pays."""

    payment_id: str
    amount: int


def _found(documents: Documents, table: str, key: str, what: str) -> Document:
    document = documents.find(table, key)
    if document is None:
        raise ToolError(f"{what} {key} not found")
    return document


def _on_date(documents: Documents, number: str, date: str) -> Document:
    flight = _found(documents, "flights", number, "Flight")
    if date not in flight["dates"]:
        raise ToolError(f"Flight {number} not found on date {date}")
    there: Document = flight["dates"][date]
    return there


def _seats(documents: Documents, asked: FlightOnDate, cabin: str, count: int) -> Document:
    """The flight as a reservation holds it, with its price; it must have `count` free seats."""
    number, date = asked["flight_number"], asked["date"]
    flight = _found(documents, "flights", number, "Flight")
    there = _on_date(documents, number, date)
    if there["status"] != "available":
        raise ToolError(f"Flight {number} not available on date {date}")
    if cabin not in there["available_seats"]:
        raise ToolError(f"there is no cabin {cabin[:20]!r}")
    if there["available_seats"][cabin] < count:
        raise ToolError(f"Not enough seats on flight {number}")
    return {
        "flight_number": number, "origin": flight["origin"], "destination": flight["destination"],
        "date": date, "price": there["prices"][cabin],
    }  # fmt: skip


def _only(given: Mapping[str, Any], kind: type) -> Document:
    """The fields that a record has; models add others."""
    return {name: given[name] for name in kind.__annotations__}


def _direct(
    documents: Documents,
    date: str,
    origin: str | None,
    destination: str | None,
    after: str | None = None,
) -> Iterator[Document]:
    for flight in documents.all("flights"):
        there = flight["dates"].get(date)
        if there is None or there["status"] != "available":
            continue
        if origin not in (None, flight["origin"]):
            continue
        if destination not in (None, flight["destination"]):
            continue
        if after is not None and flight["scheduled_departure_time_est"] < after:
            continue
        yield {
            "flight_number": flight["flight_number"],
            "origin": flight["origin"],
            "destination": flight["destination"],
            "status": "available",
            "scheduled_departure_time_est": flight["scheduled_departure_time_est"],
            "scheduled_arrival_time_est": flight["scheduled_arrival_time_est"],
            "date": None,
            "available_seats": there["available_seats"],
            "prices": there["prices"],
        }


def _charged(documents: Documents, user_id: str, payment_id: str, price: int) -> list[Document]:
    """Take the price of a change from a method; return what goes into the payment history."""
    methods = _found(documents, "users", user_id, "User")["payment_methods"]
    if payment_id not in methods:
        raise ToolError("Payment method not found")
    method = methods[payment_id]
    if method["source"] == "certificate":
        raise ToolError("Certificate cannot be used to update reservation")
    if method["source"] == "gift_card":
        if method["amount"] < price:
            raise ToolError("Gift card balance is not enough")
        documents.edit("users", user_id)["payment_methods"][payment_id]["amount"] -= price
    return [{"payment_id": payment_id, "amount": price}] if price else []


def book_reservation(
    documents: Documents,
    user_id: str,
    origin: str,
    destination: str,
    flight_type: str,
    cabin: str,
    flights: list[FlightOnDate],
    passengers: list[Passenger],
    payment_methods: list[Payment],
    total_baggages: int,
    nonfree_baggages: int,
    insurance: str,
) -> Document:
    """Book flights for a user.

    Args:
        user_id: Id of the user, such as "sara_doe_496".
        origin: Airport of departure, such as "SFO".
        destination: Airport of arrival, such as "JFK".
        flight_type: Either "one_way" or "round_trip".
        cabin: One of "basic_economy", "economy" and "business".
        flights: Number and date of each flight.
        passengers: Name and date of birth of each passenger.
        payment_methods: Ids of payment methods, and what each pays; together the whole price.
        total_baggages: Number of checked bags.
        nonfree_baggages: Number of bags that are paid for.
        insurance: Either "yes" or "no".
    """
    methods = _found(documents, "users", user_id, "User")["payment_methods"]
    new_id = next((i for i in _NEW_RESERVATIONS if documents.find("reservations", i) is None), None)
    if new_id is None:
        raise ToolError("Too many reservations")
    booked = [_seats(documents, flight, cabin, len(passengers)) for flight in flights]
    price = sum(flight["price"] for flight in booked) * len(passengers)
    price += _INSURANCE * len(passengers) * (insurance == "yes") + _BAG * nonfree_baggages
    payments = [_only(payment, Payment) for payment in payment_methods]
    _need_payments(methods, payments, price)
    for flight in booked:
        there = documents.edit("flights", flight["flight_number"])["dates"][flight["date"]]
        there["available_seats"][cabin] -= len(passengers)
    user = documents.edit("users", user_id)
    for payment in payments:
        method = user["payment_methods"][payment["payment_id"]]
        if method["source"] == "gift_card":
            method["amount"] -= payment["amount"]
        elif method["source"] == "certificate":
            del user["payment_methods"][payment["payment_id"]]
    reservation = {
        "reservation_id": new_id, "user_id": user_id, "origin": origin,
        "destination": destination, "flight_type": flight_type, "cabin": cabin,
        "flights": booked, "passengers": [_only(p, Passenger) for p in passengers],
        "payment_history": payments, "created_at": _NOW, "total_baggages": total_baggages,
        "nonfree_baggages": nonfree_baggages, "insurance": insurance, "status": None,
    }  # fmt: skip
    documents.add("reservations", new_id, reservation)
    user["reservations"].append(new_id)
    return reservation


def _need_payments(methods: Document, payments: Sequence[Document], price: int) -> None:
    for payment in payments:
        name = payment["payment_id"]
        if name not in methods:
            raise ToolError(f"Payment method {name} not found")
        if methods[name].get("amount", payment["amount"]) < payment["amount"]:
            raise ToolError(f"Not enough balance in payment method {name}")
    paid = sum(payment["amount"] for payment in payments)
    if paid != price:
        raise ToolError(f"Payment amount does not add up, total price is {price}, but paid {paid}")


def calculate(documents: Documents, expression: str) -> str:
    """Calculate the value of an arithmetical expression.

    Args:
        expression: Numbers, + - * / and parentheses, such as "2 * (3 + 4)".
    """
    return value_of(expression)


def cancel_reservation(documents: Documents, reservation_id: str) -> Document:
    """Cancel a whole reservation.

    Args:
        reservation_id: Id of the reservation, such as "8JX2WO".
    """
    _found(documents, "reservations", reservation_id, "Reservation")
    reservation = documents.edit("reservations", reservation_id)
    paid = reservation["payment_history"]
    reservation["payment_history"] = paid + [{**p, "amount": -p["amount"]} for p in paid]
    reservation["status"] = "cancelled"
    return reservation


def get_reservation_details(documents: Documents, reservation_id: str) -> Document:
    """Get a reservation.

    Args:
        reservation_id: Id of the reservation, such as "8JX2WO".
    """
    return _found(documents, "reservations", reservation_id, "Reservation")


def get_user_details(documents: Documents, user_id: str) -> Document:
    """Get a user with payment methods and the ids of the reservations.

    Args:
        user_id: Id of the user, such as "sara_doe_496".
    """
    return _found(documents, "users", user_id, "User")


def list_all_airports(documents: Documents) -> list[Document]:
    """List the codes and cities of all airports."""
    return [{"iata": code, "city": city} for code, city in _AIRPORTS.items()]


def search_direct_flight(
    documents: Documents, origin: str, destination: str, date: str
) -> list[Document]:
    """Search for flights without a stop.

    Args:
        origin: Airport of departure, such as "JFK".
        destination: Airport of arrival, such as "LAX".
        date: Day of departure, such as "2024-01-01".
    """
    return list(_direct(documents, date, origin, destination))


def search_onestop_flight(
    documents: Documents, origin: str, destination: str, date: str
) -> list[list[Document]]:
    """Search for pairs of flights with one stop between them.

    Args:
        origin: Airport of departure, such as "JFK".
        destination: Airport of arrival, such as "LAX".
        date: Day of departure, such as "2024-05-01".
    """
    pairs = []
    for first in _direct(documents, date, origin, None):
        arrival, next_date = first["scheduled_arrival_time_est"], date
        if "+1" in arrival:
            next_date = f"2024-05-{int(date[-2:]) + 1}"
        for second in _direct(documents, next_date, first["destination"], destination, arrival):
            pairs.append([{**first, "date": date}, {**second, "date": next_date}])
    return pairs


def send_certificate(documents: Documents, user_id: str, amount: int) -> str:
    """Give a user a certificate.

    Args:
        user_id: Id of the user, such as "sara_doe_496".
        amount: Value in dollars.
    """
    _found(documents, "users", user_id, "User")
    methods = documents.edit("users", user_id)["payment_methods"]
    for name in _NEW_CERTIFICATES:
        if name not in methods:
            methods[name] = {"source": "certificate", "id": name, "amount": amount}
            return f"Certificate {name} added to user {user_id} with amount {amount}."
    raise ToolError("Too many certificates")


def transfer_to_human_agents(documents: Documents, summary: str) -> str:
    """Hand the user over to a person, where the user asks for it or nothing else can be done.

    Args:
        summary: What the user wants, and what has been tried.
    """
    return "Transfer successful"


def update_reservation_baggages(
    documents: Documents,
    reservation_id: str,
    total_baggages: int,
    nonfree_baggages: int,
    payment_id: str,
) -> Document:
    """Change the number of bags of a reservation.

    Args:
        reservation_id: Id of the reservation, such as "8JX2WO".
        total_baggages: Number of checked bags from now on.
        nonfree_baggages: Number of bags that are paid for from now on.
        payment_id: Id of the user's payment method, such as "gift_card_7815826".
    """
    before = _found(documents, "reservations", reservation_id, "Reservation")
    price = _BAG * max(0, nonfree_baggages - before["nonfree_baggages"])
    payments = _charged(documents, before["user_id"], payment_id, price)
    reservation = documents.edit("reservations", reservation_id)
    reservation["payment_history"] += payments
    reservation["total_baggages"] = total_baggages
    reservation["nonfree_baggages"] = nonfree_baggages
    return reservation


def update_reservation_flights(
    documents: Documents,
    reservation_id: str,
    cabin: str,
    flights: list[FlightOnDate],
    payment_id: str,
) -> Document:
    """Change flights or cabin of a reservation.

    Args:
        reservation_id: Id of the reservation, such as "8JX2WO".
        cabin: One of "basic_economy", "economy" and "business".
        flights: Number and date of every flight from now on, also of those that stay.
        payment_id: Id of the user's payment method, such as "gift_card_7815826".
    """
    before = _found(documents, "reservations", reservation_id, "Reservation")
    count = len(before["passengers"])
    kept = {(f["flight_number"], f["date"]): f for f in reversed(before["flights"])}
    if cabin != before["cabin"]:
        kept = {}
    changed = [
        kept.get((flight["flight_number"], flight["date"]))
        or _seats(documents, flight, cabin, count)
        for flight in flights
    ]
    price = (_sum_of(changed) - _sum_of(before["flights"])) * count
    payments = _charged(documents, before["user_id"], payment_id, price)
    reservation = documents.edit("reservations", reservation_id)
    reservation["payment_history"] += payments
    reservation["flights"] = changed
    reservation["cabin"] = cabin
    return reservation


def _sum_of(flights: Sequence[Document]) -> int:
    return int(sum(flight["price"] for flight in flights))


def update_reservation_passengers(
    documents: Documents, reservation_id: str, passengers: list[Passenger]
) -> Document:
    """Change who flies; their number stays.

    Args:
        reservation_id: Id of the reservation, such as "8JX2WO".
        passengers: Name and date of birth of each passenger.
    """
    before = _found(documents, "reservations", reservation_id, "Reservation")
    if len(passengers) != len(before["passengers"]):
        raise ToolError("Number of passengers does not match")
    reservation = documents.edit("reservations", reservation_id)
    reservation["passengers"] = [_only(passenger, Passenger) for passenger in passengers]
    return reservation


def get_flight_status(documents: Documents, flight_number: str, date: str) -> str:
    """Get the state of a flight on a day.

    Args:
        flight_number: Number of the flight, such as "HAT001".
        date: Day of departure, such as "2024-05-01".
    """
    return str(_on_date(documents, flight_number, date)["status"])


AIRLINE = Toolbox(
    [
        book_reservation,
        calculate,
        cancel_reservation,
        get_reservation_details,
        get_user_details,
        list_all_airports,
        search_direct_flight,
        search_onestop_flight,
        send_certificate,
        transfer_to_human_agents,
        update_reservation_baggages,
        update_reservation_flights,
        update_reservation_passengers,
        get_flight_status,
    ]
)
