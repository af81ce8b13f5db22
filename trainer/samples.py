"""Trajectories as token rows to train on: what the sampler saw and drew, and nothing re-tokenized.

Shapes: T tokens of a row, L layers with experts, K experts a token is sent to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.errors import ContractError
from cascade.types import Completion, Trajectory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Sample", "samples_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One contiguous text as the sampler saw it: a prompt, then drawn and answered tokens.

    An episode is one sample as long as each turn's prompt continues the text before it. Where a
    chat template rewrites history (earlier reasoning is stripped), the episode forks: each stretch
    is a sample of its own, and all share the episode's reward and advantage.
    """

    token_ids: npt.NDArray[np.int64]
    """[T]"""
    sampled: npt.NDArray[np.bool_]
    """[T] which tokens the model drew: those are trained on."""
    sampler_logprobs: npt.NDArray[np.float32]
    """[T] nats under the sampling distribution; 0 where not `sampled`."""
    episode: int
    """Index of its episode in the batch; samples of one episode share it."""
    group: int
    """Index of its group in the batch: the episodes of one task."""
    domain: str
    """What routes it to a teacher and names it in metrics: the environment's id, or a label."""
    reward: float
    """Of the episode, in [0, 1]. Never of a FAULT: those do not become samples."""
    cut_off: bool = False
    """The episode ended at the token budget."""
    task_id: str = ""
    weight_version: str | None = None
    """Which weights drew the first of its tokens."""
    routed_experts: npt.NDArray[np.int16] | None = None
    """[T, L, K] experts that the sampler sent each input token to; -1 where it did not say."""

    @property
    def num_sampled(self) -> int:
        """Number of tokens that are trained on."""
        return int(self.sampled.sum())


@dataclass(slots=True)
class _Stretch:
    """A sample while it grows."""

    token_ids: list[int]
    sampled: list[bool]
    logprobs: list[float]
    routes: Any = None
    weight_version: str | None = None

    def continues_with(self, completion: Completion) -> bool:
        prompt = completion.prompt_token_ids or ()
        return list(prompt[: len(self.token_ids)]) == self.token_ids

    def append(self, completion: Completion) -> None:
        assert completion.prompt_token_ids is not None
        assert completion.token_ids is not None
        assert completion.logprobs is not None
        answered = completion.prompt_token_ids[len(self.token_ids) :]
        self.token_ids += [*answered, *completion.token_ids]
        self.sampled += [False] * len(answered) + [True] * len(completion.token_ids)
        self.logprobs += [0.0] * len(answered) + list(completion.logprobs)
        if completion.routed_experts is not None:
            self.routes = completion.routed_experts
        self.weight_version = self.weight_version or completion.weight_version


def samples_of(
    trajectory: Trajectory, *, episode: int, group: int, domain: str | None = None
) -> list[Sample]:
    """Return the episode's stretches of tokens, in order; none if nothing was drawn.

    Raises:
        ContractError: the engine did not return token ids and log-probabilities, or the verdict
            is a FAULT, which says nothing about the response.
    """
    if trajectory.verdict.is_fault:
        raise ContractError(f"a FAULT cannot be trained on: {trajectory.verdict.reason}")
    stretches: list[_Stretch] = []
    for completion in trajectory.completions:
        _check(completion, trajectory)
        if not (stretches and stretches[-1].continues_with(completion)):
            stretches.append(_Stretch([], [], []))
        stretches[-1].append(completion)
    return [
        _finished(stretch, trajectory, episode, group, domain)
        for stretch in stretches
        if any(stretch.sampled)
    ]


def _check(completion: Completion, trajectory: Trajectory) -> None:
    for name in ("prompt_token_ids", "token_ids", "logprobs"):
        if getattr(completion, name) is None:
            raise ContractError(
                f"the engine returned no {name} for task {trajectory.task_id!r}: training needs "
                "the very tokens that were sampled; use the torch or vllm engine, or a server "
                "that returns token ids"
            )


def _finished(
    stretch: _Stretch, trajectory: Trajectory, episode: int, group: int, domain: str | None
) -> Sample:
    import numpy as np

    routes = None
    if stretch.routes is not None:
        given = np.asarray(stretch.routes, dtype=np.int16)
        routes = np.full((len(stretch.token_ids), *given.shape[1:]), -1, dtype=np.int16)
        rows = min(len(given), len(routes))
        routes[:rows] = given[:rows]
    return Sample(
        token_ids=np.asarray(stretch.token_ids, dtype=np.int64),
        sampled=np.asarray(stretch.sampled, dtype=np.bool_),
        sampler_logprobs=np.asarray(stretch.logprobs, dtype=np.float32),
        episode=episode,
        group=group,
        domain=domain if domain is not None else trajectory.env_id,
        reward=trajectory.reward,
        cut_off=trajectory.stop_reason.value == "length",
        task_id=trajectory.task_id,
        weight_version=stretch.weight_version,
        routed_experts=routes,
    )
