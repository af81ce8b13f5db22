"""What a run keeps of each sample once its trajectory is on disk: a few bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cascade.types import StopReason, Trajectory, VerdictStatus

__all__ = ["Record", "answer_key", "is_unparsable", "record_of", "tokens_of"]

_LONG_ANSWER = 100
_UNREAD = (
    "no rule reads the answer",
    "; the limit is ",
    "too large to evaluate",
    "does not hold exactly one letter",
)
"""What verifiers say of an answer that they found and could not read."""


@dataclass(frozen=True, slots=True)
class Record:
    """One judged sample."""

    task: str
    task_id: str
    sample: int
    reward: float
    status: VerdictStatus
    answer: str | None
    """Key of the extracted answer for majority votes; long ones are replaced by their digest."""
    truncated: bool
    """The token budget cut the response off."""
    empty: bool
    """The response is blank."""
    unparsable: bool
    """An answer was found, but the verifier could not read it."""
    num_tokens: int
    """Generated; 0 if the engine does not count."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """The verdict's named components, for scores that are no mean of rewards."""
    refused: bool = False
    """The server's content filter ended a response."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes a sample of a run unique."""
        return self.task, self.task_id, self.sample

    @property
    def is_fault(self) -> bool:
        """Whether this sample says nothing about the model."""
        return self.status is VerdictStatus.FAULT


def record_of(trajectory: Trajectory, task: str) -> Record:
    """Boil a trajectory down."""
    verdict = trajectory.verdict
    return Record(
        task,
        trajectory.task_id,
        trajectory.sample,
        verdict.reward,
        verdict.status,
        answer_key(verdict.extracted),
        trajectory.stop_reason is StopReason.LENGTH,
        not verdict.is_fault and not trajectory.response.strip(),
        is_unparsable(verdict.status, verdict.reason),
        tokens_of(trajectory),
        verdict.parts,
        any(c.stop_reason is StopReason.CONTENT_FILTER for c in trajectory.completions),
    )


def answer_key(extracted: str | None) -> str | None:
    """Return the text by which votes are counted: white space does not matter."""
    if extracted is None:
        return None
    key = " ".join(extracted.split())
    if len(key) > _LONG_ANSWER:
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return key


def is_unparsable(status: VerdictStatus, reason: str) -> bool:
    """Whether the verifier says that it found an answer and could not read it."""
    return status is VerdictStatus.WRONG and any(words in reason for words in _UNREAD)


def tokens_of(trajectory: Trajectory) -> int:
    """Generated tokens of all turns, as far as the engine counted them."""
    return sum(_counted(c.num_tokens, c.token_ids) for c in trajectory.completions)


def _counted(count: int | None, ids: Iterable[int] | None) -> int:
    if count is not None:
        return count
    return len(tuple(ids)) if ids is not None else 0
