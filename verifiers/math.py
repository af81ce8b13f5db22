r"""Mathematical answers: is the final answer of a response the gold answer?

    >>> from cascade.verifiers import math
    >>> math.verify(r"So the sum is \boxed{\frac{2}{4}}.", "1/2").status.value
    'correct'

The stages, each in its own module: `reasoning` takes the thinking away, `extraction` finds the
final answer, `notation` spells it in one way, `shape` reads its outer structure, `number` and
`quantity` its literals, `compare` decides. Literal numbers and words are decided here and now,
other expressions by `symbolic`, in worker processes that are killed at a deadline. What every
option means and where this differs from other graders: docs/verifiers.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from cascade.errors import DataError
from cascade.types import Verdict
from cascade.verifiers.compare import Comparer, NeedsWorker
from cascade.verifiers.extraction import Found, find_answer
from cascade.verifiers.limits import over_limit
from cascade.verifiers.policy import Policy
from cascade.verifiers.pool import WorkerFailedError, WorkerPool

__all__ = ["MathVerifier", "Policy", "extract_answer", "reset", "verify", "verify_many", "warm"]

_DEFAULT = Policy()
_SECONDS = 5.0
_workers = WorkerPool("cascade.verifiers.symbolic_worker")


def verify(
    response: str, answer: str, *, policy: Policy = _DEFAULT, timeout_seconds: float = _SECONDS
) -> Verdict:
    """Judge the final answer of `response` against the gold `answer`.

    Never raises for any response; any thread may call.

    Args:
        response: the assistant's whole message, reasoning included.
        answer: the gold answer, as the data set states it.
        policy: what counts as the same; part of the verdict's meaning.
        timeout_seconds: what the comparison itself may take once a worker has begun it.

    Raises:
        DataError: the gold is empty or no text, so that no response could be right.
    """
    return _judge(find_answer(_text(response), policy), _gold(answer), policy, timeout_seconds)


def verify_many(
    pairs: Iterable[tuple[str, str]],
    *,
    policy: Policy = _DEFAULT,
    timeout_seconds: float = _SECONDS,
    workers: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Verdict]:
    """Judge (response, answer) pairs and return the verdicts in their order.

    Args:
        pairs: responses with their gold answers.
        policy: as in `verify`.
        timeout_seconds: for each comparison, not for the batch.
        workers: worker processes to use at once; the number of processors unless given.
        progress: called with (done, total) after each verdict, from the calling thread.

    Raises:
        DataError: a gold is empty; the message names the pair.
    """
    todo = list(pairs)
    verdicts: dict[int, Verdict] = {}
    waiting: dict[int, tuple[str, str]] = {}

    def settle(index: int, verdict: Verdict) -> None:
        verdicts[index] = verdict
        if progress is not None:
            progress(len(verdicts), len(todo))

    for index, (response, answer) in enumerate(todo):
        found = find_answer(_text(response), policy)
        gold = _gold(answer, f"pair {index}: ")
        verdict = _judge_here(found, gold, policy)
        if verdict is not None:
            settle(index, verdict)
        else:
            waiting[index] = (gold, str(found.answer))
    for index, verdict in _judge_all_there(waiting, policy, timeout_seconds, workers):
        settle(index, verdict)
    return [verdicts[index] for index in range(len(todo))]


def _judge_all_there(
    waiting: Mapping[int, tuple[str, str]],
    policy: Policy,
    timeout_seconds: float,
    workers: int | None,
) -> Iterator[tuple[int, Verdict]]:
    """Yield verdicts of the worker processes as they come; a thread waits for each worker."""
    if not waiting:
        return
    # Here and not above: integer answers never come this far, and its imports take 30 ms.
    from concurrent.futures import ThreadPoolExecutor, as_completed

    _workers.grow(workers or 1)
    size = min(workers or _workers.size, len(waiting))
    with ThreadPoolExecutor(size, thread_name_prefix="cascade-verify") as threads:
        futures = {
            threads.submit(_judge_there, gold, answer, policy, timeout_seconds): index
            for index, (gold, answer) in waiting.items()
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def extract_answer(response: str, policy: Policy = _DEFAULT) -> str | None:
    """Return the final answer as it stands in `response`; None if there is none."""
    return find_answer(_text(response), policy).answer


def warm(workers: int = 1) -> None:
    """Start worker processes now, so that the first expression does not wait for one."""
    _workers.grow(workers)
    _workers.warm(workers)


def reset() -> None:
    """Forget remembered verdicts and end the worker processes; the next call starts new ones."""
    _difference_here.cache_clear()
    _there.clear()
    _workers.close()


@dataclass(frozen=True, slots=True)
class MathVerifier:
    """`verify` as an object, for environments: frozen and picklable."""

    policy: Policy = _DEFAULT
    timeout_seconds: float = _SECONDS
    """For one comparison, once a worker has begun it."""

    def __call__(self, response: str, reference: Any, /) -> Verdict:
        """Judge `response` against a gold answer: text, a number, or `{"answer": …}`.

        Raises:
            DataError: the reference is none of these, or empty.
        """
        return verify(
            response, _answer_of(reference), policy=self.policy,
            timeout_seconds=self.timeout_seconds,
        )  # fmt: skip

    def at_once(self, response: str, reference: Any, /) -> Verdict | None:
        """Judge as a call does if that takes no worker; None if only a worker can decide.

        For event loops, which must not wait for a worker.

        Raises:
            DataError: as for a call.
        """
        found = find_answer(_text(response), self.policy)
        return _judge_here(found, _gold(_answer_of(reference)), self.policy)


def _answer_of(reference: Any) -> Any:
    if isinstance(reference, Mapping):
        if "answer" not in reference:
            raise DataError(f"a math reference needs 'answer', got {sorted(reference)}")
        return reference["answer"]
    return reference


def _text(response: object) -> str:
    return response if isinstance(response, str) else ""


def _gold(answer: object, where: str = "") -> str:
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = str(answer)
    if not isinstance(answer, str):
        raise DataError(f"{where}a gold answer must be text or a number, got {answer!r}")
    if not answer.strip().strip("$"):
        raise DataError(f"{where}the gold answer is empty: {answer!r}; no response can be right")
    return answer


def _judge(found: Found, gold: str, policy: Policy, timeout_seconds: float) -> Verdict:
    here = _judge_here(found, gold, policy)
    return here or _judge_there(gold, str(found.answer), policy, timeout_seconds)


def _judge_here(found: Found, gold: str, policy: Policy) -> Verdict | None:
    """Decide without a parser; None if that is not possible."""
    if found.answer is None:
        return Verdict.no_answer(found.reason)
    try:
        difference = _difference_here(gold, found.answer, policy)
    except NeedsWorker:
        return None
    return _verdict(found.answer, difference)


def _judge_there(gold: str, answer: str, policy: Policy, timeout_seconds: float) -> Verdict:
    """Have a worker process decide."""
    try:
        difference = _difference_there(gold, answer, policy, timeout_seconds)
    except WorkerFailedError as error:
        return Verdict.fault(str(error), answer[:2000])
    return _verdict(answer, difference)


def _verdict(answer: str, difference: str | None) -> Verdict:
    shown = answer[:2000]
    return Verdict.correct(shown) if difference is None else Verdict.wrong(shown, difference)


@lru_cache(maxsize=65_536)
def _difference_here(gold: str, answer: str, policy: Policy) -> str | None:
    if (limit := over_limit(answer, policy)) and not over_limit(gold, policy):
        return limit
    return Comparer(policy).difference(gold, answer)


_there: dict[tuple[str, str, Policy], str | None] = {}
_UNKNOWN = object()
# No lock: each step on the dictionary is atomic, and a fork cannot inherit a held one.
_THERE_SIZE = 65_536


def _difference_there(gold: str, answer: str, policy: Policy, timeout_seconds: float) -> str | None:
    """Ask a worker, or remember what one said. Failures are not remembered: they are retried."""
    key = (gold, answer, policy)
    known = _there.get(key, _UNKNOWN)
    if known is not _UNKNOWN:
        return cast(str | None, known)
    request = {
        "gold": gold,
        "answer": answer,
        "policy": policy.as_json(),
        "timeout_seconds": timeout_seconds,
    }
    reply = json.loads(_workers.call(json.dumps(request).encode(), timeout_seconds))
    if "fault" in reply:
        raise WorkerFailedError(reply["fault"])
    difference: str | None = reply["difference"]
    if len(_there) >= _THERE_SIZE:
        _there.clear()
    _there[key] = difference
    return difference
