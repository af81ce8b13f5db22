"""A service of our own in BFCL's form, for tests and examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LEDGER_TOOLS", "Ledger"]


class Ledger:
    """Accounts with whole amounts of money."""

    def __init__(self) -> None:
        self.accounts: dict[str, int] = {}

    def _load_scenario(self, scenario: Mapping[str, Any], long_context: bool = False) -> None:
        self.accounts = dict(scenario.get("accounts", {}))

    def balance(self, account: str) -> dict[str, int]:
        """Return what an account holds."""
        return {"balance": self.accounts[account]}

    def transfer(self, source: str, target: str, amount: int) -> dict[str, str]:
        """Move an amount; the source must hold it."""
        if self.accounts[source] < amount or amount < 1 or target not in self.accounts:
            return {"error": "not possible"}
        self.accounts[source] -= amount
        self.accounts[target] += amount
        return {"status": "moved"}

    def open(self, account: str) -> dict[str, str]:
        """Open an account that holds nothing."""
        self.accounts.setdefault(account, 0)
        return {"status": "open"}


def _tool(name: str, description: str, **parameters: str) -> dict[str, Any]:
    properties = {key: {"type": kind} for key, kind in parameters.items()}
    schema = {"type": "dict", "properties": properties, "required": list(parameters)}
    return {"name": name, "description": description, "parameters": schema}


LEDGER_TOOLS = (
    _tool("balance", "Return what an account holds.", account="string"),
    _tool("transfer", "Move an amount of money.", source="string", target="string",
          amount="integer"),
    _tool("open", "Open an account that holds nothing.", account="string"),
)  # fmt: skip
