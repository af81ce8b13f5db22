"""Reads constraints out of rows, in each of the forms in which they are published."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cascade.errors import DataError, UnknownNameError
from cascade.verifiers.instructions.rule import Constraint
from cascade.verifiers.instructions.table import RULES

__all__ = ["load_constraints"]


def load_constraints(
    row: Mapping[str, Any] | Sequence[Mapping[str, Any] | Constraint],
) -> tuple[Constraint, ...]:
    """Read the constraints of a row; nothing unknown, missing or ill-typed gets through.

    Forms: a sequence of ``{"id": …, "kwargs": {…}}`` (or one such mapping); a mapping with
    ``instruction_id_list`` and ``kwargs`` (IFEval, IFBench, NeMo-Gym), at the top or under
    ``verifier_metadata``; a mapping whose ``ground_truth`` is the text of
    ``[{"instruction_id": […], "kwargs": […]}]`` (IF-RLVR). Arguments that are null count as
    absent, as published rows list every argument of every rule.

    Raises:
        DataError: an unknown id, an argument that is missing, unknown or of the wrong type, lists
            of different lengths, or no constraint at all; the message names row, id and field.
    """
    where = _row_name(row)
    pairs = list(_pairs(row, where))
    if not pairs:
        raise DataError(f"{where}: no instruction to check")
    return tuple(
        found if isinstance(found, Constraint) else _constraint(*found, where) for found in pairs
    )


def _row_name(row: object) -> str:
    """How messages call the row: by its key where it has one."""
    if isinstance(row, Mapping) and "kwargs" in row:
        name = next((row[field] for field in ("key", "uuid", "id") if field in row), None)
        if isinstance(name, str | int):
            return f"row {name!r}"
    return "row"


Pair = tuple[Any, Any]


def _pairs(row: Any, where: str) -> Iterable[Pair | Constraint]:
    """The (id, kwargs) of each instruction, before anything is checked."""
    if isinstance(row, Mapping):
        return _pairs_of_mapping(row, where)
    if not isinstance(row, Sequence) or isinstance(row, str | bytes):
        raise DataError(f"{where}: expected constraints, got {type(row).__name__}")
    pairs: list[Pair | Constraint] = []
    for item in row:
        if isinstance(item, Constraint):
            pairs.append(item)
        elif isinstance(item, Mapping) and "id" in item:
            pairs.append((item["id"], item.get("kwargs")))
        else:
            raise DataError(f"{where}: each constraint needs an 'id', got {item!r:.80}")
    return pairs


def _pairs_of_mapping(row: Mapping[str, Any], where: str) -> Iterable[Pair | Constraint]:
    nested = row.get("verifier_metadata")
    if "instruction_id_list" not in row and isinstance(nested, Mapping):
        row = nested
    if isinstance(row.get("ground_truth"), str):
        row = _parsed(row["ground_truth"], where)
    ids = row.get("instruction_id_list", row.get("instruction_id"))
    if ids is None:
        return _pairs([row], where)
    kwargs = row.get("kwargs")
    for field, value in (("instruction_id_list", ids), ("kwargs", kwargs)):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise DataError(f"{where}: {field} must be a list, got {value!r:.80}")
    assert isinstance(kwargs, Sequence)
    if len(ids) != len(kwargs):
        raise DataError(f"{where}: {len(ids)} instruction ids but {len(kwargs)} kwargs")
    return list(zip(ids, kwargs, strict=True))


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise DataError(f"{where}: ground_truth is not a literal: {error}") from error
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        return value[0]
    raise DataError(f"{where}: ground_truth must be a list of one mapping, got {value!r:.80}")


def _constraint(id_: Any, kwargs: Any, where: str) -> Constraint:
    rule = RULES.get(id_) if isinstance(id_, str) else None
    if rule is None:
        near = UnknownNameError.near("instruction id", str(id_), RULES)
        raise DataError(f"{where}: {near}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise DataError(f"{where}: {id_}: kwargs must be a mapping, got {kwargs!r:.80}")
    given = {name: value for name, value in (kwargs or {}).items() if value is not None}
    arguments: dict[str, Any] = {}
    for argument in rule.arguments:
        if argument.name in given:
            value = given.pop(argument.name)
        elif argument.used:
            raise DataError(f"{where}: {id_}: argument {argument.name!r} is missing")
        else:
            continue
        try:
            arguments[argument.name] = argument.parse(value)
        except ValueError as error:
            raise DataError(
                f"{where}: {id_}: {argument.name} must be {error}, got {value!r:.80}"
            ) from error
    if given:
        raise DataError(f"{where}: {id_}: unknown argument {', '.join(map(repr, sorted(given)))}")
    return Constraint(id_, arguments)
