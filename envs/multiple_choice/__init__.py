"""Multiple choice with lettered options: the environment ``cascade/MultipleChoice-v0``."""

from cascade.envs.multiple_choice.env import MultipleChoiceEnv

__all__ = ["MultipleChoiceEnv"]
