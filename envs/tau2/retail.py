"""The tools of τ²-bench's retail domain: users, orders, products.

Behaviour, names, arguments and errors are those of sierra-research/tau2-bench at a2c0247; the
descriptions are ours. One peculiarity decides rewards and is kept: where several items of a pending
order are changed at once, all get the price and options of the last new one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from cascade.envs.tau2.arithmetic import calculate as value_of
from cascade.envs.tau2.documents import Document, Documents
from cascade.envs.toolworld import Toolbox, ToolError

__all__ = ["DEFAULTS", "RETAIL"]

DEFAULTS = {
    "orders": (
        "cancel_reason",
        "exchange_items",
        "exchange_new_items",
        "exchange_payment_method_id",
        "exchange_price_difference",
        "return_items",
        "return_payment_method_id",
    )
}
"""Table -> fields that a document without them has as null."""


def _found(documents: Documents, table: str, key: str, what: str) -> Document:
    document = documents.find(table, key)
    if document is None:
        raise ToolError(f"{what} not found")
    return document


def _order(documents: Documents, order_id: str) -> Document:
    return _found(documents, "orders", order_id, "Order")


def _payment_method(documents: Documents, user_id: str, method_id: str) -> Document:
    methods: dict[str, Document] = _found(documents, "users", user_id, "User")["payment_methods"]
    if method_id not in methods:
        raise ToolError("Payment method not found")
    return methods[method_id]


def _pay_in(documents: Documents, user_id: str, method_id: str, amount: float) -> None:
    """Add to a gift card's balance; other methods keep none."""
    if _payment_method(documents, user_id, method_id)["source"] == "gift_card":
        card = documents.edit("users", user_id)["payment_methods"][method_id]
        card["balance"] = round(card["balance"] + amount, 2)


def _address(
    address1: str, address2: str, city: str, country: str, state: str, zip_code: str
) -> Document:
    return {
        "address1": address1,
        "address2": address2,
        "city": city,
        "country": country,
        "state": state,
        "zip": zip_code,
    }


def _need_items(order: Document, item_ids: Sequence[str], message: str) -> None:
    there = [item["item_id"] for item in order["items"]]
    for item_id in item_ids:
        if item_ids.count(item_id) > there.count(item_id):
            raise ToolError(message.format(item_id))


def _replacements(
    documents: Documents, order: Document, item_ids: Sequence[str], new_item_ids: Sequence[str]
) -> tuple[float, Document]:
    """Return what the new items cost more than the old ones, and the last new item."""
    more, variant = 0.0, {}
    for item_id, new_id in zip(item_ids, new_item_ids, strict=True):
        item = next(item for item in order["items"] if item["item_id"] == item_id)
        product = _found(documents, "products", item["product_id"], "Product")
        if new_id not in product["variants"]:
            raise ToolError("Variant not found")
        variant = product["variants"][new_id]
        if not variant["available"]:
            raise ToolError(f"New item {new_id} not found or available")
        more += variant["price"] - item["price"]
    return more, variant


def calculate(documents: Documents, expression: str) -> str:
    """Calculate the value of an arithmetical expression.

    Args:
        expression: Numbers, + - * / and parentheses, such as "2 * (3 + 4)".
    """
    return value_of(expression)


def cancel_pending_order(documents: Documents, order_id: str, reason: str) -> Document:
    """Cancel an order that is pending, after the user has confirmed it; the payment is refunded.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
        reason: Either "no longer needed" or "ordered by mistake".
    """
    if _order(documents, order_id)["status"] != "pending":
        raise ToolError("Non-pending order cannot be cancelled")
    if reason not in ("no longer needed", "ordered by mistake"):
        raise ToolError("Invalid reason")
    order = documents.edit("orders", order_id)
    refunds = [{**payment, "transaction_type": "refund"} for payment in order["payment_history"]]
    for refund in refunds:
        _pay_in(documents, order["user_id"], refund["payment_method_id"], refund["amount"])
    order["status"] = "cancelled"
    order["cancel_reason"] = reason
    order["payment_history"] += refunds
    return order


