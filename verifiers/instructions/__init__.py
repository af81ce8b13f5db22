"""Instruction following: does a response do what each of its instructions asks?

All 25 ids of IFEval, all 58 of IFBench and the 29 that the IF-RL training sets add (IFEvalG,
IF-RLVR, the Nano-v3 set), under their published names and arguments. Nothing is downloaded, drawn
at random or guessed: an unknown id or a missing argument is a `DataError` when the row is read.

    >>> from cascade.verifiers import instructions
    >>> row = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    >>> instructions.verify("No commas here.", row).reward
    1.0
"""

from __future__ import annotations

from random import Random
from typing import Any

from cascade.errors import UnknownNameError
from cascade.verifiers.instructions.judging import (
    MAX_CHARACTERS,
    Accuracy,
    InstructionVerifier,
    accuracy,
    variants,
    verify,
)
from cascade.verifiers.instructions.load import load_constraints
from cascade.verifiers.instructions.rule import Argument, Constraint, Rule
from cascade.verifiers.instructions.sound import SOUND_RULES
from cascade.verifiers.instructions.table import RULES

__all__ = [
    "MAX_CHARACTERS",
    "RULES",
    "SOUND_RULES",
    "Accuracy",
    "Argument",
    "Constraint",
    "InstructionVerifier",
    "Rule",
    "accuracy",
    "counterexample",
    "describe",
    "draw",
    "load_constraints",
    "variants",
    "verify",
    "witness",
]


def describe(id_: str, /, **kwargs: Any) -> str:
    """Return the instruction in words, for arguments under their published names.

    Raises:
        DataError: no such id, or an argument that is missing, unknown or of the wrong type.
    """
    (constraint,) = load_constraints([{"id": id_, "kwargs": kwargs}])
    return RULES[constraint.id].describe(**constraint.arguments)


def draw(id_: str, rng: Random) -> Constraint:
    """Return a random satisfiable constraint with small numbers, for generated tasks.

    Raises:
        UnknownNameError: no such id.
    """
    if id_ not in RULES:
        raise UnknownNameError.near("instruction id", id_, RULES)
    return Constraint(id_, RULES[id_].draw(rng))


def witness(constraint: Constraint, rng: Random) -> str:
    """Return a short text that follows a constraint made by `draw`, under either standard."""
    return RULES[constraint.id].witness(rng, **constraint.arguments)


def counterexample(constraint: Constraint, rng: Random) -> str:
    """Return a short text that does not follow a constraint made by `draw`."""
    return RULES[constraint.id].counterexample(rng, **constraint.arguments)
