"""Mathematics with a final answer: the environment ``cascade/Math-v0``."""

from cascade.envs.math.env import MathEnv

__all__ = ["MathEnv"]
