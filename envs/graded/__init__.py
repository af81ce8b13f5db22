"""Answers and proofs that a judge grades by a reference: ``cascade/Graded-v0``."""

from cascade.envs.graded.env import GradedEnv
from cascade.envs.graded.rubrics import RUBRICS, Rubric, find_rubric, mean_grade, strict_mean

__all__ = ["RUBRICS", "GradedEnv", "Rubric", "find_rubric", "mean_grade", "strict_mean"]
