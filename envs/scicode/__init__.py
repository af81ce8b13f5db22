"""SciCode: research problems in steps, each a function that numeric tests judge."""

from cascade.envs.scicode.env import SciCodeEnv

__all__ = ["SciCodeEnv"]
