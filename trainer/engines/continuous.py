"""The PyTorch engine: an asyncio face on a thread that owns a `ContinuousBatch`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from cascade.errors import CascadeError, EngineError, UnknownNameError
from cascade.trainer.engines.generate import ContinuousBatch, Request
from cascade.trainer.engines.prompts import EncodedPrompt, PromptCodec, request_seed
from cascade.types import Completion, Prompt, SamplingParams

__all__ = ["TorchEngine"]


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

    change: Callable[[PreTrainedModel], None]
    version: str
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


@dataclass(slots=True)
class _Inbox:
    """What the worker thread has not seen yet. Guarded by `wake`."""

    wake: threading.Condition = field(default_factory=threading.Condition)
    jobs: deque[_Job] = field(default_factory=deque)
    updates: deque[_Update] = field(default_factory=deque)
    closing: bool = False


class TorchEngine:
    """Samples from a transformers model; implements `cascade.envs.engines.Engine`.

    Concurrent calls of `sample`, from any number of event loops, share one running batch.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        codec: PromptCodec,
        *,
        name: str,
        max_batch: int = 64,
        prefix_cache_tokens: int = 65_536,
        weight_version: str | None = None,
    ) -> None:
        """Start the worker thread.

        Args:
            model: a causal language model in evaluation mode; this thread runs it from now on.
            codec: encodes prompts and decodes samples.
            name: the model's name, for reports.
            max_batch: most requests that are decoded together.
            prefix_cache_tokens: prompt tokens whose keys and values are kept for later requests.
            weight_version: what completions carry until the first `update_weights`.
        """
        self._name = name
        self._codec = codec
        self._max_batch = max_batch
        self._weight_version = weight_version
        self._batch = ContinuousBatch(
            model,
            max_batch=max_batch,
            max_length=codec.max_length,
            prefix_cache_tokens=prefix_cache_tokens,
        )
        self._inbox = _Inbox()
        self._running: dict[Request, _Job] = {}
        self._worker = threading.Thread(target=self._work, name=f"sample {name}", daemon=True)
        self._worker.start()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @property
    def max_concurrency(self) -> int:
        """A quarter more than the batch holds, so that a freed row never waits for a request."""
        return self._max_batch + max(1, self._max_batch // 4)

    async def sample(
        self, prompts: Sequence[Prompt], params: SamplingParams
    ) -> list[Completion]:
        """Return one completion per prompt, in order.

        With `params.seed`, each sample depends on its prompt, the seed and its place among the
        prompts, not on what else is in the batch (but for the last bits of float sums).
        Log-probabilities are always returned: they are a by-product.

        Raises:
            ConfigError: a prompt is too long, or an option in `params.extra` is unknown.
            EngineError: the model failed, or the engine is closed.
        """
        end_ids = self._codec.end_ids if _checks_end(params) else frozenset()
        loop = asyncio.get_running_loop()
        jobs = []
        for i, prompt in enumerate(prompts):
            encoded = self._codec.encode(prompt, params)
            request = Request(
                encoded.token_ids, params, request_seed(params.seed, i), end_ids,
                self._stop_check(params),
            )  # fmt: skip
            jobs.append(_Job(request, encoded, loop, loop.create_future()))
        with self._inbox.wake:
            self._refuse_if_closed()
            self._inbox.jobs.extend(jobs)
            self._inbox.wake.notify()
        try:
            return list(await asyncio.gather(*(job.future for job in jobs)))
        finally:
            for job in jobs:
                job.request.cancelled = not job.future.done() or job.future.cancelled()

    async def update_weights(
        self, change: Callable[[PreTrainedModel], None], version: str
    ) -> None:
        """Run `change(model)` in the worker thread once every running sample has ended.

        Samples that come later wait for it; cached prompts are dropped.

        Raises:
            EngineError: `change` failed, or the engine is closed.
        """
        loop = asyncio.get_running_loop()
        update = _Update(change, version, loop, loop.create_future())
        with self._inbox.wake:
            self._refuse_if_closed()
            self._inbox.updates.append(update)
            self._inbox.wake.notify()
        await update.future

    def describe(self) -> Mapping[str, Any]:
        """Return what a report must name."""
        model = self._batch.model
        return {
            "engine": "torch",
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "model": self._name,
            "architecture": type(model).__name__,
            "parameters": model.num_parameters(),
            "dtype": str(model.dtype).removeprefix("torch."),
            "device": str(model.device),
            "max_batch": self._max_batch,
            "max_length": self._codec.max_length,
            "chat_template_sha256": self._codec.template_sha256,
            "seed_policy": "one Philox stream per request; place i > 0 in a call mixes i in",
            "weight_version": self._weight_version,
        }

    async def aclose(self) -> None:
        """Stop the worker; samples in flight fail. Calling it twice is harmless."""
        with self._inbox.wake:
            self._inbox.closing = True
            self._inbox.wake.notify()
        await asyncio.to_thread(self._worker.join)

    def _refuse_if_closed(self) -> None:
        if self._inbox.closing:
            raise EngineError(f"the engine of {self._name} is closed")

    def _stop_check(self, params: SamplingParams) -> Callable[[Sequence[int]], bool] | None:
        if not params.stop:
            return None
        return lambda token_ids: self._codec.hits_stop(token_ids, params.stop)

    def _work(self) -> None:
        """Run steps until closed: the body of the worker thread."""
        while True:
            with self._inbox.wake:
                while not (self._inbox.closing or self._has_work()):
                    self._inbox.wake.wait()
                if self._inbox.closing:
                    break
                if not self._inbox.updates:
                    self._take_in()
            if self._batch.busy:
                self._step()
            elif self._inbox.updates:
                self._update()
        self._fail_all(EngineError(f"the engine of {self._name} was closed while sampling"))

    def _has_work(self) -> bool:
        return bool(self._inbox.jobs or self._inbox.updates or self._batch.busy)

    def _take_in(self) -> None:
        while self._inbox.jobs:
            job = self._inbox.jobs.popleft()
            job.weight_version = self._weight_version
            self._running[job.request] = job
            self._batch.add(job.request)

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
            weight_version=job.weight_version,
        )

    def _update(self) -> None:
        with self._inbox.wake:
            update = self._inbox.updates.popleft()
        try:
            with torch.no_grad():
                update.change(self._batch.model)
        except Exception as error:  # noqa: BLE001 - handed to the caller of update_weights
            failure = _engine_error(f"changing the weights of {self._name} failed", error)
            _answer(update.loop, update.future, failure)
            return
        self._batch.forget_prompts()
        self._weight_version = update.version
        _answer(update.loop, update.future, None)

    def _fail_all(self, error: CascadeError) -> None:
        """Give up every request: running, waiting in the batch or in the inbox."""
        self._batch.clear()
        with self._inbox.wake:
            jobs = [*self._running.values(), *self._inbox.jobs]
            updates = list(self._inbox.updates) if self._inbox.closing else []
            self._inbox.jobs.clear()
        self._running.clear()
        for waiting in (*jobs, *updates):
            _answer(waiting.loop, waiting.future, error)


def _checks_end(params: SamplingParams) -> bool:
    """Whether end-of-message tokens end a sample; refuse what else stands in `extra`."""
    known = {"chat_template_kwargs", "ignore_eos", "tools"}
    unknown = set(params.extra) - known
    if unknown:
        raise UnknownNameError.near("field of SamplingParams.extra", min(unknown), known)
    return not params.extra.get("ignore_eos", False)


def _engine_error(what: str, error: Exception) -> EngineError:
    failure = EngineError(f"{what}: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def _answer(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], answer: object
) -> None:
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
