"""Documents that satisfy a JSON Schema: ``cascade/StructuredOutput-v0``."""

from cascade.envs.structured_output.env import StructuredOutputEnv

__all__ = ["StructuredOutputEnv"]
