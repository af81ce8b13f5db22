"""Instructions that a program can check: ``cascade/InstructionFollowing-v0``."""

from cascade.envs.instruction_following.env import InstructionFollowingEnv

__all__ = ["InstructionFollowingEnv"]
