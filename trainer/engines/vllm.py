"""Opens vLLM in this process (``--engine vllm``). vLLM is imported only when it is called.

Written against vLLM 0.32, on its CPU and CUDA builds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import ConfigError
from cascade.trainer.engines import engine_options
from cascade.trainer.engines.requests import Request
from cascade.types import StopReason

if TYPE_CHECKING:
    from cascade.trainer.engines.local import LocalEngine

__all__ = ["VllmOptions", "open_vllm"]

_STOP_REASONS = {"stop": StopReason.STOP, "length": StopReason.LENGTH}


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """Options of the vLLM engine; each is handed on to `vllm.LLM` under vLLM's name for it."""

    dtype: str = "auto"
    """Data type of weights and cache, as vLLM reads it: auto, float32, bfloat16, …"""
    max_batch: int = 256
    """Most samples that are decoded together (max_num_seqs)."""
    max_length: int | None = None
    """Prompt and completion together, in tokens (max_model_len); None: what the model allows."""
    tensor_parallel_size: int = 1
    """Number of GPUs that one copy of the model is spread over."""
    gpu_memory_utilization: float = 0.9
    """Share of each GPU's memory that vLLM may take."""
    cpu_cache_gib: int = 1
    """Size of the key/value cache on vLLM's CPU build."""
    enforce_eager: bool = False
    """No graph capture and no compilation: starts fast, runs slower."""
    chat_template: str | None = None
    """Name of a template of ours or path of a .jinja file; None: the tokenizer's own."""
    seed: int = 0
    """Seeds samples that have no seed of their own."""
    name: str | None = None
    """The model's name in reports; None: as it was given."""
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    """Any further arguments of `vllm.LLM`."""


class VllmBatch:
    """vLLM's own continuous batching behind the interface `requests.Batch`."""

    def __init__(self, llm: Any, max_batch: int) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        self.llm = llm
        self.max_batch = max_batch
        self._sampling_params = SamplingParams
        self._final_only = RequestOutputKind.FINAL_ONLY
        self.extra_fields = frozenset(SamplingParams.__annotations__)
        self._requests: dict[str, Request] = {}
        self._count = 0
        self._settled = False
        self._description = _description(llm.llm_engine.vllm_config)

    @property
    def busy(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self._requests)

    def add(self, request: Request) -> None:
        """Queue a request under a number of its own."""
        self._count += 1
        number = str(self._count)
        self.llm.llm_engine.add_request(
            number, {"prompt_token_ids": list(request.prompt_ids)}, self._translated(request)
        )
        self._requests[number] = request

    def step(self) -> list[Request]:
        """Run one iteration of vLLM's scheduler."""
        self._settle_threads()
        for number in [n for n, request in self._requests.items() if request.cancelled]:
            self.llm.llm_engine.abort_request([number])
            del self._requests[number]
        if not self._requests:
            return []
        ended = []
        for output in self.llm.llm_engine.step():
            request = self._requests.get(output.request_id)
            if request is None or not output.finished:
                continue
            del self._requests[output.request_id]
            sample = output.outputs[0]
            request.token_ids = list(sample.token_ids)
            request.logprobs = [
                position[token].logprob
                for position, token in zip(sample.logprobs, sample.token_ids, strict=True)
            ]
            routes = getattr(sample, "routed_experts", None)
            if routes is not None:  # with engine_args={"enable_return_routed_experts": True}
                request.routes = [np.asarray(routes).astype(np.int16)]
            request.stop_reason = _STOP_REASONS.get(sample.finish_reason, StopReason.ERROR)
            ended.append(request)
        return ended

    def _settle_threads(self) -> None:
        """Make torch set this thread's OpenMP team size now, not in the middle of the first step.

        torch does it at its first parallel operation in a thread; vLLM's CPU kernels plan before
        that and would find another team size than they planned for.
        """
        if not self._settled:
            import torch

            torch.get_num_threads()
            self._settled = True

    def clear(self) -> None:
        """Abort every request."""
        self.llm.llm_engine.abort_request(list(self._requests))
        self._requests.clear()

    def change_weights(self, change: Callable[[Any], None]) -> None:
        """Run `change(llm)` (an `vllm.LLM`) while nothing is sampled, and drop cached prefixes."""
        change(self.llm)
        self.llm.reset_prefix_cache()

    def describe(self) -> Mapping[str, Any]:
        """Return engine, versions and the model's properties; also after `close`."""
        return self._description

    def close(self) -> None:
        """Shut the engine core down, and give its memory back."""
        self.llm.llm_engine.engine_core.shutdown()
        del self.llm

    def _translated(self, request: Request) -> Any:
        params = request.params
        extra = {k: v for k, v in params.extra.items() if k in self.extra_fields}
        return self._sampling_params(
            **{
                "temperature": params.temperature,
                "top_p": params.top_p,
                "top_k": params.top_k,
                "max_tokens": params.max_tokens,
                "stop": list(params.stop),
                "stop_token_ids": sorted(request.end_ids),
                "ignore_eos": not request.end_ids,
                "seed": request.seed,
                "logprobs": 0,
                "skip_special_tokens": False,
                "detokenize": bool(params.stop),
                "output_kind": self._final_only,
                **extra,
            }
        )