def exchange_delivered_order_items(
    documents: Documents,
    order_id: str,
    item_ids: list[str],
    new_item_ids: list[str],
    payment_method_id: str,
) -> Document:
    """Exchange items of a delivered order for others of the same product, once, after confirmation.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
        item_ids: Ids of the items to give back; one may occur several times.
        new_item_ids: Ids of the new items, each in the place of the one that it replaces.
        payment_method_id: Id of the method that pays or receives the difference in price.
    """
    order = _order(documents, order_id)
    if order["status"] != "delivered":
        raise ToolError("Non-delivered order cannot be exchanged")
    _need_items(order, item_ids, "Number of {} not found.")
    if len(item_ids) != len(new_item_ids):
        raise ToolError("The number of items to be exchanged should match.")
    more = round(_replacements(documents, order, item_ids, new_item_ids)[0], 2)
    method = _payment_method(documents, order["user_id"], payment_method_id)
    if method["source"] == "gift_card" and method["balance"] < more:
        raise ToolError("Insufficient gift card balance to pay for the price difference")
    order = documents.edit("orders", order_id)
    order["status"] = "exchange requested"
    order["exchange_items"] = sorted(item_ids)
    order["exchange_new_items"] = sorted(new_item_ids)
    order["exchange_payment_method_id"] = payment_method_id
    order["exchange_price_difference"] = more
    return order


def find_user_id_by_name_zip(
    documents: Documents, first_name: str, last_name: str, zip: str
) -> str:
    """Find a user by name and zip code, where the e-mail address does not help.

    Args:
        first_name: First name of the customer.
        last_name: Last name of the customer.
        zip: Zip code of the customer, such as "12345".
    """
    for user in documents.all("users"):
        name = user["name"]
        if (name["first_name"].lower(), name["last_name"].lower(), user["address"]["zip"]) == (
            first_name.lower(), last_name.lower(), zip,
        ):  # fmt: skip
            return str(user["user_id"])
    raise ToolError("User not found")


def find_user_id_by_email(documents: Documents, email: str) -> str:
    """Find a user by e-mail address.

    Args:
        email: Address of the user, such as "someone@example.com".
    """
    for user in documents.all("users"):
        if user["email"].lower() == email.lower():
            return str(user["user_id"])
    raise ToolError("User not found")


def get_order_details(documents: Documents, order_id: str) -> Document:
    """Get state and content of an order.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
    """
    return _order(documents, order_id)


def get_product_details(documents: Documents, product_id: str) -> Document:
    """Get a product with all of its items.

    Args:
        product_id: Id of the product, which is not the id of an item.
    """
    return _found(documents, "products", product_id, "Product")


def get_item_details(documents: Documents, item_id: str) -> Document:
    """Get one item of a product.

    Args:
        item_id: Id of the item, which is not the id of a product.
    """
    for product in documents.all("products"):
        if item_id in product["variants"]:
            item: Document = product["variants"][item_id]
            return item
    raise ToolError("Item not found")


def get_user_details(documents: Documents, user_id: str) -> Document:
    """Get a user with address, payment methods and the ids of the orders.

    Args:
        user_id: Id of the user, such as "sara_doe_496".
    """
    return _found(documents, "users", user_id, "User")


def list_all_product_types(documents: Documents) -> str:
    """List the names of all products with their ids.

    Each product has several items, which differ in their options.
    """
    ids = {product["name"]: product["product_id"] for product in documents.all("products")}
    return json.dumps(ids, sort_keys=True)


def modify_pending_order_address(
    documents: Documents,
    order_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,
) -> Document:
    """Change where a pending order is sent, after the user has confirmed it.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
        address1: First line of the address, such as "123 Main St".
        address2: Second line of the address, such as "Apt 1", or "".
        city: City, such as "San Francisco".
        state: State, such as "CA".
        country: Country, such as "USA".
        zip: Zip code, such as "12345".
    """
    if "pending" not in _order(documents, order_id)["status"]:
        raise ToolError("Non-pending order cannot be modified")
    order = documents.edit("orders", order_id)
    order["address"] = _address(address1, address2, city, country, state, zip)
    return order


