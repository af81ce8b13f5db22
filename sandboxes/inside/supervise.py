"""One run under watch: start it, carry its data, stop it at a limit, leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cascade.sandboxes.inside.box import Box
from cascade.sandboxes.inside.fork import ChildEnd, Helper
from cascade.sandboxes.inside.meter import Meter, RunDelay, descendants, is_ending
from cascade.sandboxes.inside.turns import Turns, unread

__all__ = ["Channel", "Facts", "Slot", "Watch"]

_CHUNK = 1 << 16
_FIRST_LOOK = 0.02
_STUCK_SECONDS = 10.0
_PATIENCE = 20.0
"""The wall limit is stretched by time spent waiting for a CPU, but not beyond this factor."""


@dataclass
class Channel:
    """One stream between the program and the client while it runs (interactive tasks)."""

    read_fd: int = -1
    """The program's output, or -1 once it has ended."""
    write_fd: int = -1
    """The program's input, or -1 once it was closed."""
    pending: bytearray = field(default_factory=bytearray)
    """Input that the program has not taken yet."""
    polled: bool = False
    """The program's input is full; the poll tells when it takes more."""
    closing: bool = False
    """The client will send no more."""
    heard_end: bool = False
    """The program was there to read when its input was closed."""


@dataclass(frozen=True)
class Watch:
    """The limits that the runner itself keeps; times in seconds."""

    cpu: float
    wall: float
    memory: int
    output: int
    waits: float = 0.0
    """How long it may wait for others, beyond `wall`."""


@dataclass
class Facts:
    """What was observed of one run. The client turns it into a status."""

    end: ChildEnd
    killed_by: str
    """What it was stopped for: "", "cpu", "wall", "memory", "output", or the client's reason."""
    cpu: float
    wall: float
    oom_kills: int
    out: bytes
    err: bytes
    result: bytes
    out_bytes: int
    err_bytes: int
    result_bytes: int
    peak: int = 0
    """Largest sampled memory of the whole tree; 0 for runs too short to be sampled."""
    swept: bool = False
    full: bool = False
    heard_end: bool = False
    """A live stream was closed by the client while the program still had it open."""


class LostHelperError(RuntimeError):
    """The process that forks is gone or stuck: the slot cannot be used any more."""


