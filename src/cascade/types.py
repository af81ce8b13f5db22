"""The few types that pass between the parts of Cascade. Standard library only, no logic.

A `Task` goes into an environment, a `Completion` comes out of an engine, a verifier turns text
into a `Verdict`, and a `Trajectory` is the record of one episode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypedDict

from cascade.errors import ConfigError

__all__ = [
    "Completion",
    "Conversation",
    "Message",
    "Prompt",
    "Role",
    "SamplingParams",
    "StopReason",
    "Task",
    "Trajectory",
    "Verdict",
    "VerdictStatus",
    "Verifier",
]

Role = Literal["system", "user", "assistant", "tool"]


class Message(TypedDict, total=False):
    """One chat message in the OpenAI form; `role` and `content` are always there."""

    role: Role
    content: str
    reasoning_content: str
    """What a server's reasoning parser separated from the answer (assistant only)."""
    tool_calls: list[dict[str, Any]]
    """Calls as OpenAI has them: `{"id", "type": "function", "function": {"name", "arguments"}}`."""
    tool_call_id: str
    name: str


Conversation = Sequence[Message]
Prompt = Conversation | Sequence[int] | str
"""What an engine continues: a conversation, token ids, or raw text (no chat template)."""


class StopReason(StrEnum):
    """Why a completion or an episode ended."""

    STOP = "stop"
    """The model ended its message, or a stop string came."""
    LENGTH = "length"
    """The token budget was spent: the text is cut off."""
    TOOL_CALLS = "tool_calls"
    """The model ended its message with calls of tools."""
    TURNS = "turns"
    """The environment's budget of turns was spent."""
    CONTENT_FILTER = "content_filter"
    """The server refused to go on."""
    ERROR = "error"
    """The engine, environment or verifier failed: the verdict is FAULT."""


@dataclass(frozen=True, slots=True)
class Task:
    """One problem: what the model sees, and what the verifier needs to judge the answer."""

    id: str
    """Unique within its task set and stable from run to run."""
    messages: tuple[Message, ...]
    """The conversation up to the model's first turn."""
    reference: Any = None
    """What the verifier compares with: plain JSON data (a gold answer, tests, constraints)."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Tools on offer, each in the OpenAI function form (JSON Schema)."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """`source`, `licence`, `difficulty`, `pass_rate`, … : never shown to the model."""


class VerdictStatus(StrEnum):
    """What a verifier found."""

    CORRECT = "correct"
    PARTIAL = "partial"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    """Nothing to judge was found: no final answer, or the reasoning block never closed."""
    FAULT = "fault"
    """The judge, sandbox or verifier itself failed or ran out of its own time.

    Not a wrong answer: never trained on, retried, counted.
    """


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's judgement of one response.

    Raises:
        ConfigError: the reward is not in [0, 1], or does not fit the status (CORRECT is 1,
            WRONG, NO_ANSWER and FAULT are 0, PARTIAL lies between).
    """

    reward: float
    status: VerdictStatus
    extracted: str | None = None
    """The answer that was found in the response and judged."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Named components of a composed reward."""
    reason: str = ""
    """One line for a person."""

    def __post_init__(self) -> None:
        """Refuse rewards that training could not use."""
        if not (math.isfinite(self.reward) and 0.0 <= self.reward <= 1.0):
            raise ConfigError(f"reward must lie in [0, 1], got {self.reward!r} ({self.reason})")
        expected = {VerdictStatus.CORRECT: 1.0, VerdictStatus.PARTIAL: self.reward}
        if self.reward != expected.get(self.status, 0.0):
            raise ConfigError(f"a {self.status.value} verdict cannot have reward {self.reward!r}")

    @classmethod
    def correct(cls, extracted: str | None = None, reason: str = "") -> Verdict:
        """Full reward."""
        return cls(1.0, VerdictStatus.CORRECT, extracted, reason=reason)

    @classmethod
    def wrong(cls, extracted: str | None = None, reason: str = "") -> Verdict:
        """An answer was found, and it is not right."""
        return cls(0.0, VerdictStatus.WRONG, extracted, reason=reason)

    @classmethod
    def no_answer(cls, reason: str = "") -> Verdict:
        """Nothing to judge."""
        return cls(0.0, VerdictStatus.NO_ANSWER, reason=reason)

    @classmethod
    def fault(cls, reason: str, extracted: str | None = None) -> Verdict:
        """The judge failed; the reward is 0 only because a number is needed, never use it."""
        return cls(0.0, VerdictStatus.FAULT, extracted, reason=reason)

    @property
    def is_fault(self) -> bool:
        """Whether this verdict says nothing about the response."""
        return self.status is VerdictStatus.FAULT


class Verifier(Protocol):
    """Text in, verdict out: a callable that any thread may call, without side effects."""

    def __call__(self, response: str, reference: Any, /) -> Verdict:
        """Judge `response` (the assistant's whole message) against `reference`.

        A failure of the verifier itself is returned as a FAULT, not raised; only a reference
        that no response could satisfy raises `cascade.errors.DataError`.
        """
        ...


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How an engine samples. Defaults are the field's for reasoning models: T 1, top-p 1."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    max_tokens: int = 131_072
    """Budget of generated tokens for one message."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    """Engines that can, sample one request reproducibly from it."""
    thinking: bool | None = None
    """Ask the chat template for (True) or against (False) a reasoning block; None: its default."""
    logprobs: bool = False
    """Return the log-probability of each sampled token."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields passed on to the engine as they are (a server's own options)."""

    def __post_init__(self) -> None:
        """Refuse what no engine can do."""
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"temperature must be 0 or more, got {self.temperature!r}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must lie in (0, 1], got {self.top_p!r}")
        if self.top_k < 0:
            raise ConfigError(f"top_k must be 0 (all) or more, got {self.top_k!r}")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens must be 1 or more, got {self.max_tokens!r}")


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled message, as the engine gave it."""

    text: str
    """The message without its reasoning if the server separated that, else the whole text."""
    stop_reason: StopReason
    reasoning: str | None = None
    """The reasoning that the server's parser took out of the text."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """Calls that the server's parser took out of the text, in the OpenAI form."""
    prompt_token_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    """[T] sampled ids, the end-of-message token included if it was sampled."""
    logprobs: tuple[float, ...] | None = None
    """[T] nats, of `token_ids` under the sampling distribution."""
    num_prompt_tokens: int | None = None
    num_tokens: int | None = None
    """Generated tokens, as counted by the engine (also where ids are not returned)."""
    routed_experts: Any = None
    """[T - 1 + prompt, layers, top_k] expert ids, from engines that record them."""
    weight_version: str | None = None
    """Which weights sampled this, from engines that are being trained."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one episode: all that training, scoring and reading it later need."""

    task_id: str
    env_id: str
    sample: int
    """Index among the samples of the same task, from 0."""
    messages: tuple[Message, ...]
    """The whole conversation, the model's messages included."""
    completions: tuple[Completion, ...]
    """The model's turns, in order; token ids and log-probabilities are never recomputed."""
    verdict: Verdict
    stop_reason: StopReason
    reward: float = 0.0
    """Sum of the episode's step rewards: the verdict's reward in single-turn environments."""
    terminated: bool = True
    truncated: bool = False
    seed: int | None = None
    seconds: float = 0.0
    """Wall time of the episode."""
    task_metadata: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything the caller wants on the record (task name, run id, …)."""

    @property
    def response(self) -> str:
        """The model's last message as text; empty if it never spoke."""
        return self.completions[-1].text if self.completions else ""
