"""Stored episodes of several turns, in the forms of those who publish them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cascade.envs.rows import Row
from cascade.errors import ConfigError, DataError
from cascade.evals.stored import Output, field_of

__all__ = ["read_tau2", "tau2_rows"]


def read_tau2(row: Row, index: int, argument: str) -> Iterator[Output]:
    """An episode of a file of results, judged by the criteria that its reward was computed from.

    Those stand in `reward_info`: in some published files the ids of the tasks were renumbered. With
    the argument `recorded` the data base is what the file's own tool results show of it.
    """
    from cascade.envs.tau2.domains import find_domain  # builds its tools: not for every command
    from cascade.envs.tau2.recorded import recorded_tables

    if argument not in ("", "recorded"):
        raise ConfigError(f"--format tau2 takes no argument, or `recorded`; got {argument!r}")
    info, domain = field_of(row, "reward_info"), find_domain(row["domain"])
    reference: dict[str, Any] = {
        "domain": domain.name,
        "actions": [check["action"] for check in info.get("action_checks") or ()],
        "communicate_info": [check["info"] for check in info.get("communicate_checks") or ()],
        "reward_basis": info.get("reward_basis"),
    }
    if argument:
        reference |= {
            "database": recorded_tables(row["all"], domain.tables),
            "partial": True,
        }
    messages = tuple(field_of(row, "messages"))
    yield Output(
        str(field_of(row, "task_id")),
        next((m["content"] for m in reversed(messages) if m["role"] == "assistant"), "") or "",
        sample=row.get("trial"),
        gold=reference,
        published=float(info["reward"]),
        messages=messages,
    )


def tau2_rows(path: Path) -> list[Row]:
    """A file of results is one object; each of its simulations is a row."""
    from cascade.envs.tau2.domains import read_json

    found = read_json(path)
    if not isinstance(found, Mapping) or not isinstance(found.get("simulations"), list):
        raise DataError(f"{path}: results of tau2-bench have the fields info and simulations")
    episodes = found["simulations"]
    domain = found["info"]["environment_info"]["domain_name"]
    return [{**episode, "domain": domain, "all": episodes} for episode in episodes]
