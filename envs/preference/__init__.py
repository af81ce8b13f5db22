"""Responses that one judge prefers to others: ``cascade/Preference-v0``."""

from cascade.envs.preference.comparison import (
    Comparison,
    PairJudge,
    Schedule,
    all_pairs,
    both_positions,
    circular,
)
from cascade.envs.preference.env import PreferenceEnv
from cascade.envs.preference.genrm import GenerativeRewardModel
from cascade.envs.preference.reward import PreferenceReward
from cascade.envs.preference.rules import CourtesyJudge
from cascade.envs.preference.shaping import ConcisenessBonus, Judged, LengthControl, Shaping

__all__ = [
    "Comparison",
    "ConcisenessBonus",
    "CourtesyJudge",
    "GenerativeRewardModel",
    "Judged",
    "LengthControl",
    "PairJudge",
    "PreferenceEnv",
    "PreferenceReward",
    "Schedule",
    "Shaping",
    "all_pairs",
    "both_positions",
    "circular",
]
