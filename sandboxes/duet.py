"""Two or more programs that talk to each other, each in a slot of its own.

The client carries the bytes between them, so neither sees the other's files, memory or limits.
Checkers, interactors and managers are programs of the task; they too are only run in a sandbox.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cascade.sandboxes.inside.wire import encode, join
from cascade.sandboxes.slot import Raw, Run, Slot

__all__ = ["Ended", "Part", "converse"]

End = tuple[int, int]
"""Part and channel of one end of a wire."""
_GRACE = 0.5
"""Longest time, in seconds, without a sign of life that is not called idle; runners of programs at
work give one more often."""
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Part:
    """One program of a conversation and the slot it runs in."""

    slot: Slot
    run: Run
    judges: bool = False
    """The others are on trial: it is for its words that all wait, and it is stopped last."""
    idle: float = math.inf
    """Seconds without a sign of life after which it is stopped ("idle")."""


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

    Signs of life are an end, a word of the judge, and work. Words of the others are none: who holds
    back the end of a line until the judge gives up must not be taken for a judge that hangs.

    Args:
        parts: the programs; each run's `channels` (or `served`) says what its channels are.
        wires: pairs of ends; a channel has one wire.

    Returns:
        How each part ended, in their order.

    Raises:
        SlotLostError: a slot was lost; the whole conversation has to be repeated.
    """
    talk = _Conversation(parts, wires)
    talk.carry()
    return talk.ends()


class _Conversation:
    def __init__(self, parts: Sequence[Part], wires: Sequence[tuple[End, End]]) -> None:
        self._parts = parts
        self._idents = [part.slot.send_run(part.run) for part in parts]
        self._results: list[Raw | None] = [None] * len(parts)
        self._silent: list[int] = []
        self._wires: dict[End, tuple[int, bytes]] = {}
        """Where an end's bytes go: a part, and the header that says so to its runner."""
        for a, b in wires:
            self._wires[a], self._wires[b] = self._to(b), self._to(a)
        self._sign = time.monotonic()
        """When there was the last sign of life."""
        self._idle = 0.0
        """Seconds without one, added up."""

    def _to(self, end: End) -> tuple[int, bytes]:
        part, channel = end
        return part, encode({"op": "in", "ch": channel, "for": self._idents[part]})

    def ends(self) -> list[Ended]:
        """How the parts ended, once they all have."""
        found = []
        for i, raw in enumerate(self._results):
            if raw is None or i not in self._silent:
                raise self._parts[i].slot.link.lost("a stream without an end")
            found.append(Ended(raw, self._silent.index(i)))
        return found

    def carry(self) -> None:
        """Carry bytes until every part has ended."""
        poll = select.poll()
        by_fd = {part.slot.link.fileno(): i for i, part in enumerate(self._parts)}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        heard = dict.fromkeys(by_fd, self._sign)
        looked = self._sign
        while by_fd:
            asked = time.monotonic()
            ready = poll.poll(_LOOK * 1000)
            now = time.monotonic()
            for fd, _ in ready:
                index = by_fd[fd]
                heard[fd] = now
                self._take(index, now)
                if self._results[index] is not None:
                    poll.unregister(fd)
                    del by_fd[fd]
            if now - asked > _GRACE:  # it was this process that stood still
                self._sign = looked = now
            elif now - looked >= _LOOK:
                self._stop_idle(now)
                looked = now
                for fd, index in by_fd.items():
                    self._parts[index].slot.link.check_silence(now - heard[fd])

    def _take(self, index: int, now: float) -> None:
        part = self._parts[index]
        for header, body in part.slot.link.receive_ready():
            op = header["op"]
            if op != "out" or part.judges or not body:
                self._note_life(now)
            if op == "busy":
                continue
            if op != "out":
                self._results[index] = part.slot.finish(header, body) or self._results[index]
                self._idle = 0.0
                continue
            if not body and index not in self._silent:
                self._silent.append(index)
            wire = self._wires.get((index, header["ch"]))
            if wire is not None and self._results[wire[0]] is None:
                self._parts[wire[0]].slot.link.send_raw(join(wire[1], body))

    def _note_life(self, now: float) -> None:
        if now - self._sign >= _GRACE:
            self._idle += now - self._sign
        self._sign = now

    def _stop_idle(self, now: float) -> None:
        """Stop those who are on trial, or else the judge, if nothing has happened for too long."""
        idle = self._idle + (now - self._sign)
        living = [i for i, result in enumerate(self._results) if result is None]
        for i in [i for i in living if not self._parts[i].judges] or living:
            part = self._parts[i]
            if idle >= part.idle:
                part.slot.link.send({"op": "stop", "for": self._idents[i], "reason": "idle"})
