"""Several processes under torchrun: who is who, sharding by FSDP2, and deadlines that name a rank.

Every rank holds the whole batch and works on every `size`-th micro-batch of it, so denominators
need no exchange; what is exchanged are weights, gradients (by FSDP2) and a few sums.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor

from cascade.errors import CascadeError, ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "FirstRankFailed",
    "Ranks",
    "copy_weights",
    "full_weights",
    "join",
    "joined",
    "shard",
    "started_by_torchrun",
    "value_of",
]

_Item = TypeVar("_Item")
_EXIT_STUCK = 75
_TELLING_SECONDS = 30


class FirstRankFailed(CascadeError):
    """Ends the other ranks when rank 0 has failed at what it does alone; rank 0 says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """The processes that train one model together."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    store: Any = None
    """Where ranks tell each other their phase; None for one process."""
    deadline_seconds: float = 1800.0
    """Longest that a phase may take."""

    def share(self, items: Sequence[_Item]) -> list[tuple[_Item, bool]]:
        """Return this rank's items, equally many on every rank.

        Ranks must call the sharded model equally often, so one that has fewer repeats an item;
        the second value says whether the item counts.
        """
        rounds = -(-len(items) // self.size)
        own = [r * self.size + self.rank for r in range(rounds)]
        return [(items[min(i, len(items) - 1)], i < len(items)) for i in own]

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """Add up each value over the ranks; one that a rank does not give counts as 0."""
        parts = self.gathered(dict(values))
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: sum(part.get(name, 0.0) for part in parts) for name in names}

    def gathered(self, item: _Item) -> list[_Item]:
        """Return every rank's item, in the order of ranks."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def from_first(self, make: Callable[[], _Item]) -> _Item:
        """Run `make` on rank 0 alone and give its result to all, such as a batch of episodes.

        Raises:
            FirstRankFailed: on the other ranks; rank 0 raises what `make` raised.
        """
        if self.rank > 0:
            given: _Item = self._given()
            return given
        with self._failure_given():
            item = make()
        return self._give(item)

    async def awaited_from_first(self, make: Callable[[], Awaitable[_Item]]) -> _Item:
        """Do as `from_first` with a coroutine.

        Raises:
            FirstRankFailed: on the other ranks; rank 0 raises what `make` raised.
        """
        if self.rank > 0:
            given: _Item = self._given()
            return given
        with self._failure_given():
            item = await make()
        return self._give(item)

    def _give(self, item: _Item) -> _Item:
        if self.size > 1:
            dist.broadcast_object_list([item, None], src=0)
        return item

    @contextlib.contextmanager
    def _failure_given(self) -> Iterator[None]:
        """Let the other ranks fail too, also when this one is interrupted."""
        try:
            yield
        except BaseException as error:
            if self.size > 1:
                dist.broadcast_object_list([None, f"{type(error).__name__}: {error}"], src=0)
            raise

    def _given(self) -> Any:
        self._note("waiting for rank 0")
        told: list[Any] = [None, None]
        dist.broadcast_object_list(told, src=0)
        item, failure = told
        if failure is not None:
            raise FirstRankFailed(f"rank 0 failed: {failure}")
        return item

    def tell_once(self, error: BaseException, say: Callable[[], int]) -> int:
        """Call `say` about `error` on the first rank that fails; the others wait until it has.

        torchrun kills the others as soon as one process has ended with an error. It interrupts
        all, so rank 0 speaks of that.

        Returns:
            The exit code that `say` returned; 1 where it was not called.
        """
        if self.size == 1:
            return say()
        follows = isinstance(error, FirstRankFailed) or (
            isinstance(error, KeyboardInterrupt) and self.rank > 0
        )
        if not follows and self.store.add("failed", 1) == 1:
            code = say()
            self.store.set("told", "")
            return code
        with contextlib.suppress(RuntimeError):  # the one that was to speak is gone
            self.store.wait(["told"], datetime.timedelta(seconds=_TELLING_SECONDS))
        return 1

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Hold what runs within to the deadline.

        A rank that is over it says in which phase each rank is, and ends its process with status
        75, since nothing can be raised in a thread that waits for another rank; torchrun then
        stops the others. Checkpoints on disk are whole.
        """
        if self.store is None:
            yield
            return
        self._note(name)
        timer = threading.Timer(self.deadline_seconds, self._give_up, [name])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._note(f"after {name}")

    def _note(self, phase: str) -> None:
        """Tell the other ranks what this one is at."""
        if self.store is not None:
            self.store.set(f"phase/{self.rank}", json.dumps([phase, time.time()]))

    def _give_up(self, name: str) -> None:
        lines = [
            f"cascade: rank {self.rank} has been in phase {name!r} for over "
            f"{self.deadline_seconds:g} seconds (deadline_seconds). Phases of all ranks:"
        ]
        lines += [f"  rank {rank}: {self._told(rank)}" for rank in range(self.size)]
        lines.append("The run can be resumed from its last checkpoint.")
        print("\n".join(lines), file=sys.stderr, flush=True)
        os._exit(_EXIT_STUCK)

    def _told(self, rank: int) -> str:
        try:
            if not self.store.check([f"phase/{rank}"]):
                return "has not begun"
            phase, since = json.loads(self.store.get(f"phase/{rank}"))
        except (RuntimeError, ValueError) as error:  # the store's host is gone
            return f"cannot be asked ({error})"
        return f"{phase!r} for {time.time() - since:.0f} seconds"


@contextlib.contextmanager
def join(*, deadline_seconds: float = 1800.0, device: str | None = None) -> Iterator[Ranks]:
    """Join the processes that torchrun started; a process on its own is rank 0 of 1.

    Args:
        deadline_seconds: longest that a phase of training may take.
        device: "cpu" (gloo) or "cuda" (nccl, one device per local rank); None: cuda if there is.

    Raises:
        ConfigError: cuda was asked for and is not there, or there are fewer devices than ranks.
    """
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    local_rank, size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    chosen = torch.device(kind)
    if kind == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"local rank {local_rank} needs CUDA device {local_rank}, but torch finds "
                f"{torch.cuda.device_count()}: start fewer processes, or pass device='cpu'"
            )
        chosen = torch.device("cuda", local_rank)
        torch.cuda.set_device(chosen)
    backend = "nccl" if kind == "cuda" else "gloo"
    # The watch over phases speaks first; the backend's own limit is the second line.
    limit = datetime.timedelta(seconds=2 * deadline_seconds)
    if size == 1:
        store = dist.HashStore()  # type: ignore[attr-defined]
        rank = 0
        dist.init_process_group(backend, store=store, rank=0, world_size=1, timeout=limit)
    else:
        store, rank, size = next(iter(rendezvous("env://", timeout=limit)))
        dist.init_process_group(
            backend, store=PrefixStore("group", store), rank=rank, world_size=size,
            timeout=limit,
        )  # fmt: skip
        store = store.clone()
    try:
        yield Ranks(rank, size, chosen, store, deadline_seconds)
    finally:
        dist.destroy_process_group()


def started_by_torchrun() -> bool:
    """Whether this process is one of torchrun's."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextlib.contextmanager
