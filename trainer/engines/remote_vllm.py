"""A vLLM server that follows the model being trained, through its routes for training.

Written against vLLM 0.32. The server runs with ``VLLM_SERVER_DEV_MODE=1``, on an address that only
the trainer reaches: these routes let anybody change its weights. How weights travel is one of

* `DiskTransfer`: a folder that both see; the server needs `vllm_worker.WorkerExtension`;
* `NcclTransfer`: over NCCL to other cards; ``--weight-transfer-config '{"backend":"nccl"}'``;
* `IpcTransfer`: to the same card by CUDA IPC; backend "ipc", and
  ``VLLM_ALLOW_INSECURE_SERIALIZATION=1``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from cascade.envs.engines import Engine
from cascade.envs.engines.http import HttpConfig, HttpEngine
from cascade.errors import ConfigError, EngineError
from cascade.trainer.models import load_tokenizer
from cascade.trainer.samplers import run_freely
from cascade.trainer.settings import Range, check_fields
from cascade.trainer.sync import BlockRecord, Episode
from cascade.types import Completion, Prompt, SamplingParams, Trajectory

if TYPE_CHECKING:
    import httpx
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "DiskTransfer",
    "IpcTransfer",
    "NcclTransfer",
    "ServedCheckpoints",
    "ServerControl",
    "VllmServer",
]

Push = Callable[[], None]
"""Brings the trainer's present weights to the server."""


