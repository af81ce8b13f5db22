"""Calls of functions, compared with the expected ones: ``cascade/ToolCalling-v0``."""

from cascade.envs.tool_calling.env import ToolCallingEnv

__all__ = ["ToolCallingEnv"]