def _description(config: Any) -> dict[str, Any]:
    import torch
    import vllm

    return {
        "engine": "vllm",
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "architecture": config.model_config.architecture,
        "dtype": str(config.model_config.dtype).removeprefix("torch."),
        "device": config.device_config.device_type,
        "logprobs": config.model_config.logprobs_mode,
        "seed_policy": "vLLM's generator per request; place i > 0 in a call mixes i in",
    }


def open_vllm(model: str, **options: Any) -> LocalEngine:
    """Open a model with vLLM, in this process.

    Log-probabilities are those of the distribution that is sampled from (`processed_logprobs`).

    Args:
        model: a folder with a checkpoint and tokenizer, or a hub id.
        **options: fields of `VllmOptions`.

    Raises:
        ConfigError: vLLM is not installed, it cannot open the model, or a bad option.
    """
    from cascade.trainer.models import load_tokenizer, require

    require("vllm", "transformers")
    chosen = engine_options(VllmOptions, options)

    from cascade.trainer.engines.local import LocalEngine
    from cascade.trainer.engines.prompts import PromptCodec

    tokenizer = load_tokenizer(model)
    llm = _open(model, chosen)
    config = llm.llm_engine.model_config
    codec = PromptCodec.of(
        tokenizer,
        max_length=config.max_model_len,
        end_ids=_end_ids(config, tokenizer),
        chat_template=chosen.chat_template,
    )
    return LocalEngine(VllmBatch(llm, chosen.max_batch), codec, name=chosen.name or model)


def _open(model: str, chosen: VllmOptions) -> Any:
    """Start vLLM with its engine core in this process, so that weights can be changed in place."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(chosen.cpu_cache_gib))
    from vllm import LLM

    settings = {
        "dtype": chosen.dtype,
        "max_num_seqs": chosen.max_batch,
        "max_model_len": chosen.max_length,
        "tensor_parallel_size": chosen.tensor_parallel_size,
        "gpu_memory_utilization": chosen.gpu_memory_utilization,
        "enforce_eager": chosen.enforce_eager,
        "seed": chosen.seed,
        "logprobs_mode": "processed_logprobs",
        **chosen.engine_args,
    }
    try:
        return LLM(model=model, **settings)
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"vLLM cannot open model {model!r}: {error}") from error


def _end_ids(config: Any, tokenizer: Any) -> frozenset[int]:
    """End-of-message ids: the generation config's, and the tokenizer's."""
    configured = config.try_get_generation_config().get("eos_token_id")
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None)