class ServerControl:
    """The control routes of one server; also what vLLM calls a weight-sync client."""

    def __init__(self, url: str, timeout_seconds: float = 600.0) -> None:
        import httpx

        self.url = url.rstrip("/")
        self.target_version: str | None = None
        """Set by the caller before a sync: vLLM's own trainer engines finish without a version."""
        self._client: httpx.Client = httpx.Client(base_url=self.url, timeout=timeout_seconds)

    def is_alive(self) -> bool:
        """Whether the server answers."""
        import httpx

        try:
            return self._client.get("/health", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    def pause(self) -> None:
        """Let running requests end and take no new ones."""
        self._post("/pause", params={"mode": "wait"})

    def resume(self) -> None:
        """Take requests again."""
        self._post("/resume")

    def reset_prefix_cache(self) -> None:
        """Forget keys and values that old weights computed."""
        self._post("/reset_prefix_cache")

    def weight_version(self) -> str:
        """Version that the server says it has."""
        return str(self._request("GET", "/weight_info")["weight_version"])

    def world_size(self) -> int:
        """Number of the server's workers."""
        return int(self._request("GET", "/get_world_size")["world_size"])

    def collective_rpc(self, method: str, **arguments: str) -> None:
        """Call a method of every worker; arguments travel as text."""
        self._post("/collective_rpc", json={"method": method, "kwargs": arguments})

    def reload(self, folder: Path, *, rebuild_experts: bool) -> None:
        """Have every worker load the weights in `folder`, see `vllm_worker.WorkerExtension`."""
        rebuild = "yes" if rebuild_experts else "no"
        self.collective_rpc("cascade_reload", folder=str(folder.resolve()), rebuild_experts=rebuild)

    @contextlib.contextmanager
    def replacing(self, version: str) -> Iterator[None]:
        """Hold requests while weights are replaced, and see that `version` is what came.

        Raises:
            EngineError: the server does not answer, or says that it has another version.
        """
        self.pause()
        try:
            yield
            self.reset_prefix_cache()
        finally:
            self.resume()
        if (told := self.weight_version()) != version:
            raise EngineError(
                f"the server at {self.url} says that it has weights {told!r} after a change to "
                f"{version!r}"
            )

    def init_weight_transfer_engine(self, init_info: Mapping[str, Any]) -> None:
        """Prepare the server's side of the transfer."""
        self._post("/init_weight_transfer_engine", json={"init_info": dict(init_info)})

    def start_weight_update(self) -> None:
        """Announce new weights."""
        self._post("/start_weight_update")

    def update_weights(self, update_info: Any) -> None:
        """Send what vLLM's trainer engine made: names and shapes, and handles of CUDA IPC."""
        from vllm.distributed.weight_transfer.clients import _json_safe_update_payload

        self._post("/update_weights", json={"update_info": _json_safe_update_payload(update_info)})

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """Put the new weights into use, under `target_version` if no version is given."""
        version = weight_version or self.target_version
        self._post("/finish_weight_update", json={"weight_version": version})

    def update_weight_version(self, version: str) -> None:
        """Name the weights that the server has."""
        self._post("/update_weight_version", json={"new_version": version})

    def shutdown_weight_transfer_engine(self) -> None:
        """Release the server's side of the transfer."""
        self._post("/shutdown_weight_transfer_engine")

    def close(self) -> None:
        """Close connections; calling it twice is harmless."""
        self._client.close()

    def _post(self, path: str, **options: Any) -> None:
        self._request("POST", path, **options)

    def _request(self, method: str, path: str, **options: Any) -> Any:
        """Call a route.

        Raises:
            ConfigError: the server does not have it.
            EngineError: the server does not answer, or refuses.
        """
        import httpx

        try:
            reply = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise EngineError(
                f"the vLLM server at {self.url} does not answer: {error!r}"
            ) from error
        if reply.status_code == 404:
            raise ConfigError(
                f"the vLLM server at {self.url} has no route {path}: start it with "
                "VLLM_SERVER_DEV_MODE=1 (vLLM 0.31 or newer)"
            )
        if reply.is_error:
            raise EngineError(
                f"{path} of the vLLM server at {self.url} failed with status "
                f"{reply.status_code}: {reply.text[:500]}"
            )
        return reply.json() if reply.content else None


class Transfer(Protocol):
    """A frozen dataclass that says how weights travel."""

    def open(self, control: ServerControl, model: PreTrainedModel, scratch: Path) -> Push:
        """Prepare both sides and return what pushes."""
        ...


@dataclass(frozen=True, slots=True)
class DiskTransfer:
    """Save the weights into a folder, let the server load them. Needs nothing but a shared disk."""

    folder: str | None = None
    """As both see it; None: below the run folder."""
    rebuild_experts: bool = True
    """See `cascade.trainer.samplers.VllmSampling`."""

    def open(self, control: ServerControl, model: PreTrainedModel, scratch: Path) -> Push:
        """See `Transfer`."""
        base = Path(self.folder) if self.folder else scratch / "weights"

        def push() -> None:
            shutil.rmtree(base, ignore_errors=True)
            model.save_pretrained(base)
            control.reload(base, rebuild_experts=self.rebuild_experts)
            if control.target_version is not None:
                control.update_weight_version(control.target_version)

        return push


@dataclass(frozen=True, slots=True)
class NcclTransfer:
    """Broadcast over NCCL to a server on other cards. The trainer needs vLLM and CUDA."""

    master_address: str = "127.0.0.1"
    """Of the trainer, as the server's workers reach it."""
    master_port: Annotated[int, Range(1, 65_535)] = 29_600
    """Free port there."""

    def open(self, control: ServerControl, model: PreTrainedModel, scratch: Path) -> Push:
        """See `Transfer`."""
        from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

        info = NCCLTrainerInitInfo(
            master_address=self.master_address,
            master_port=self.master_port,
            world_size=control.world_size() + 1,
            rank=0,
        )
        return _vllm_trainer(info, control, model)


@dataclass(frozen=True, slots=True)
class IpcTransfer:
    """Hand the server's workers on the same card the trainer's own memory by CUDA IPC."""

    packed: bool = True
    """Copy through one buffer, in bounded memory, with a barrier for each chunk."""

    def open(self, control: ServerControl, model: PreTrainedModel, scratch: Path) -> Push:
        """See `Transfer`."""
        from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo

        return _vllm_trainer(IPCTrainerInitInfo(packed=self.packed, rank=0), control, model)


def _vllm_trainer(info: Any, control: ServerControl, model: PreTrainedModel) -> Push:
    from vllm.distributed.weight_transfer.base import ModuleSource
    from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory

    class OnCard(ModuleSource):  # type: ignore[misc,unused-ignore]
        """Several processes train: the copy that is sent lies in the machine's memory."""

        def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in super().__iter__():
                yield name, tensor.to("cuda")

    trainer = WeightTransferTrainerFactory.trainer_init(info, client=control, source=OnCard(model))
    send: Push = trainer.send_weights
    return send


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmServer:
    """Sample from a vLLM server that somebody else starts and restarts."""

    url: str
    """Such as ``http://127.0.0.1:8000``, without ``/v1``."""
    model: str
    """The model's name there."""
    transfer: Transfer = field(default_factory=DiskTransfer)
    """How weights travel."""
    concurrency: Annotated[int, Range(1)] = 256
    """Requests in flight."""
    restart_seconds: Annotated[float, Range(0)] = 600.0
    """How long a server that died may take to come back."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        check_fields(self)

    async def open(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scratch: Path
    ) -> _ServerSampler:
        """Connect; the first `sync` brings the weights."""
        return _ServerSampler(self, model, tokenizer, scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCheckpoints:
    """Sample from checkpoints by a vLLM server that loads each; implements `CheckpointEngines`.

    For the evaluations of a cascade that torchrun trains, by the same server as its training. The
    server sees the run folder under the same path, and has `vllm_worker.WorkerExtension`.
    """

    url: str
    """As of `VllmServer`."""
    model: str
    """The model's name there."""
    rebuild_experts: bool = True
    """See `cascade.trainer.samplers.VllmSampling`."""
    concurrency: Annotated[int, Range(1)] = 256
    """Requests in flight."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        check_fields(self)

    def open(self, folder: Path) -> Engine:
        """Have the server load the checkpoint in `folder`.

        Raises:
            ConfigError: there are no weights, or the server lacks the routes for training.
            EngineError: it does not answer, or cannot load the weights.
        """
        if not any(folder.glob("*.safetensors")):  # vLLM 0.32 would end itself
            raise ConfigError(f"no weights (*.safetensors) in {folder}, which is to be measured")
        tokenizer = load_tokenizer(str(folder))
        control = ServerControl(self.url)
        version = str(folder.resolve())
        try:
            with control.replacing(version):
                control.reload(folder, rebuild_experts=self.rebuild_experts)
                control.update_weight_version(version)
        finally:
            control.close()
        return _http_engine(self, tokenizer)


def _http_engine(
    config: VllmServer | ServedCheckpoints, tokenizer: PreTrainedTokenizerBase
) -> HttpEngine:
    return HttpEngine(
        HttpConfig(
            model=config.model,
            base_url=f"{config.url.rstrip('/')}/v1",
            api="completions",
            template=tokenizer.chat_template,
            concurrency=config.concurrency,
            token_ids=True,
        )
    )


class _ServerSampler:
    """Implements `Sampler`."""

    repeatable = False

    def __init__(
        self,
        config: VllmServer,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        scratch: Path,
    ) -> None:
        self._config = config
        self._model = model
        self._scratch = scratch
        self._control = ServerControl(config.url)
        self._push: Push | None = None
        self._http = _http_engine(config, tokenizer)
        self.engine = _Versioned(self._http)

    async def run(self, episodes: Sequence[Episode], concurrency: int | None) -> list[Trajectory]:
        return await run_freely(self.engine, episodes, concurrency)

    async def sync(self, version: str) -> None:
        await asyncio.to_thread(self._sync, version)
        self.engine.version = version

    def _sync(self, version: str) -> None:
        control = self._control
        control.target_version = version
        if self._push is None:
            self._push = self._config.transfer.open(control, self._model, self._scratch)
        with control.replacing(version):
            self._push()

    async def rest(self) -> None:
        """Nothing: the server has cards of its own, or shares one by its memory settings."""

    async def reopen(self) -> None:
        deadline = time.monotonic() + self._config.restart_seconds
        while not await asyncio.to_thread(self._control.is_alive):
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the vLLM server at {self._control.url} has not come back within "
                    f"{self._config.restart_seconds:g} s: start it again, then --resume"
                )
            await asyncio.sleep(1.0)
        self._push = None

    async def blocks(self, token_ids: Sequence[int]) -> Mapping[str, BlockRecord] | None:
        path = (self._scratch / "blocks.pt").resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            await asyncio.to_thread(self._control.reset_prefix_cache)
            await asyncio.to_thread(self._control.collective_rpc, "cascade_record")
            await self._http.sample([list(token_ids)], SamplingParams(max_tokens=1, temperature=0))
            await asyncio.to_thread(self._control.collective_rpc, "cascade_blocks", path=str(path))
        except EngineError:
            return None  # no worker extension, or no disk that both see
        import torch

        records = torch.load(path, weights_only=True)
        return {name: BlockRecord(*pair) for name, pair in records.items()} or None

    async def aclose(self) -> None:
        self._control.close()
        await self._http.aclose()


class _Versioned:
    """Notes on each completion which weights the server had when it was asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.version: str | None = None

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def max_concurrency(self) -> int:
        return self._engine.max_concurrency

    async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[Completion]:
        version = self.version
        done = await self._engine.sample(prompts, replace(params, logprobs=True))
        return [replace(completion, weight_version=version) for completion in done]

    def describe(self) -> Mapping[str, Any]:
        return {**self._engine.describe(), "weight_version": self.version}

    async def aclose(self) -> None:
        await self._engine.aclose()
