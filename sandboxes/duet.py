"""Two or more programs that talk to each other, each in a slot of its own.

The client carries the bytes between them, so neither sees the other's files, memory or limits.
Checkers, interactors and managers are programs of the task; they too are only run in a sandbox.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from dataclasses import dataclass

from cascade.errors import SandboxError
from cascade.sandboxes.slot import Raw, Run, Slot

__all__ = ["Ended", "Part", "converse"]

End = tuple[int, int]
"""Part and channel of one end of a wire."""


@dataclass(frozen=True, slots=True)
class Part:
    """One program of a conversation and the slot it runs in."""

    slot: Slot
    run: Run


@dataclass(frozen=True, slots=True)
class Ended:
    """How one program of a conversation ended."""

    raw: Raw
    place: int
    """In which place, from 0, it stopped writing.

    Where one stops because another has, the places say so: what the first one's end causes passes
    through here behind it. The order in which ends are reported says less, as each may be swept up
    for a while.
    """


def converse(parts: Sequence[Part], wires: Sequence[tuple[End, End]]) -> list[Ended]:
    """Run all parts at once and carry what each writes to the other end of its wire.

    Args:
        parts: the programs; each run's `channels` (or `served`) says what its channels are.
        wires: pairs of ends; a channel has one wire.

    Returns:
        How each part ended, in their order.

    Raises:
        SlotLostError: a slot was lost; the whole conversation has to be repeated.
    """
    other: dict[End, End] = {}
    for a, b in wires:
        other[a], other[b] = b, a
    idents = [part.slot.send_run(part.run) for part in parts]
    results: list[Raw | None] = [None] * len(parts)
    silent: list[int] = []
    poll = select.poll()
    by_fd = {part.slot.link.fileno(): i for i, part in enumerate(parts)}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    silence = max(part.slot.config.silence_seconds for part in parts)
    while any(result is None for result in results):
        ready = poll.poll(silence * 1000)
        if not ready:
            waiting = next(part for part, result in zip(parts, results, strict=True) if not result)
            raise waiting.slot.link.lost(f"silent for {silence:g} s")
        for fd, _ in ready:
            index = by_fd[fd]
            _take(index, parts, results, other, idents, silent)
            if results[index] is not None:
                poll.unregister(fd)
                del by_fd[fd]
    done = [result for result in results if result is not None]
    if len(done) != len(parts) or len(silent) != len(parts):
        raise SandboxError("a conversation ended without all results")
    return [Ended(raw, silent.index(i)) for i, raw in enumerate(done)]


def _take(
    index: int,
    parts: Sequence[Part],
    results: list[Raw | None],
    other: dict[End, End],
    idents: list[int],
    silent: list[int],
) -> None:
    slot = parts[index].slot
    for header, body in slot.link.receive_ready():
        if header["op"] != "out":
            results[index] = slot.finish(header, body) or results[index]
            continue
        if not body and index not in silent:
            silent.append(index)
        target = other.get((index, header["ch"]))
        if target is not None and results[target[0]] is None:
            header = {"op": "in", "ch": target[1], "for": idents[target[0]]}
            parts[target[0]].slot.link.send(header, body)
