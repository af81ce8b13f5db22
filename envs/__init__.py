r"""Gymnasium environments with verifiable rewards, and the rollout that all uses share.

Importing this package tells Gymnasium the environments' ids (names only, nothing is loaded):

    >>> import gymnasium
    >>> import cascade.envs
    >>> env = gymnasium.make("cascade/Math-v0", tasks="mini_arithmetic")
    >>> conversation, info = env.reset(seed=7)
    >>> conversation, reward, terminated, truncated, info = env.step(r"\boxed{12}")
"""

from cascade.envs.base import SingleTurnEnv, TextEnv, Turn
from cascade.envs.catalog import find_source, load_tasks, source_names
from cascade.envs.registry import env_ids, make_env, register_with_gymnasium
from cascade.envs.rollout import rollout
from cascade.envs.tasksets import MiniSource, TaskSet, TaskSource

__all__ = [
    "MiniSource",
    "SingleTurnEnv",
    "TaskSet",
    "TaskSource",
    "TextEnv",
    "Turn",
    "env_ids",
    "find_source",
    "load_tasks",
    "make_env",
    "register_with_gymnasium",
    "rollout",
    "source_names",
]

register_with_gymnasium()
