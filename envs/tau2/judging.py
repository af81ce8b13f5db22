"""The reward of an episode: the data base that it leaves, and what the agent told the user.

Source: sierra-research/tau2-bench at a2c0247, evaluator_env.py and evaluator_communicate.py. The
reward is the product of the parts in the task's reward basis: DB, 1 if the data base is what the
expected actions leave; COMMUNICATE, 1 if each expected text occurs, without regard to case and
commas, in a message of the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cascade.envs.tau2.documents import Documents
from cascade.envs.tau2.domains import Domain
from cascade.errors import DataError
from cascade.types import Verdict, VerdictStatus
from cascade.verifiers.tools import Call

__all__ = ["check_reference", "judge_episode", "looks_only", "replayed"]

_BASES = ("DB", "COMMUNICATE")
_LOOKS = ("get_", "find_", "list_", "search_", "calculate", "transfer_")


def check_reference(reference: Mapping[str, Any]) -> None:
    """Refuse a task that is not judged by data base and messages.

    Raises:
        DataError: its reward basis has other parts, or an action is no call of the agent.
    """
    basis = reference.get("reward_basis", _BASES)
    others = sorted(set(basis) - set(_BASES))
    if others or not basis:
        raise DataError(
            f"the reward basis has {', '.join(others) or 'no part'}, and only DB and COMMUNICATE "
            "are computed here"
        )
    for action in reference.get("actions") or ():
        if action.get("requestor", "assistant") != "assistant":
            raise DataError("an action of the user is expected: such domains are not judged here")


def looks_only(name: str) -> bool:
    """Whether a tool of that name changes nothing."""
    return name.startswith(_LOOKS)


def replayed(domain: Domain, start: Documents, calls: Iterable[Call]) -> Documents:
    """Return the data base after `calls`; look-ups and those that fail change nothing."""
    documents = start.copy()
    for call in calls:
        if not looks_only(call.name):
            domain.toolbox.call(documents, call.name, call.arguments)
    return documents


def judge_episode(
    domain: Domain,
    start: Documents,
    end: Documents,
    said: Sequence[str],
    reference: Mapping[str, Any],
) -> Verdict:
    """Judge an episode.

    Args:
        domain: whose tools the expected actions call.
        start: the data base before the episode.
        end: the data base after it.
        said: the agent's messages to the user.
        reference: `actions` (name, arguments), `communicate_info` (texts), `reward_basis`.

    Raises:
        DataError: see `check_reference`.
    """
    check_reference(reference)
    actions = [Call(a["name"], a["arguments"]) for a in reference.get("actions") or ()]
    difference = end.difference(replayed(domain, start, actions))
    told = [text.lower().replace(",", "") for text in said]
    untold = [
        text
        for text in reference.get("communicate_info") or ()
        if not any(str(text).lower() in message for message in told)
    ]
    found = {"DB": float(difference is None), "COMMUNICATE": float(not untold)}
    basis = reference.get("reward_basis", _BASES)
    reasons = [difference] if difference and "DB" in basis else []
    if untold and "COMMUNICATE" in basis:
        reasons.append(f"the user was not told {untold[0]!r}")
    if reasons:
        return Verdict(0.0, VerdictStatus.WRONG, parts=found, reason="; ".join(reasons))
    return Verdict(1.0, VerdictStatus.CORRECT, parts=found, reason="all as expected")
