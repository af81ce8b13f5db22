"""Engines in this process that follow the model being trained: PyTorch, and vLLM."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cascade.envs.engines import Engine
from cascade.errors import ConfigError, EngineError
from cascade.trainer.engines.vllm_worker import forget_expert_kernels
from cascade.trainer.settings import Range, check_fields
from cascade.trainer.sync import BlockRecord, Episode, recorded_blocks
from cascade.types import SamplingParams, Trajectory

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from cascade.trainer.engines.local import LocalEngine

__all__ = ["TorchSampling", "VllmSampling", "run_freely"]


async def run_freely(
    engine: Engine, episodes: Sequence[Episode], concurrency: int | None
) -> list[Trajectory]:
    """Run episodes side by side; one starts whenever another ends."""
    slots = asyncio.Semaphore(concurrency or max(1, engine.max_concurrency * 5 // 4))

    async def one(episode: Episode) -> Trajectory:
        async with slots:
            return await episode(engine)

    tasks = [asyncio.ensure_future(one(episode)) for episode in episodes]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class TorchSampling:
    """The PyTorch engine on the trainer's own weights: nothing is copied, nothing can be stale.

    Episodes run in lockstep, so a resumed run draws the same samples to the bit.
    """

    max_batch: Annotated[int, Range(1)] = 64
    """Most samples that are decoded together."""
    max_length: Annotated[int, Range(2)] | None = None
    """Prompt and completion together, in tokens; None: what the model was built for."""
    prefix_cache_tokens: Annotated[int, Range(0)] = 65_536
    """Prompt tokens whose keys and values are kept: a group's prompt is computed once."""
    record_routes: bool = False
    """Record which experts each token is sent to, so that training replays them (R3)."""

    def __post_init__(self) -> None:
        """Refuse sizes below 1."""
        check_fields(self)

    async def open(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scratch: Path
    ) -> _TorchSampler:
        """Start the engine."""
        return _TorchSampler(self, model, tokenizer)


