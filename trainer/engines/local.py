"""The local engine: an asyncio face on a thread that owns a running batch."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cascade.errors import CascadeError, EngineError, UnknownNameError
from cascade.trainer.engines.prompts import EncodedPrompt, PromptCodec, request_seed
from cascade.trainer.engines.requests import Batch, Request
from cascade.types import Completion, Prompt, SamplingParams

__all__ = ["LocalEngine"]


@dataclass(slots=True, eq=False)
class _Job:
    """A request in flight and who waits for it."""

    request: Request
    prompt: EncodedPrompt
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Completion]
    weight_version: str | None = None


@dataclass(slots=True, eq=False)
class _Update:
    """A change of the weights, to be run between two samples."""

    change: Callable[[Any], None]
    version: str | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


@dataclass(slots=True)
class _Inbox:
    """What the worker thread has not seen yet. Guarded by `wake`."""

    wake: threading.Condition = field(default_factory=threading.Condition)
    items: deque[_Job | _Update] = field(default_factory=deque)
    closing: bool = False


class LocalEngine:
    """Samples from a model in this process; implements `cascade.envs.engines.Engine`.

    Concurrent calls of `sample`, from any number of event loops, share one running batch.
    """

    def __init__(
        self,
        batch: Batch,
        codec: PromptCodec,
        *,
        name: str,
        weight_version: str | None = None,
    ) -> None:
        """Start the worker thread.

        Args:
            batch: the running batch; the worker thread alone uses it from now on.
            codec: encodes prompts and decodes samples.
            name: the model's name, for reports.
            weight_version: what completions carry until the first `update_weights`.
        """
        self._name = name
        self._codec = codec
        self._weight_version = weight_version
        self._batch = batch
        self._inbox = _Inbox()
        self._running: dict[Request, _Job] = {}
        self._worker = threading.Thread(target=self._work, name=f"sample {name}", daemon=True)
        self._worker.start()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @property
    def weight_version(self) -> str | None:
        """What completions asked for now will carry."""
        return self._weight_version

    @property
    def max_concurrency(self) -> int:
        """A quarter more than the batch holds, so that a freed row never waits for a request."""
        return self._batch.max_batch + max(1, self._batch.max_batch // 4)

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        """Return one completion per prompt, in order.

        With `params.seed`, each sample depends on its prompt, the seed and its place among the
        prompts, not on what else is in the batch (but for the last bits of float sums).
        Log-probabilities are always returned: they are a by-product.

        Raises:
            ConfigError: a prompt is too long, or an option in `params.extra` is unknown.
            EngineError: the model failed, or the engine is closed.
        """
        answers = self.hand_in(
            [(prompt, params, request_seed(params.seed, i)) for i, prompt in enumerate(prompts)]
        )
        try:
            return list(await asyncio.gather(*answers))
        finally:
            for answer in answers:
                answer.cancel()

    def hand_in(
        self, requests: Sequence[tuple[Prompt, SamplingParams, int | None]]
    ) -> list[asyncio.Future[Completion]]:
        """Give the batch several requests at once, each with its own parameters and seed.

        They enter the batch together and in this order. Cancelling a future drops its request.

        Raises:
            ConfigError, EngineError: see `sample`.
        """
        loop = asyncio.get_running_loop()
        jobs = []
        for prompt, params, seed in requests:
            encoded = self._codec.encode(prompt, params)
            request = Request(
                encoded.token_ids, params, seed, self._end_ids(params), self._stop_check(params)
            )
            job = _Job(request, encoded, loop, loop.create_future())
            job.future.add_done_callback(partial(_drop_if_cancelled, request))
            jobs.append(job)
        self._hand_in(jobs)
        return [job.future for job in jobs]

    async def update_weights(self, change: Callable[[Any], None], version: str | None) -> None:
        """Run `change(model)` in the worker thread, after all samples asked for before this call.

        Samples asked for later wait for it; cached prompts are dropped.

        Raises:
            EngineError: `change` failed, or the engine is closed.
        """
        loop = asyncio.get_running_loop()
        update = _Update(change, version, loop, loop.create_future())
        self._hand_in([update])
        await update.future

    async def forget_prompts(self) -> None:
        """Drop cached prompts once all samples asked for before this call are done."""
        await self.update_weights(lambda model: None, self._weight_version)

    def describe(self) -> Mapping[str, Any]:
        """Return what a report must name."""
        return {
            **self._batch.describe(),
            "model": self._name,
            "max_batch": self._batch.max_batch,
            "max_length": self._codec.max_length,
            "chat_template_sha256": self._codec.template_sha256,
            "weight_version": self._weight_version,
        }

    async def aclose(self) -> None:
        """Stop the worker; samples in flight fail. Calling it twice is harmless."""
        with self._inbox.wake:
            self._inbox.closing = True
            self._inbox.wake.notify()
        await asyncio.to_thread(self._worker.join)

    def _hand_in(self, items: Sequence[_Job | _Update]) -> None:
        with self._inbox.wake:
            if self._inbox.closing:
                raise EngineError(f"the engine of {self._name} is closed")
            self._inbox.items.extend(items)
            self._inbox.wake.notify()

    def _end_ids(self, params: SamplingParams) -> frozenset[int]:
        """End-of-message tokens, unless they are to be ignored; refuse what else `extra` holds."""
        known = {"chat_template_kwargs", "ignore_eos", "tools", *self._batch.extra_fields}
        for field_name in params.extra:
            if field_name not in known:
                raise UnknownNameError.near("field of SamplingParams.extra", field_name, known)
        return frozenset() if params.extra.get("ignore_eos") else self._codec.end_ids

    def _stop_check(self, params: SamplingParams) -> Callable[[Sequence[int]], bool] | None:
        if not params.stop:
            return None
        return lambda token_ids: self._codec.hits_stop(token_ids, params.stop)

    def _work(self) -> None:
        """Serve until closed; the body of the worker thread."""
        try:
            self._serve()
            end = EngineError(f"the engine of {self._name} was closed while sampling")
        except Exception as error:  # noqa: BLE001 - else the thread dies and callers wait for ever
            end = _engine_error(f"the engine of {self._name} broke down", error)
        with self._inbox.wake:
            self._inbox.closing = True
        self._fail_all(end)
        self._batch.close()

    def _serve(self) -> None:
        while True:
            with self._inbox.wake:
                while not (self._inbox.closing or self._inbox.items or self._batch.busy):
                    self._inbox.wake.wait()
                if self._inbox.closing:
                    return
                update = self._take_in()
            if self._batch.busy:
                self._step()
            elif update is not None:
                self._update(update)

    def _take_in(self) -> _Update | None:
        """Admit jobs up to the next update; take that out too once nothing runs."""
        items = self._inbox.items
        while items and isinstance(items[0], _Job):
            job = items[0]
            items.popleft()
            job.weight_version = self._weight_version
            self._running[job.request] = job
            self._batch.add(job.request)
        if not items or self._batch.busy:
            return None
        update = items.popleft()
        assert isinstance(update, _Update)
        return update

    def _step(self) -> None:
        try:
            ended = self._batch.step()
        except Exception as error:  # noqa: BLE001 - the model's failure is handed to those who wait
            self._fail_all(_engine_error(f"{self._name} failed while sampling", error))
            return
        for request in ended:
            job = self._running.pop(request)
            _answer(job.loop, job.future, self._completion(job))
        for request in [r for r in self._running if r.cancelled]:
            del self._running[request]

    def _completion(self, job: _Job) -> Completion:
        request = job.request
        assert request.stop_reason is not None  # it has ended
        return Completion(
            text=self._codec.completion_text(job.prompt, request.token_ids, request.params.stop),
            stop_reason=request.stop_reason,
            prompt_token_ids=request.prompt_ids,
            token_ids=tuple(request.token_ids),
            logprobs=tuple(request.logprobs),
            num_prompt_tokens=len(request.prompt_ids),
            num_tokens=len(request.token_ids),
            routed_experts=request.routed_experts(),
            weight_version=job.weight_version,
        )

    def _update(self, update: _Update) -> None:
        try:
            self._batch.change_weights(update.change)
        except Exception as error:  # noqa: BLE001 - handed to the caller of update_weights
            failure = _engine_error(f"changing the weights of {self._name} failed", error)
            _answer(update.loop, update.future, failure)
            return
        self._weight_version = update.version
        _answer(update.loop, update.future, None)

    def _fail_all(self, error: CascadeError) -> None:
        """Give up all that runs, and at the end also what still lies in the inbox."""
        self._batch.clear()
        waiting: list[_Job | _Update] = list(self._running.values())
        self._running.clear()
        with self._inbox.wake:
            if self._inbox.closing:
                waiting += self._inbox.items
                self._inbox.items.clear()
        for item in waiting:
            _answer(item.loop, item.future, error)


def _drop_if_cancelled(request: Request, answer: asyncio.Future[Completion]) -> None:
    request.cancelled = request.cancelled or answer.cancelled()


def _engine_error(what: str, error: Exception) -> EngineError:
    failure = EngineError(f"{what}: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def _answer(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], answer: object) -> None:
    """Resolve a future from the worker thread; who no longer waits gets nothing."""

    def resolve() -> None:
        if future.done():
            return
        if isinstance(answer, CascadeError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    with contextlib.suppress(RuntimeError):  # the caller's event loop is closed
        loop.call_soon_threadsafe(resolve)
