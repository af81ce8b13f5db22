"""A pantry: the smallest world of tools, for toy models: ``cascade/Pantry-v0``."""

from cascade.envs.pantry.env import PantryEnv

__all__ = ["PantryEnv"]
