"""Simulated tool worlds: typed tables, functions that change them, reward by the final state.

A world is a set of tables of frozen rows (`Tables`) and a `Toolbox` of plain functions whose first
parameter is the tables. The declarations that a model sees are derived from the signatures and
docstrings. An episode works on a copy, which shares all rows; it is right if the tables end as they
do after the gold calls (`judge`). A call that fails is a result that the model sees, never an error
of the environment. Nothing here knows of models, conversations or Gymnasium.
"""

from cascade.envs.toolworld.declaration import Constraint, Date, DateTime, declare
from cascade.envs.toolworld.tables import Row, Tables
from cascade.envs.toolworld.toolbox import Toolbox, ToolError, ToolResult, judge

__all__ = [
    "Constraint",
    "Date",
    "DateTime",
    "Row",
    "Tables",
    "ToolError",
    "ToolResult",
    "Toolbox",
    "declare",
    "judge",
]
