"""Repairs of source files by SEARCH/REPLACE blocks: ``cascade/Repair-v0``."""

from cascade.envs.repair.edits import Edit, EditError, apply_edits, find_edits
from cascade.envs.repair.env import RepairEnv
from cascade.envs.repair.judging import PatchJudge, ProgramTests

__all__ = [
    "Edit",
    "EditError",
    "PatchJudge",
    "ProgramTests",
    "RepairEnv",
    "apply_edits",
    "find_edits",
]
