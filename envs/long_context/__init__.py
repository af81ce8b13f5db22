"""Questions about many documents: ``cascade/LongContext-v0``."""

from cascade.envs.long_context.env import LongContextEnv
from cascade.envs.long_context.grading import ExactAnswer, JudgedAnswer

__all__ = ["ExactAnswer", "JudgedAnswer", "LongContextEnv"]