def modify_pending_order_items(
    documents: Documents,
    order_id: str,
    item_ids: list[str],
    new_item_ids: list[str],
    payment_method_id: str,
) -> Document:
    """Change items of a pending order to others of the same product, once, after confirmation.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
        item_ids: Ids of the items to change; one may occur several times.
        new_item_ids: Ids of the new items, each in the place of the one that it replaces.
        payment_method_id: Id of the method that pays or receives the difference in price.
    """
    order = _order(documents, order_id)
    if order["status"] != "pending":
        raise ToolError("Non-pending order cannot be modified")
    _need_items(order, item_ids, "{} not found")
    if len(item_ids) != len(new_item_ids):
        raise ToolError("The number of items to be exchanged should match")
    if any(old == new for old, new in zip(item_ids, new_item_ids, strict=True)):
        raise ToolError("The new item id should be different from the old item id")
    more, last = _replacements(documents, order, item_ids, new_item_ids)
    method = _payment_method(documents, order["user_id"], payment_method_id)
    if method["source"] == "gift_card" and method["balance"] < more:
        raise ToolError("Insufficient gift card balance to pay for the new item")
    order = documents.edit("orders", order_id)
    order["payment_history"].append(
        {
            "transaction_type": "payment" if more > 0 else "refund",
            "amount": abs(more),
            "payment_method_id": payment_method_id,
        }
    )
    _pay_in(documents, order["user_id"], payment_method_id, -more)
    for item_id, new_id in zip(item_ids, new_item_ids, strict=True):
        item = next((item for item in order["items"] if item["item_id"] == item_id), None)
        if item is None:
            raise ToolError(f"Item {item_id} not found")
        item.update(item_id=new_id, price=last["price"], options=last["options"])
    order["status"] = "pending (item modified)"
    return order


def modify_pending_order_payment(
    documents: Documents, order_id: str, payment_method_id: str
) -> Document:
    """Change how a pending order is paid, after the user has confirmed it.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
        payment_method_id: Id of the new method, from the user's details.
    """
    order = _order(documents, order_id)
    if "pending" not in order["status"]:
        raise ToolError("Non-pending order cannot be modified")
    method = _payment_method(documents, order["user_id"], payment_method_id)
    history = order["payment_history"]
    if len(history) != 1 or history[0]["transaction_type"] != "payment":
        raise ToolError("There should be exactly one payment for a pending order")
    before = history[0]["payment_method_id"]
    if before == payment_method_id:
        raise ToolError("The new payment method should be different from the current one")
    amount = history[0]["amount"]
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise ToolError("Insufficient gift card balance to pay for the order")
    order = documents.edit("orders", order_id)
    order["payment_history"] += [
        {"transaction_type": kind, "amount": amount, "payment_method_id": method_id}
        for kind, method_id in (("payment", payment_method_id), ("refund", before))
    ]
    _pay_in(documents, order["user_id"], payment_method_id, -amount)
    _pay_in(documents, order["user_id"], before, amount)
    return order


def modify_user_address(
    documents: Documents,
    user_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,
) -> Document:
    """Change a user's own address, after the user has confirmed it.

    Args:
        user_id: Id of the user, such as "sara_doe_496".
        address1: First line of the address, such as "123 Main St".
        address2: Second line of the address, such as "Apt 1", or "".
        city: City, such as "San Francisco".
        state: State, such as "CA".
        country: Country, such as "USA".
        zip: Zip code, such as "12345".
    """
    _found(documents, "users", user_id, "User")
    user = documents.edit("users", user_id)
    user["address"] = _address(address1, address2, city, country, state, zip)
    return user


def return_delivered_order_items(
    documents: Documents, order_id: str, item_ids: list[str], payment_method_id: str
) -> Document:
    """Ask for the return of items of a delivered order, once, after the user has confirmed it.

    Args:
        order_id: Id of the order with its "#", such as "#W0000000".
        item_ids: Ids of the items to return; one may occur several times.
        payment_method_id: Id of the method that receives the refund: the original one or a gift
            card.
    """
    order = _order(documents, order_id)
    if order["status"] != "delivered":
        raise ToolError("Non-delivered order cannot be returned")
    method = _payment_method(documents, order["user_id"], payment_method_id)
    paid_by = order["payment_history"][0]["payment_method_id"]
    if method["source"] != "gift_card" and payment_method_id != paid_by:
        raise ToolError("Payment method should be the original payment method")
    _need_items(order, item_ids, "Some item not found")
    order = documents.edit("orders", order_id)
    order["status"] = "return requested"
    order["return_items"] = sorted(item_ids)
    order["return_payment_method_id"] = payment_method_id
    return order


def transfer_to_human_agents(documents: Documents, summary: str) -> str:
    """Hand the user over to a person, where the user asks for it or nothing else can be done.

    Args:
        summary: What the user wants, and what has been tried.
    """
    return "Transfer successful"


RETAIL = Toolbox(
    [
        calculate,
        cancel_pending_order,
        exchange_delivered_order_items,
        find_user_id_by_name_zip,
        find_user_id_by_email,
        get_order_details,
        get_product_details,
        get_item_details,
        get_user_details,
        list_all_product_types,
        modify_pending_order_address,
        modify_pending_order_items,
        modify_pending_order_payment,
        modify_user_address,
        return_delivered_order_items,
        transfer_to_human_agents,
    ]
)
