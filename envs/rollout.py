"""One episode: the loop that training, evaluation, data collection and adapters share.

The rollout knows the environment's five-tuple and the engine's `sample`, and nothing else. Token
ids and log-probabilities are kept exactly as the engine gave them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cascade.envs.base import Info, Observation, TextEnv, written
from cascade.envs.engines import Engine
from cascade.errors import CascadeError, ConfigError, DataError, EngineError
from cascade.types import Completion, SamplingParams, StopReason, Trajectory, Verdict

__all__ = ["derive_seed", "rollout"]


def derive_seed(*parts: object) -> int:
    """Return a 31-bit seed that depends on `parts` alone, the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


async def rollout(
    env: TextEnv,
    engine: Engine,
    params: SamplingParams,
    *,
    task_id: str | None = None,
    env_id: str = "",
    sample: int = 0,
    seed: int | None = None,
    token_budget: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Trajectory:
    """Run one episode of `env` with the messages that `engine` samples.

    A failure of the engine, the environment or its verifier ends the episode with a FAULT verdict
    and is on the record; it is never a reward of 0 that somebody trains on.

    Args:
        env: used by this episode alone until it returns.
        engine: may be shared by any number of episodes.
        params: how each message is sampled; `params.seed` is replaced by one derived from `seed`
            for each turn.
        task_id: the task; None draws one by `seed`.
        env_id: what the record calls the environment.
        sample: index among the samples of the task.
        seed: makes the episode repeatable, as far as the engine is.
        token_budget: generated tokens that all messages of the episode may have together; None:
            as many as the turns allow. An episode that has spent them is truncated, NO_ANSWER.
        metadata: put on the record as it is.

    Raises:
        ConfigError: a setting that no episode of this run can satisfy (an unknown task, a model
            name that the server does not have). The run should stop.
        DataError: the task itself cannot be judged.
    """
    started = time.perf_counter()
    options = None if task_id is None else {"task": task_id}
    episode = _Episode(env, engine, params, seed, token_budget)
    await episode.begin(options)
    while episode.verdict is None:
        await episode.turn()
    verdict = episode.verdict
    return Trajectory(
        task_id=env.task.id,
        env_id=env_id,
        sample=sample,
        messages=episode.conversation,
        completions=tuple(episode.completions),
        verdict=verdict,
        stop_reason=episode.stop_reason,
        reward=0.0 if verdict.is_fault else episode.reward,
        terminated=episode.terminated,
        truncated=episode.truncated,
        seed=seed,
        seconds=time.perf_counter() - started,
        task_metadata=env.task.metadata,
        metadata=metadata or {},
    )


@dataclass(slots=True)
class _Episode:
    """An episode while it runs."""

    env: TextEnv
    engine: Engine
    params: SamplingParams
    seed: int | None
    token_budget: int | None
    conversation: Observation = ()
    asked: int = 0
    """Messages that were there before the model spoke."""
    completions: list[Completion] = field(default_factory=list)
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    verdict: Verdict | None = None
    """Set when the episode is over."""
    stop_reason: StopReason = StopReason.ERROR

    async def begin(self, options: dict[str, Any] | None) -> None:
        """Reset the environment: in this thread if that takes microseconds, else in another."""
        try:
            if self.env.begins_quickly:
                self.conversation, _ = self.env.reset(seed=self.seed, options=options)
            else:
                self.conversation, _ = await asyncio.to_thread(
                    self.env.reset, seed=self.seed, options=options
                )
        except EngineError as error:  # of a model that the environment asks
            self.verdict = Verdict.fault(f"environment: {error}")
        self.asked = len(self.conversation)

    async def turn(self) -> None:
        """Sample one message and hand it to the environment."""
        params = self._params()
        if params is None:
            return
        try:
            completion = (await self.engine.sample([self.conversation], params))[0]
        except EngineError as error:
            self.verdict = Verdict.fault(f"engine: {error}")
            return
        self.completions.append(completion)
        self.env.message_cut_off = completion.stop_reason is StopReason.LENGTH
        try:
            conversation, earned, self.terminated, self.truncated, info = await _step(
                self.env, _message_of(completion)
            )
        except (ConfigError, DataError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: a broken judge is a recorded FAULT
            self.verdict = Verdict.fault(_described(error))
            return
        self.conversation = _as_sampled(conversation, self.asked, self.completions)
        self.reward += earned
        if self.terminated or self.truncated:
            self.verdict, self.stop_reason = _ending(info, completion)

    def _params(self) -> SamplingParams | None:
        """This turn's parameters; None ends the episode, whose tokens are spent."""
        params = _for_turn(self.params, self.env, self.seed, len(self.completions))
        if self.token_budget is None:
            return params
        left = self.token_budget - sum(map(_generated, self.completions))
        if left < 1:
            self.verdict = Verdict.no_answer(
                f"the episode's {self.token_budget:,} tokens are spent"
            )
            self.stop_reason, self.truncated = StopReason.LENGTH, True
            return None
        return replace(params, max_tokens=min(params.max_tokens, left))


async def _step(env: TextEnv, text: str) -> tuple[Observation, float, bool, bool, Info]:
    """Step in this thread if that takes microseconds, else in another."""
    await env.prepare(text)
    if env.responds_quickly(text):
        return env.step(text)
    return await asyncio.to_thread(env.step, text)


def _for_turn(params: SamplingParams, env: TextEnv, seed: int | None, turn: int) -> SamplingParams:
    """Return this turn's parameters: its own seed, and the functions that the task offers."""
    if env.task.tools:
        params = replace(params, extra={**params.extra, "tools": list(env.task.tools)})
    if seed is None:
        return params
    return replace(params, seed=derive_seed(seed, "turn", turn))


def _message_of(completion: Completion) -> str:
    """Return the assistant's message as text, with the calls that a server took out put back."""
    calls = [dict(call) for call in completion.tool_calls]
    return written({"role": "assistant", "content": completion.text, "tool_calls": calls})


def _as_sampled(
    conversation: Observation, asked: int, completions: Sequence[Completion]
) -> Observation:
    """Give the model's messages the form in which their engine gave them.

    A server that takes reasoning and calls out of the text gets them back as fields, so that its
    chat template can keep the reasoning since the last user message and write the calls in its own
    way. Calls whose arguments are no JSON object stay text: no template could write them.
    """
    if not any(completion.reasoning or completion.tool_calls for completion in completions):
        return conversation
    said, made = iter(completions), list(conversation[:asked])
    ids: list[Any] = []
    for message in conversation[asked:]:
        if message["role"] == "assistant" and (completion := next(said, None)) is not None:
            message, ids = message.copy(), []
            if completion.reasoning:
                message["reasoning_content"] = completion.reasoning
            if completion.tool_calls and all(map(_is_readable, completion.tool_calls)):
                message["content"] = completion.text
                message["tool_calls"] = [dict(call) for call in completion.tool_calls]
                ids = [call.get("id") for call in completion.tool_calls]
        elif message["role"] == "tool" and ids:
            message = {**message, "tool_call_id": ids.pop(0)}
        made.append(message)
    return tuple(made)


def _is_readable(call: Mapping[str, Any]) -> bool:
    arguments = call.get("function", {}).get("arguments", "{}")
    try:
        return isinstance(arguments, Mapping) or isinstance(json.loads(arguments), dict)
    except (TypeError, ValueError, RecursionError):
        return False


def _generated(completion: Completion) -> int:
    """Generated tokens, as far as the engine counts them."""
    if completion.num_tokens is not None:
        return completion.num_tokens
    return len(completion.token_ids or ())


def _ending(info: Info, completion: Completion) -> tuple[Verdict, StopReason]:
    """Return the verdict, and the more telling of the two reasons to stop."""
    verdict: Verdict = info["verdict"]
    ended: StopReason = info["stop_reason"]
    if verdict.is_fault:
        return verdict, StopReason.ERROR
    cut_off = completion.stop_reason in (StopReason.LENGTH, StopReason.CONTENT_FILTER)
    return verdict, completion.stop_reason if cut_off else ended


def _described(error: Exception) -> str:
    kind = "verifier" if isinstance(error, CascadeError) else f"environment, {type(error).__name__}"
    return f"{kind}: {error}"[:500]
