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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from cascade.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Ranks", "full_weights", "join", "shard"]

_Item = TypeVar("_Item")
_EXIT_STUCK = 75


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
        """Run `make` on rank 0 alone and give its result to all, such as a batch of episodes."""
        items: list[Any] = [make() if self.rank == 0 else None]
        if self.size > 1:
            dist.broadcast_object_list(items, src=0)
        result: _Item = items[0]
        return result

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
        self.store.set(f"phase/{self.rank}", json.dumps([name, time.time()]))
        timer = threading.Timer(self.deadline_seconds, self._give_up, [name])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.store.set(f"phase/{self.rank}", json.dumps([f"after {name}", time.time()]))

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
    from torch.distributed.fsdp import (
        MixedPrecisionPolicy,
        fully_shard,
        register_fsdp_forward_method,
    )

    mesh = init_device_mesh(ranks.device.type, (ranks.size,))
    precision = MixedPrecisionPolicy(
        param_dtype=None if dtype == model.dtype else dtype, reduce_dtype=torch.float32
    )
    names = set(model._no_split_modules or ())
    for module in model.modules():
        if type(module).__name__ in names:
            fully_shard(module, mesh=mesh, mp_policy=precision)
    fully_shard(net, mesh=mesh, mp_policy=precision)
    register_fsdp_forward_method(net, "likeliest")


def full_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the whole weights and buffers of a model, sharded or not, on the CPU.

    Every rank must call it; each gets all of them, one tensor at a time.
    """
    from torch.distributed.tensor import DTensor

    return {
        name: (t.full_tensor() if isinstance(t, DTensor) else t).detach().cpu().clone()
        for name, t in model.state_dict().items()
    }
