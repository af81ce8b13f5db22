"""Mini customers: a shop of two users, requests of one or two actions, read from a script.

They show the environment without data and without a model that plays the customer. A task is a pure
function of ``(difficulty, split, seed, index)``; splits share no request.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from cascade.envs.mini import Split, check_difficulty, draw_in_split
from cascade.envs.tau2.domains import DOMAINS
from cascade.types import Message, Task

__all__ = ["mini_task"]

_FIRST = ("Ann", "Bob", "Cem", "Dia", "Eve", "Gus", "Ida", "Jon")
_LAST = ("Berg", "Costa", "Diaz", "Ito", "Lee", "Novak", "Okoro", "Silva")
_CITIES = (("Boston", "MA", "02101"), ("Denver", "CO", "80201"), ("Austin", "TX", "73301"))
_COLOURS = ("red", "blue", "green", "black")
_POLICY = "Help with orders. Find the user by name and zip code first. Do what is asked, no more."
_FIELDS = ("cancel_reason", "exchange_items", "exchange_new_items", "exchange_payment_method_id",
           "exchange_price_difference", "return_items", "return_payment_method_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Draft:
    request: str
    actions: list[dict[str, Any]]
    database: dict[str, Any]


def _shop(rng: random.Random) -> dict[str, Any]:
    """One product in four colours; two users, each with a pending and a delivered order."""
    items = {
        f"i{n}": {"item_id": f"i{n}", "options": {"colour": colour}, "available": True,
                  "price": float(rng.randint(5, 40))}
        for n, colour in enumerate(_COLOURS)
    }  # fmt: skip
    database: dict[str, Any] = {
        "products": {"p1": {"name": "Mug", "product_id": "p1", "variants": items}},
        "users": {},
        "orders": {},
    }
    firsts, lasts = rng.sample(_FIRST, 2), rng.sample(_LAST, 2)
    for first, last in zip(firsts, lasts, strict=True):
        user_id, card = f"{first}_{last}".lower(), f"credit_card_{rng.randint(100, 999)}"
        city, state, zip_code = rng.choice(_CITIES)
        address = {"address1": f"{rng.randint(1, 99)} Elm Street", "address2": "", "city": city,
                   "country": "USA", "state": state, "zip": zip_code}  # fmt: skip
        orders = {}
        for status in ("pending", "delivered"):
            order_id, item = f"#W{rng.randint(10**6, 10**7 - 1)}", rng.choice(list(items.values()))
            bought = {"name": "Mug", "product_id": "p1", "item_id": item["item_id"],
                      "price": item["price"], "options": item["options"]}  # fmt: skip
            paid = {"transaction_type": "payment", "amount": item["price"],
                    "payment_method_id": card}  # fmt: skip
            orders[order_id] = {
                "order_id": order_id, "user_id": user_id, "address": address, "items": [bought],
                "status": status, "fulfillments": [], "payment_history": [paid],
                **dict.fromkeys(_FIELDS),
            }  # fmt: skip
        database["orders"] |= orders
        database["users"][user_id] = {
            "user_id": user_id, "name": {"first_name": first, "last_name": last},
            "address": address, "email": f"{first}.{last}@mail.example".lower(),
            "payment_methods": {card: {"source": "credit_card", "id": card, "brand": "visa",
                                       "last_four": "1234"}},
            "orders": list(orders),
        }  # fmt: skip
    return database


def _cancelled(rng: random.Random, order: Any) -> tuple[str, dict[str, Any]]:
    reason = rng.choice(("no longer needed", "ordered by mistake"))
    arguments = {"order_id": order["order_id"], "reason": reason}
    asked = f"cancel my order {order['order_id']}, it was {reason}"
    if reason == "no longer needed":
        asked = f"cancel my order {order['order_id']}, it is no longer needed"
    return asked, {"name": "cancel_pending_order", "arguments": arguments}


def _returned(rng: random.Random, order: Any) -> tuple[str, dict[str, Any]]:
    arguments = {
        "order_id": order["order_id"],
        "item_ids": [order["items"][0]["item_id"]],
        "payment_method_id": order["payment_history"][0]["payment_method_id"],
    }
    asked = f"send back the mug of order {order['order_id']}, refund as it was paid"
    return asked, {"name": "return_delivered_order_items", "arguments": arguments}


def _exchanged(rng: random.Random, order: Any, kind: str, verb: str) -> tuple[str, dict[str, Any]]:
    item = order["items"][0]
    number = rng.choice([n for n in range(len(_COLOURS)) if f"i{n}" != item["item_id"]])
    arguments = {
        "order_id": order["order_id"],
        "item_ids": [item["item_id"]],
        "new_item_ids": [f"i{number}"],
        "payment_method_id": order["payment_history"][0]["payment_method_id"],
    }
    asked = f"{verb} the mug of order {order['order_id']} to a {_COLOURS[number]} one, same card"
    return asked, {"name": kind, "arguments": arguments}


def _draft(rng: random.Random, difficulty: int) -> _Draft:
    database = _shop(rng)
    user = rng.choice(list(database["users"].values()))
    pending, delivered = (database["orders"][order_id] for order_id in user["orders"])
    changes = {
        1: [_cancelled(rng, pending)],
        2: [_returned(rng, delivered)],
        3: [_exchanged(rng, pending, "modify_pending_order_items", "change")],
        4: [_cancelled(rng, pending), _returned(rng, delivered)],
        5: [
            _exchanged(rng, pending, "modify_pending_order_items", "change"),
            _exchanged(rng, delivered, "exchange_delivered_order_items", "exchange"),
        ],
    }[difficulty]
    name, zip_code = user["name"], user["address"]["zip"]
    asked = " Then ".join(f"{text}." for text, _ in changes)
    who = f"I am {name['first_name']} {name['last_name']}, zip code {zip_code}."
    return _Draft(f"{who} Please {asked}", [action for _, action in changes], database)


def mini_task(seed: int, index: int, difficulty: int = 1, *, split: Split = "test") -> Task:
    """Generate one task.

    Raises:
        ConfigError: the difficulty is not 1 to 5, or there is no such split.
    """
    check_difficulty(difficulty)
    rng = random.Random(f"customers/{difficulty}/{split}/{seed}/{index}")
    draft = draw_in_split(lambda: _draft(rng, difficulty), lambda drawn: drawn.request, split)
    reference = {
        "domain": "retail", "database": draft.database, "actions": draft.actions,
        "communicate_info": [], "reward_basis": ["DB", "COMMUNICATE"],
        "user": {"script": [draft.request]},
    }  # fmt: skip
    metadata = {
        "source": "generated", "licence": "CC0-1.0", "kind": "customers", "split": split,
        "difficulty": difficulty, "problem": draft.request,
    }  # fmt: skip
    system: Message = {"role": "system", "content": _POLICY}
    task_id = f"customers-{difficulty}-{split}-{seed}-{index}"
    tools = DOMAINS["retail"].toolbox.declarations()
    return Task(task_id, (system,), reference, tools, metadata)
