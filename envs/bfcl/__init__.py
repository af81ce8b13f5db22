"""BFCL's multi-turn conversations over simulated services: ``cascade/BfclMultiTurn-v0``.

Rows, answers and declarations are the publisher's (ShishirPatil/gorilla, Apache-2.0), read from
where the user keeps them; the services are the classes of the installed distribution ``bfcl-eval``,
or any others of their form. See docs/tool-calling.md.
"""

from cascade.envs.bfcl.env import BfclMultiTurnEnv
from cascade.envs.bfcl.tasks import BfclMultiTurnSource
from cascade.envs.bfcl.worlds import Services, find_service

__all__ = ["BfclMultiTurnEnv", "BfclMultiTurnSource", "Services", "find_service"]
