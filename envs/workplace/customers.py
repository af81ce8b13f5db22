"""The customers. Each docstring is what the model reads."""

from __future__ import annotations

import dataclasses
from typing import Any

from cascade.envs.toolworld import Date, Tables
from cascade.envs.workplace.lookup import find, known_address, page_of
from cascade.envs.workplace.office import NOW, Customer, Product, Stage

__all__ = ["FUNCTIONS"]


def search_customers(
    tables: Tables,
    name: str = "",
    owner: str | None = None,
    stage: Stage | None = None,
    product: Product | None = None,
    contacted_before: Date | None = None,
    page: int = 1,
) -> dict[str, Any]:
    """Search the customers, longest without contact first, ten a page.

    Args:
        name: A part of the customer's name.
        owner: The e-mail address of the colleague who looks after the customer.
        stage: Only customers at this stage.
        product: Only customers interested in this product.
        contacted_before: Only customers last contacted before this day (YYYY-MM-DD).
        page: The page, from 1.
    """
    wanted = name.casefold()
    rows = [
        customer
        for customer in tables.table(Customer).values()
        if wanted in customer.name.casefold()
        and (owner is None or customer.owner == owner.lower())
        and (stage is None or customer.stage == stage)
        and (product is None or customer.product == product)
        and (contacted_before is None or customer.last_contact < contacted_before)
    ]
    return page_of(rows, page, "last_contact", newest_first=False)


def read_customer(tables: Tables, customer_id: str) -> dict[str, Any]:
    """Read one customer's record.

    Args:
        customer_id: The id of the customer.
    """
    return find(tables, Customer, customer_id).data()


def add_customer(
    tables: Tables,
    name: str,
    email: str,
    owner: str,
    product: Product,
    stage: Stage = "Lead",
    notes: str = "",
) -> str:
    """Add a customer, contacted today.

    Args:
        name: The customer's name.
        email: The customer's e-mail address.
        owner: The e-mail address of the colleague who looks after the customer.
        product: The product that the customer is interested in.
        stage: The stage of the sale.
        notes: Anything worth remembering.
    """
    address = known_address(tables, owner)
    today = NOW.date().isoformat()
    new = Customer(tables.new_id(Customer), name, email, address, stage, product, today, notes)
    tables.put(new)
    return new.id


def update_customer(
    tables: Tables,
    customer_id: str,
    owner: str | None = None,
    stage: Stage | None = None,
    product: Product | None = None,
    notes: str | None = None,
) -> str:
    """Change a customer's record.

    Args:
        customer_id: The id of the customer.
        owner: The e-mail address of the colleague who takes over.
        stage: The new stage of the sale.
        product: The new product of interest.
        notes: The new notes, in place of the old ones.
    """
    customer = find(tables, Customer, customer_id)
    if owner is not None:
        customer = dataclasses.replace(customer, owner=known_address(tables, owner))
    if stage is not None:
        customer = dataclasses.replace(customer, stage=stage)
    if product is not None:
        customer = dataclasses.replace(customer, product=product)
    if notes is not None:
        customer = dataclasses.replace(customer, notes=notes)
    tables.put(customer)
    return "done"


def remove_customer(tables: Tables, customer_id: str) -> str:
    """Remove a customer's record.

    Args:
        customer_id: The id of the customer.
    """
    tables.remove(find(tables, Customer, customer_id))
    return "done"


FUNCTIONS = (
    search_customers,
    read_customer,
    add_customer,
    update_customer,
    remove_customer,
)