def joined(device: str, deadline_seconds: float) -> Iterator[Ranks]:
    """Join the others if torchrun started this process; else it is alone, without a group.

    Raises:
        ConfigError: see `join`.
    """
    if not started_by_torchrun():
        yield Ranks()
        return
    kind = torch.device(device).type
    with join(device=kind, deadline_seconds=deadline_seconds) as ranks:
        yield ranks


def shard(net: nn.Module, model: PreTrainedModel, ranks: Ranks, dtype: torch.dtype) -> None:
    """Shard weights, gradients and optimizer state over the ranks, layer by layer (FSDP2).

    Args:
        net: what is called in training; holds `model`.
        model: its repeated layers become units of their own.
        ranks: all of them share.
        dtype: of the computation. The weights keep theirs (float32 masters of a bfloat16
            computation), and gradients are added up in float32.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(ranks.device.type, (ranks.size,))
    precision = MixedPrecisionPolicy(
        param_dtype=None if dtype == model.dtype else dtype, reduce_dtype=torch.float32
    )
    names = set(model._no_split_modules or ())
    for module in model.modules():
        if type(module).__name__ in names:
            fully_shard(module, mesh=mesh, mp_policy=precision)
    fully_shard(net, mesh=mesh, mp_policy=precision)


def full_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the whole weights and buffers of a model, sharded or not, on the CPU.

    Every rank must call it; each gets all of them, one tensor at a time.
    """
    return {
        name: (t.full_tensor() if isinstance(t, DTensor) else t).detach().cpu().clone()
        for name, t in model.state_dict().items()
    }


@torch.no_grad()
def copy_weights(model: nn.Module, into: nn.Module | None) -> None:
    """Bring the whole weights and buffers of a model, sharded or not, into an unsharded one.

    Every rank must call it; with None it only lends its part. One tensor at a time is whole.
    """
    kept = {} if into is None else into.state_dict()
    for name, part in model.state_dict().items():
        whole = part.full_tensor() if isinstance(part, DTensor) else part
        if into is not None:
            kept[name].copy_(whole)


def value_of(scalar: torch.Tensor) -> float:
    """Return the value of a scalar that may be spread over ranks; every rank must call it."""
    return float(scalar.full_tensor() if isinstance(scalar, DTensor) else scalar)