@dataclass
class Slot:
    """Everything that lives as long as the slot does."""

    box: Box
    meter: Meter
    helpers: tuple[int, ...]
    cpus: int
    sweep_tree: bool = False
    """Kill by walking the process tree, where there is no process namespace to sweep."""
    init: Helper | None = None
    zygote: Helper | None = None
    delay: RunDelay = field(init=False)
    """Waits of the runner and its helpers, who start the program and carry its data."""
    idle_processes: int | None = None
    oom_kills: int = 0
    base_bytes: int = 0
    """Memory that is the slot's own: runner, helpers, stored programs, waiting input."""

    def __post_init__(self) -> None:
        """Open the account of waits."""
        self.delay = RunDelay((os.getpid(), *self.helpers))

    def measure_idle(self) -> None:
        """Remember how many processes an idle slot has, beside the child that waits."""
        count = self.meter.processes()
        self.idle_processes = None if count is None else count - (self.spare() > 0)
        self.new_oom_kills()

    def new_oom_kills(self) -> int:
        """Kills for want of memory since the last time this was asked."""
        seen, self.oom_kills = self.oom_kills, self.meter.oom_kills()
        return self.oom_kills - seen

    def spare(self) -> int:
        """Process id of the child that waits for its request, or 0."""
        return self.zygote.spare() if self.zygote else 0

    def kill_strangers(self) -> None:
        """Send SIGKILL to every process of the programs' user."""
        if self.init is not None:
            self.init.control.send(b"k")
            self.init.control.recv(1)
        elif self.sweep_tree:
            own = set(self.helpers)
            for pid in descendants(os.getpid()):
                if pid not in own:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
        elif self.box.uid is not None:
            uid = self.box.uid
            os.setresuid(uid, uid, 0)
            try:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
            finally:
                os.setresuid(0, 0, 0)

    def strangers(self) -> bool:
        """Whether any process besides the runner and its helpers is left."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                break
            if pid in self.helpers:
                raise LostHelperError("a helper died")
        count = self.meter.processes()
        if count is not None and self.idle_processes is not None:
            return count > self.idle_processes + (self.spare() > 0)
        own = {*self.helpers, self.spare()}
        return any(pid not in own for pid in descendants(os.getpid()))

    def sweep(self) -> bool:
        """Kill and reap until the programs' user has no process; True if there was any.

        Raises:
            LostHelperError: something would not die within ten seconds.
        """
        if not self.strangers():
            return False
        deadline = time.monotonic() + _STUCK_SECONDS
        while True:
            self.kill_strangers()
            if not self.strangers():
                return True
            if time.monotonic() > deadline:
                raise LostHelperError("a process survived SIGKILL for ten seconds")
            time.sleep(0.0005)


class Supervision:
    """Runs one request and reports the facts."""

    def __init__(
        self,
        slot: Slot,
        helper: Helper,
        watch: Watch,
        channels: list[Channel],
        poll_client: Callable[[], bool],
        client_fd: int,
        forward: Callable[[int, bytes], None],
        keep: bool,
        beat: Callable[[bool], None],
    ) -> None:
        self.slot, self.helper, self.watch, self.keep = slot, helper, watch, keep
        self.channels, self.forward = channels, forward
        self.poll_client, self.client_fd = poll_client, client_fd
        self.beat = beat
        self.kept: dict[int, list[bytes]] = {}
        self.counts: dict[int, int] = {}
        self.killed_by = ""
        self.said = 0
        """Bytes written to live streams."""
        self.peak = 0
        self.poll = select.poll()
        self.held_up = 0.0
        self.turns = Turns(watch.waits)

    def stop(self, reason: str) -> None:
        """Stop the program at the next occasion, unless it is being stopped already."""
        self.killed_by = self.killed_by or reason

    def run(self, request: bytes, fds: list[int], outputs: list[int]) -> Facts:
        """Start the process with `fds` as 0, 1, 2, …; read `outputs` (stdout, stderr, result)."""
        meter = self.slot.meter
        poll = self.poll
        outputs = list(outputs)
        for fd in outputs:
            if fd < 0:
                continue
            self.kept[fd], self.counts[fd] = [], 0
            poll.register(fd, select.POLLIN)
        for channel in self.channels:
            if channel.read_fd >= 0:
                poll.register(channel.read_fd, select.POLLIN)
        poll.register(self.client_fd, select.POLLIN)
        poll.register(self.helper.control, select.POLLIN)
        self.cpu_start, self.own_start = meter.cpu(), time.process_time()
        self.delay_start = self.slot.delay.read()
        self.start = time.perf_counter()
        self.turns.begin(self.start)
        try:
            self.helper.start(request, fds)
        except OSError as error:
            raise LostHelperError(f"the helper that forks does not answer: {error}") from None
        for fd in fds:
            os.close(fd)
        end = self._watch()
        wall = time.perf_counter() - self.start
        for fd in self.counts:
            self._drain(fd)
        for index, channel in enumerate(self.channels):
            self._drain_channel(index, channel)
        swept = False if self.keep else self.slot.sweep()
        cpu = meter.cpu() - self.cpu_start - self._own_cpu()
        rusage = (end.user_us + end.system_us) / 1e6
        out, err = outputs[0], outputs[1]
        result = outputs[2] if len(outputs) > 2 else -1
        return Facts(
            end,
            self.killed_by,
            max(rusage, min(cpu, wall * self.slot.cpus)),
            wall,
            self.slot.new_oom_kills(),
            b"".join(self.kept.get(out, [])),
            b"".join(self.kept.get(err, [])),
            b"".join(self.kept.get(result, [])),
            self.counts.get(out, 0),
            self.counts.get(err, 0),
            self.counts.get(result, 0),
            self.peak,
            swept or bool(self.killed_by),
            heard_end=any(channel.heard_end for channel in self.channels),
        )

    def _watch(self) -> ChildEnd:
        """Carry data and keep the limits until the main process has ended."""
        control = self.helper.control.fileno()
        look = min(_FIRST_LOOK, self.watch.cpu / self.slot.cpus, self.watch.wall)
        next_look = self.start + look
        killed_at = 0.0
        while True:
            timeout = max(0.0, next_look - time.perf_counter())
            events = self.poll.poll(timeout * 1000 + 0.2)
            ended = False
            for fd, what in events:
                if fd == control:
                    ended = True
                elif fd == self.client_fd:
                    if not self.poll_client():
                        self.slot.kill_strangers()
                        os._exit(0)
                else:
                    self._carry(fd, what)
            if ended:
                try:
                    return self.helper.end()
                except EOFError as error:
                    raise LostHelperError(str(error)) from None
            self._refill()
            now = time.perf_counter()
            if killed_at and now - killed_at > _STUCK_SECONDS:
                raise LostHelperError("the program survived SIGKILL for ten seconds")
            if not self.killed_by and now >= next_look:
                next_look = now + self._look(now)
            if self.killed_by:
                killed_at = killed_at or now
                self._kill(now - killed_at)
                next_look = now + 0.002

    def _kill(self, since: float) -> None:
        """Kill the program; in a session only its process group, unless that is not enough."""
        child = self.helper.child()
        if self.keep and child and since < 1.0:
            with contextlib.suppress(ProcessLookupError, PermissionError), self.slot.box.as_owner():
                os.killpg(child, signal.SIGKILL)
        else:
            self.slot.kill_strangers()

    def _look(self, now: float) -> float:
        """Check the account; return how long it cannot run out."""
        slot, watch = self.slot, self.watch
        cpu = slot.meter.cpu() - self.cpu_start
        self.beat(self.turns.is_busy(now, lambda: cpu - self._own_cpu() + self._waiting()))
        if cpu >= watch.cpu:
            cpu -= self._own_cpu()
        if cpu >= watch.cpu:
            self.killed_by = "cpu"
            return 0.0
        wall = watch.wall + self.turns.waited(now) - (now - self.start)
        wall_left = wall + self.held_up
        if wall_left <= 0:
            self.held_up = min(self._waiting(), watch.wall * _PATIENCE)
            wall_left = wall + self.held_up
            if wall_left <= 0.001:
                self.killed_by = "wall"
                return 0.0
        grown = slot.meter.memory() - slot.base_bytes
        if grown > watch.memory:
            grown = slot.meter.working_set() - slot.base_bytes
            if grown > watch.memory:
                self.killed_by = "memory"
        self.peak = max(self.peak, grown)
        return float(max(min(_FIRST_LOOK, (watch.cpu - cpu) / slot.cpus, wall_left), 0.001))

    def _own_cpu(self) -> float:
        """What the runner itself has used since the start, where the account holds it."""
        return (time.process_time() - self.own_start) * self.slot.meter.counts_runner

    def _waiting(self) -> float:
        """Seconds for which the program was ready to run while no CPU was free."""
        longest = 0
        own = {*self.slot.helpers, os.getpid()}
        for pid in descendants(os.getpid()):
            if pid in own:
                continue
            with contextlib.suppress(OSError, IndexError, ValueError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/schedstat", "rb") as file:
                        longest = max(longest, int(file.read().split()[1]))
        return (longest + self.slot.delay.read() - self.delay_start) / 1e9

    def _carry(self, fd: int, what: int) -> None:
        """Move data of one descriptor that is ready."""
        if fd in self.counts:
            data = os.read(fd, _CHUNK)
            if data:
                self._keep(fd, data)
            else:
                self.poll.unregister(fd)
            return
        for index, channel in enumerate(self.channels):
            if fd == channel.read_fd:
                data = os.read(fd, _CHUNK)
                self.forward(index, data)
                self.said += len(data)
                if self.watch.waits and not unread(channel.write_fd):
                    self.turns.pass_on()
                if self.said > self.watch.output and not self.killed_by:
                    self.killed_by = "output"
                if not data:
                    self.poll.unregister(fd)
                    os.close(fd)
                    channel.read_fd = -1
            elif fd == channel.write_fd and what & (select.POLLOUT | select.POLLERR):
                self._feed(channel)

    def _refill(self) -> None:
        """Register inputs that have data to send, now that the client may have sent some."""
        for channel in self.channels:
            if channel.write_fd >= 0 and (channel.pending or channel.closing):
                self._feed(channel)

    def _feed(self, channel: Channel) -> None:
        self.turns.take()
        try:
            while channel.pending:
                sent = os.write(channel.write_fd, channel.pending[:_CHUNK])
                del channel.pending[:sent]
        except BlockingIOError:
            self.poll.register(channel.write_fd, select.POLLOUT)
            channel.polled = True
            return
        except OSError:  # nobody reads it any more
            channel.pending.clear()
            channel.closing = True
        if channel.polled:
            self.poll.unregister(channel.write_fd)
            channel.polled = False
        if channel.closing:
            # In this order: one that ends in between is not read any more.
            channel.heard_end = not is_ending(self.helper.child()) and _is_read(channel.write_fd)
            os.close(channel.write_fd)
            channel.write_fd = -1

    def _keep(self, fd: int, data: bytes) -> None:
        limit = self.watch.output
        total = sum(self.counts.values())
        self.counts[fd] += len(data)
        if total < limit:
            self.kept[fd].append(data[: limit - total])
        if total + len(data) > limit and not self.killed_by:
            self.killed_by = "output"

    def _drain(self, fd: int) -> None:
        """Take what was written before the end; writers that live on are not waited for."""
        os.set_blocking(fd, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(fd, _CHUNK):
                self._keep(fd, data)
                if self.killed_by == "output":
                    break

    def _drain_channel(self, index: int, channel: Channel) -> None:
        if channel.read_fd >= 0:
            os.set_blocking(channel.read_fd, False)
            with contextlib.suppress(BlockingIOError):
                while data := os.read(channel.read_fd, _CHUNK):
                    self.forward(index, data)
            os.close(channel.read_fd)
            channel.read_fd = -1
        self.forward(index, b"")
        if channel.write_fd >= 0:
            os.close(channel.write_fd)
            channel.write_fd = -1


def _is_read(write_fd: int) -> bool:
    """Whether any process holds the other end of a pipe, as one that has ended does not.

    One that is ending may give up its output before its input. The runner holds named pipes itself:
    there the answer is always yes. It sends the end of such a stream only after that of the
    program, so nothing that follows from it comes back in time.
    """
    poll = select.poll()
    poll.register(write_fd, 0)
    return not any(what & select.POLLERR for _, what in poll.poll(0))
