"""Which environments exist: a literal table and entry points; nothing is loaded to list them.

Other distributions add their own through the entry-point group ``cascade.envs`` (name: an id as
in ``acme/Chess-v0``, value: ``package.module:Class``).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import gymnasium

from cascade.envs.base import TextEnv
from cascade.errors import ConfigError, UnknownNameError

__all__ = ["env_class", "env_ids", "make_env", "register_with_gymnasium"]

_ENVS: Mapping[str, str] = {
    "cascade/BfclMultiTurn-v0": "cascade.envs.bfcl:BfclMultiTurnEnv",
    "cascade/Code-v0": "cascade.envs.code.env:CodeEnv",
    "cascade/Math-v0": "cascade.envs.math:MathEnv",
    "cascade/MultipleChoice-v0": "cascade.envs.multiple_choice:MultipleChoiceEnv",
    "cascade/InstructionFollowing-v0": (
        "cascade.envs.instruction_following:InstructionFollowingEnv"
    ),
    "cascade/LongContext-v0": "cascade.envs.long_context:LongContextEnv",
    "cascade/Preference-v0": "cascade.envs.preference:PreferenceEnv",
    "cascade/Repair-v0": "cascade.envs.repair:RepairEnv",
    "cascade/Pantry-v0": "cascade.envs.pantry:PantryEnv",
    "cascade/Ruler-v0": "cascade.envs.long_context.ruler:RulerEnv",
    "cascade/Contest-v0": "cascade.envs.contest.env:ContestEnv",
    "cascade/MathPython-v0": "cascade.envs.math.python_env:MathPythonEnv",
    "cascade/Graded-v0": "cascade.envs.graded:GradedEnv",
    "cascade/Pairwise-v0": "cascade.envs.pairwise:PairwiseEnv",
    "cascade/MtBench-v0": "cascade.envs.graded.mt_bench:MtBenchEnv",
    "cascade/SciCode-v0": "cascade.envs.scicode:SciCodeEnv",
    "cascade/StructuredOutput-v0": "cascade.envs.structured_output:StructuredOutputEnv",
    "cascade/Tau2-v0": "cascade.envs.tau2:Tau2Env",
    "cascade/ToolCalling-v0": "cascade.envs.tool_calling:ToolCallingEnv",
    "cascade/Workplace-v0": "cascade.envs.workplace:WorkplaceEnv",
}


def _entry_points() -> dict[str, str]:
    """Environment id -> ``module:Class``: ours, then those of other distributions."""
    found = {point.name: point.value for point in entry_points(group="cascade.envs")}
    return {**found, **_ENVS}


def env_ids() -> tuple[str, ...]:
    """Ids of the installed environments."""
    return tuple(sorted(_entry_points()))


def register_with_gymnasium() -> None:
    """Tell Gymnasium of every environment that it does not know yet (strings only)."""
    for env_id, entry_point in _entry_points().items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=entry_point)


def env_class(env_id: str) -> type[TextEnv]:
    """Load the class of an environment.

    Raises:
        UnknownNameError: no environment of that id; the near ones are named.
        ConfigError: what is registered is no `TextEnv`.
    """
    # Reading the entry points takes milliseconds; a run builds hundreds of environments of ours.
    entry_point = _ENVS.get(env_id) or _entry_points().get(env_id)
    if entry_point is None:
        raise UnknownNameError.near("environment", env_id, env_ids())
    module, _, name = entry_point.partition(":")
    kind = getattr(import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, TextEnv)):
        raise ConfigError(f"{entry_point} (environment {env_id!r}) is not a cascade.envs.TextEnv")
    return kind


def make_env(env_id: str, **options: Any) -> TextEnv:
    """Build an environment without Gymnasium's wrappers, which cost more than a verdict.

    Raises:
        UnknownNameError: no environment of that id; the near ones are named.
    """
    return env_class(env_id)(**options)
