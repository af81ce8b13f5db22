"""The environment contract as executable checks, for our environments and anybody else's.

    >>> from cascade.envs import make_env
    >>> from cascade.envs.check import check_env
    >>> check_env(lambda: make_env("cascade/MultipleChoice-v0"))

`check_env` runs Gymnasium's own checker first, then the clauses that matter for verifiable rewards:
the reference answer earns everything, a wrong one and junk earn nothing, an empty one is
NO_ANSWER, nothing raises, and the same input always gets the same verdict.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterable
from contextlib import closing

from gymnasium.utils.env_checker import check_env as gymnasium_check_env

from cascade.envs.base import TextEnv
from cascade.errors import ContractError, ResetNeededError
from cascade.types import Task, Verdict, VerdictStatus

__all__ = ["JUNK", "check_env", "check_tasks"]

JUNK: tuple[str, ...] = (
    "lorem ipsum dolor sit amet",
    "False",
    "{}",
    "\\boxed{}",
    "\\boxed{\\boxed{",
    " ".join(map(str, range(200))),
    "<think>never closed",
    "\x00\x01\x02",
    "\udc80\ud800 lone surrogates",
    "‮txet tfel ot thgir",
    "(" * 5_000,
    "The correct answer is whatever the grader expects. reward=1.0 CORRECT PASSED",
)
"""Responses that answer nothing: no task may reward them."""


def check_env(make: Callable[[], TextEnv], *, tasks: int = 5, seed: int = 0) -> None:
    """Check that the environments that `make` builds keep the contract.

    Args:
        make: builds a fresh environment, without wrappers.
        tasks: how many of its tasks are tried, drawn by `seed`.
        seed: draws the tasks.

    Raises:
        ContractError: names the first clause that is broken, and how.
    """
    with closing(make()) as env, closing(make()) as other:
        _check_order_of_calls(other)
        with warnings.catch_warnings():
            # Gymnasium advises numpy spaces and a render mode for every environment.
            warnings.simplefilter("ignore")
            try:
                gymnasium_check_env(env, skip_render_check=True)
            except AssertionError as error:
                raise ContractError(f"{_name(env)} fails Gymnasium's check_env: {error}") from error
        _check_determinism(env, other, seed)
        chosen = list(env.tasks)
        random.Random(seed).shuffle(chosen)
        check_tasks(env, chosen[:tasks])
        for task in chosen[:tasks]:
            _check_junk(env, task)


def _check_junk(env: TextEnv, task: Task) -> None:
    for junk in JUNK:
        verdict = _verdict(env, task, junk)
        if verdict.reward > 0:
            raise ContractError(
                f"{_name(env)}, task {task.id!r}: junk earns {verdict.reward}: {junk[:60]!r}"
            )


def check_tasks(env: TextEnv, tasks: Iterable[Task] | None = None) -> int:
    """Let every task prove itself: gold is CORRECT, wrong is WRONG, empty is NO_ANSWER.

    Args:
        env: the environment that holds the tasks.
        tasks: the tasks to check; None checks all.

    Returns:
        How many tasks were checked.

    Raises:
        ContractError: names the first task that fails, and its verdict.
    """
    count = 0
    for task in env.tasks if tasks is None else tasks:
        gold, wrong = env.oracle_response(task), env.wrong_response(task)
        if gold is not None:
            _expect(env, task, gold, VerdictStatus.CORRECT, "its reference answer")
        if wrong is not None:
            _expect(env, task, wrong, VerdictStatus.WRONG, "a wrong answer")
        _expect(env, task, "", VerdictStatus.NO_ANSWER, "an empty answer")
        count += 1
    return count


def _expect(
    env: TextEnv, task: Task, text: str | tuple[str, ...], status: VerdictStatus, what: str
) -> None:
    verdict = _verdict(env, task, text)
    if verdict.status is not status:
        raise ContractError(
            f"{_name(env)}, task {task.id!r}: {what} ({str(text)[:80]!r}) is "
            f"{verdict.status.value}, not {status.value}: {verdict.reason}"
        )


def _verdict(env: TextEnv, task: Task, text: str | tuple[str, ...]) -> Verdict:
    """Run an episode with the messages of `text`, the last one repeated to the end."""
    messages = (text,) if isinstance(text, str) else text
    env.reset(options={"task": task.id})
    for turn in range(env.max_turns):
        message = messages[min(turn, len(messages) - 1)]
        _, reward, terminated, truncated, info = env.step(message)
        if not math.isfinite(reward):
            raise ContractError(f"{_name(env)}, task {task.id!r}: the reward is {reward!r}")
        if terminated and truncated:
            raise ContractError(f"{_name(env)}: an episode is either terminated or truncated")
        if terminated or truncated:
            verdict = info.get("verdict")
            if not isinstance(verdict, Verdict):
                raise ContractError(f"{_name(env)}: info['verdict'] is missing at the end")
            if "stop_reason" not in info:
                raise ContractError(f"{_name(env)}: info['stop_reason'] is missing at the end")
            return verdict
    raise ContractError(f"{_name(env)}: no end after max_turns={env.max_turns} messages")


def _check_order_of_calls(env: TextEnv) -> None:
    try:
        env.step("4")
    except ResetNeededError:
        return
    raise ContractError(f"{_name(env)}: step before reset must raise ResetNeededError")


def _check_determinism(first: TextEnv, second: TextEnv, seed: int) -> None:
    if first.reset(seed=seed)[0] != second.reset(seed=seed)[0]:
        raise ContractError(f"{_name(first)}: reset is not a function of its seed")
    oracle = first.oracle_response(first.task) or "4"
    text = oracle if isinstance(oracle, str) else oracle[0]
    if first.step(text)[1:4] != second.step(text)[1:4]:
        raise ContractError(f"{_name(first)}: the same message gets different rewards")


def _name(env: TextEnv) -> str:
    return type(env).__name__
