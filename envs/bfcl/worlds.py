"""Simulated services: objects whose public methods are the tools, and whose attributes the state.

A service is a class without arguments that has ``_load_scenario(config, long_context=False)``, as
those of bfcl-eval are. Calls are looked up by name and get their arguments as they were parsed: no
text is ever evaluated.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from cascade.envs.bfcl.ledger import Ledger
from cascade.envs.toolworld import ToolResult
from cascade.errors import ConfigError, DataError
from cascade.verifiers.tools import Call

__all__ = ["Services", "find_service"]

_OWN: Mapping[str, Callable[[], Any]] = {"Ledger": Ledger}
_PACKAGE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
_MODULES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}


def find_service(name: str) -> Callable[[], Any]:
    """Return the class of a service, by BFCL's name for it.

    Raises:
        DataError: there is no service of that name.
        ConfigError: it belongs to bfcl-eval, which is not installed.
    """
    if name in _OWN:
        return _OWN[name]
    if name not in _MODULES:
        raise DataError(f"there is no service {name!r}; BFCL's are {', '.join(_MODULES)}")
    try:
        found: Callable[[], Any] = getattr(import_module(f"{_PACKAGE}.{_MODULES[name]}"), name)
    except ImportError as error:
        raise ConfigError(
            f"the service {name!r} is part of bfcl-eval, which cannot be imported ({error}): "
            "pip install --no-deps bfcl-eval"
        ) from error
    return found


class Services:
    """The services of one conversation.

    Args:
        names: which ones.
        config: name -> the state that it starts from.
        long_context: load the long form of the state.
    """

    def __init__(
        self, names: Iterable[str], config: Mapping[str, Any], *, long_context: bool = False
    ) -> None:
        self._services: dict[str, Any] = {}
        self._methods: dict[str, Callable[..., Any]] = {}
        for name in names:
            service = find_service(name)()
            if hasattr(service, "_load_scenario"):
                given = copy.deepcopy(config.get(name, {}))
                service._load_scenario(given, long_context=long_context)
            self._services[name] = service
            for method, function in inspect.getmembers(service, predicate=inspect.ismethod):
                if not method.startswith("_"):
                    self._methods[method] = function

    def call(self, call: Call) -> ToolResult:
        """Call a method; whatever goes wrong is a result that the model sees."""
        method = self._methods.get(call.name)
        if method is None:
            return _failed(f"there is no function called {call.name[:80]!r}")
        try:
            value = method(**copy.deepcopy(dict(call.arguments)))
        except Exception as error:  # noqa: BLE001 - simulated services raise anything: the model sees it
            return _failed(str(error))
        return ToolResult(_as_text(value))

    def difference(self, other: Services) -> str | None:
        """Return None if all services have the same public state, else where the first differs."""
        for name, theirs in other._services.items():
            mine = self._services[name]
            for field, value in vars(theirs).items():
                if not field.startswith("_") and getattr(mine, field) != value:
                    return f"{name}.{field} is not as expected"
        return None


def _as_text(value: Any) -> str:
    """A result as BFCL writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        try:
            return json.dumps(value)
        except TypeError:
            return str(value)
    return str(value)


def _failed(message: str) -> ToolResult:
    return ToolResult(f"Error during execution: {message}", failed=True)