class _TorchSampler:
    """Implements `Sampler`."""

    repeatable = True

    def __init__(
        self, config: TorchSampling, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self._config = config
        self._model = model
        self._tokenizer = tokenizer
        self.engine = self._start()

    def _start(self) -> LocalEngine:
        from cascade.trainer.engines.generate import ContinuousBatch
        from cascade.trainer.engines.local import LocalEngine
        from cascade.trainer.engines.prompts import PromptCodec
        from cascade.trainer.models import end_token_ids

        config, model = self._config, self._model
        built_for = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        max_length = config.max_length or built_for
        if max_length is None:
            raise ConfigError("the model does not say how long its texts may be: set max_length")
        batch = ContinuousBatch(
            model,
            max_batch=config.max_batch,
            max_length=max_length,
            prefix_cache_tokens=config.prefix_cache_tokens,
            record_routes=config.record_routes,
        )
        codec = PromptCodec.of(
            self._tokenizer,
            max_length=max_length,
            end_ids=end_token_ids(model, self._tokenizer),
        )
        return LocalEngine(batch, codec, name="policy")

    async def run(self, episodes: Sequence[Episode], concurrency: int | None) -> list[Trajectory]:
        from cascade.trainer.engines.lockstep import run_in_lockstep

        size = concurrency or 4 * self.engine.max_concurrency
        done: list[Trajectory] = []
        for start in range(0, len(episodes), size):
            done += await run_in_lockstep(self.engine, episodes[start : start + size])
        return done

    async def sync(self, version: str) -> None:
        await self.engine.update_weights(lambda model: None, version)

    async def rest(self) -> None:
        """Nothing: the weights are the trainer's, and the cache is small."""

    async def reopen(self) -> None:
        await self.engine.aclose()
        self.engine = self._start()

    async def blocks(self, token_ids: Sequence[int]) -> Mapping[str, BlockRecord] | None:
        return await blocks_of(self.engine, token_ids, recorded_blocks)

    async def aclose(self) -> None:
        await self.engine.aclose()


async def blocks_of(
    engine: LocalEngine, token_ids: Sequence[int], record: Callable[[Any], Any]
) -> Mapping[str, BlockRecord] | None:
    """Let `record(model)` set hooks, run one text through the engine, and return the records."""
    kept: list[Any] = []
    await engine.update_weights(lambda model: kept.append(record(model)), engine.weight_version)
    records, stop = kept[0]
    try:
        await engine.sample([list(token_ids)], SamplingParams(max_tokens=1, temperature=0.0))
    finally:
        await engine.update_weights(lambda model: stop(), engine.weight_version)
    return records or None


@dataclass(frozen=True, slots=True)
class VllmSampling:
    """vLLM in this process. On CUDA it sleeps while the model is trained, on the same card.

    The weights go from the trainer's tensors into vLLM's loader, without a file.
    """

    max_batch: Annotated[int, Range(1)] = 256
    """Most samples that are decoded together."""
    max_length: Annotated[int, Range(2)] | None = None
    """Prompt and completion together, in tokens; None: what the model was built for."""
    dtype: str = "auto"
    """Data type of vLLM's weights; "auto" takes the trainer's."""
    gpu_memory_utilization: Annotated[float, Range(above=0, high=1)] = 0.45
    """Share of the card that vLLM takes while it is awake."""
    enforce_eager: bool = False
    """No graphs: slower, but an audit that fails can then name layers."""
    rebuild_experts: bool = True
    """Make vLLM build its expert kernels anew at each sync. Without it vLLM 0.32 on the CPU keeps
    the experts of before; off only to show that the audit notices."""
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    """Any further arguments of `vllm.LLM`."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be."""
        check_fields(self)

    async def open(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scratch: Path
    ) -> _VllmSampler:
        """Start vLLM with made-up weights; the first `sync` gives it the right ones.

        Raises:
            ConfigError: vLLM is not there, or this process trains together with others.
        """
        _require_no_other_ranks()
        folder = scratch / "engine"
        config = copy.deepcopy(model.config)
        config.architectures = [type(model).__name__]  # else vLLM may take it for an embedder
        config.save_pretrained(folder)
        if model.generation_config is not None:
            model.generation_config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return _VllmSampler(self, model, folder)


def _require_no_other_ranks() -> None:
    """Refuse what hangs: vLLM would set up its own groups over all processes of torchrun."""
    import torch.distributed as dist

    if dist.is_initialized() and dist.get_world_size() > 1:
        raise ConfigError(
            "VllmSampling runs vLLM in the trainer's process, which cannot be one of several "
            "under torchrun: start a vLLM server on cards of its own, and sample with "
            "cascade.trainer.engines.remote_vllm.VllmServer"
        )


class _VllmSampler:
    """Implements `Sampler`."""

    repeatable = False

    def __init__(self, config: VllmSampling, model: PreTrainedModel, folder: Path) -> None:
        self._config = config
        self._model = model
        self._folder = folder
        self._asleep = False
        self._can_sleep = model.device.type == "cuda"
        self.engine = self._start()

    def _start(self) -> LocalEngine:
        from cascade.trainer.engines.vllm import open_vllm

        config = self._config
        dtype = str(self._model.dtype).removeprefix("torch.")
        sleeping = {"enable_sleep_mode": True} if self._can_sleep else {}
        return open_vllm(
            str(self._folder),
            name="policy",
            dtype=dtype if config.dtype == "auto" else config.dtype,
            max_batch=config.max_batch,
            max_length=config.max_length,
            gpu_memory_utilization=config.gpu_memory_utilization,
            enforce_eager=config.enforce_eager,
            engine_args={"load_format": "dummy", **sleeping, **config.engine_args},
        )

    async def run(self, episodes: Sequence[Episode], concurrency: int | None) -> list[Trajectory]:
        return await run_freely(self.engine, episodes, concurrency)

    async def sync(self, version: str) -> None:
        await self.engine.update_weights(self._load, version)
        self._asleep = False

    def _load(self, llm: Any) -> None:
        """Runs in the engine's thread while nothing is sampled."""
        if self._asleep:
            llm.wake_up(tags=["weights"])
        if self._config.rebuild_experts:
            llm.apply_model(forget_expert_kernels)
        llm.collective_rpc(
            "reload_weights", kwargs={"weights_iterator": named_weights(self._model)}
        )
        if self._asleep:
            llm.wake_up(tags=["kv_cache"])

    async def rest(self) -> None:
        if self._can_sleep and not self._asleep:
            # Level 2 drops the weights, which the next sync brings again.
            await self.engine.update_weights(lambda llm: llm.sleep(level=2), None)
            self._asleep = True

    async def reopen(self) -> None:
        await self.engine.aclose()
        try:
            self.engine = await asyncio.to_thread(self._start)
        except ConfigError as error:
            raise EngineError(f"vLLM cannot be started again: {error}") from error
        self._asleep = False

    async def blocks(self, token_ids: Sequence[int]) -> Mapping[str, BlockRecord] | None:
        return await blocks_of(
            self.engine, token_ids, lambda llm: llm.apply_model(recorded_blocks)[0]
        )

    async def aclose(self) -> None:
        await self.engine.aclose()


def named_weights(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights under transformers' names, gathered where they are sharded.

    A tied matrix occurs once. vLLM takes transformers' fused experts as they are.
    """
    for name, parameter in model.named_parameters():
        full = getattr(parameter, "full_tensor", None)
        yield name, (full() if callable(full) else parameter).detach()
