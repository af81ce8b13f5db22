"""PID 1 of a slot: takes frames from the client, runs programs one after another, answers.

The client's end of the stream is the slot's life: when it closes, the runner exits, and the
kernel kills everything that is left in its process namespace.
"""

from __future__ import annotations

import collections
import functools
import os
import shutil
import time
from typing import Any

from cascade.sandboxes.inside.confine import Rlimits
from cascade.sandboxes.inside.drivers import INPUT_FD
from cascade.sandboxes.inside.fork import EXEC, Helper, Request
from cascade.sandboxes.inside.repl import Interpreter
from cascade.sandboxes.inside.store import Store
from cascade.sandboxes.inside.supervise import (
    Channel,
    Facts,
    LostHelperError,
    Slot,
    Supervision,
    Watch,
)
from cascade.sandboxes.inside.wire import Header, Inbox, encode, join, pack, write_all

__all__ = ["Runner"]

_QUEUE_BYTES = 96 << 20
_READ = 1 << 16
"""Below what the C library takes from the kernel, and gives back, for each piece."""
_HELD_ANSWERS, _HELD_BYTES = 4, 1 << 16
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Runner:
    """Serves one client over the descriptors `inp` and `out`."""

    def __init__(
        self,
        inp: int,
        out: int,
        slot: Slot,
        store: Store,
        helpers: tuple[Helper, Helper | None],
        config: dict[str, Any],
    ) -> None:
        self.inp, self.out = inp, out
        zygote, spawner = helpers
        self.env: list[str] = config["env"]
        self.beat_seconds: float = config["beat_seconds"]
        self.disk_floor: int = config.get("disk_floor", 0)
        self.next_beat = 0.0
        self.slot, self.store = slot, store
        self.zygote, self.spawner = zygote, spawner or zygote
        self.inbox = Inbox()
        self.queue: collections.deque[tuple[Header, bytes]] = collections.deque()
        self.queued = 0
        self.held: list[bytes] = []
        """Answers that wait for the next ones, to be sent in one piece."""
        self.channels: list[Channel] = []
        self.active = 0
        """Number of the run that is under way, or was last."""
        self.early: list[tuple[Header, bytes]] = []
        self.watched: Supervision | None = None
        self.interpreter: Interpreter | None = None
        self.base = 0

    def serve(self) -> None:
        """Answer frames until the client goes away."""
        self.slot.measure_idle()
        self.base = self.slot.meter.working_set()
        while True:
            while not self.queue:
                if not self.receive():
                    return
            header, body = self.queue.popleft()
            self.queued -= len(body)
            try:
                self.handle(header, body)
            except LostHelperError as error:
                self.send({"op": "lost", "id": header.get("id"), "reason": str(error)})
                return
            except (OSError, ValueError, KeyError) as error:
                if header["op"] == "run" and not header.get("keep"):
                    self.slot.box.wipe()
                reason = f"{type(error).__name__}: {error}"
                self.send({"op": "error", "id": header.get("id"), "reason": reason})

    def receive(self) -> bool:
        """Read what the client has sent; False once it has closed the stream."""
        data = os.read(self.inp, _READ)
        if not data:
            return False
        for header, body in self.inbox.feed(data):
            op = header["op"]
            if op == "in":
                self.take_input(header, body)
            elif op == "stop":
                if self.watched is not None and header["for"] == self.active:
                    self.watched.stop(header["reason"])
            elif op == "cancel":
                self.drop_queue()
            else:
                self.queue.append((header, body))
                self.queued += len(body)
        return True

    def drop_queue(self) -> None:
        """Forget the runs that wait, and say so."""
        kept = [item for item in self.queue if item[0]["op"] != "run"]
        for header, _ in self.queue:
            if header["op"] == "run":
                self.send({"op": "dropped", "id": header["id"]})
        self.queue = collections.deque(kept)
        self.queued = sum(len(body) for _, body in kept)

    def take_input(self, header: Header, body: bytes) -> None:
        """Pass data of an interactive run on to its program; the run may not have begun yet."""
        ident, index = header["for"], header["ch"]
        if ident == self.active and index < len(self.channels):
            channel = self.channels[index]
            if body and channel.write_fd >= 0:
                channel.pending += body
            elif not body:
                channel.closing = True
        elif ident > self.active:
            self.early.append((header, body))

    def beat(self, busy: bool = False) -> None:
        """Show the client now and then that a long run is watched, and that it is no idle one."""
        if self.held:
            self.flush()
        if busy:
            self.send({"op": "busy"})
        now = time.monotonic()
        if now >= self.next_beat:
            self.next_beat = now + self.beat_seconds
            self.send({"op": "beat"})

    def send(self, header: Header, body: bytes = b"") -> None:
        """Write one frame to the client, behind the answers that were held back."""
        self.held.append(pack(header, body))
        self.flush()

    def flush(self) -> None:
        """Write the answers that were held back."""
        data, self.held = b"".join(self.held), []
        write_all(self.out, data)

    def answer(self, header: Header, body: bytes) -> None:
        """Write the answer to a run; later, with others, while more runs wait.

        Each write wakes the client, and on its way the Docker engine twice. A run that takes
        long sends what is held before it at the first look at its account.
        """
        self.held.append(pack(header, body))
        full = len(self.held) >= _HELD_ANSWERS or sum(map(len, self.held)) > _HELD_BYTES
        if full or not self.queue:
            self.flush()

    def handle(self, header: Header, body: bytes) -> None:
        """Carry out one command."""
        getattr(self, "do_" + header["op"])(header, body)

    def do_ping(self, header: Header, body: bytes) -> None:
        """Show that the runner lives."""
        self.send({"op": "done", "id": header["id"]})

    def do_put(self, header: Header, body: bytes) -> None:
        """Store a program; answered only by what had to go."""
        gone = self.store.put(header["name"], _cut(header["files"], body), header["executable"])
        if gone:
            self.send({"op": "gone", "names": gone})

    def do_run(self, header: Header, body: bytes) -> None:
        """Run a program once."""
        files = _cut(header.get("files", []), body)
        offset = sum(len(data) for _, data in files)
        for name, data in files:
            self.slot.box.write(name, data, 0o755 if header.get("executable") else 0o644)
        self.slot.base_bytes = self.base + self.store.size + 3 * (self.queued + len(body))
        facts = self.start(header, body[offset:])
        facts.full = bool(facts.end.status or facts.killed_by) and self.slot.box.is_full()
        kept, failed = self.collect(header)
        clean = True
        if not header.get("keep"):
            used = not self.slot.box.is_clean()
            clean = not used or self.slot.box.wipe()
            self.check_disk(used or bool(facts.end.status or facts.killed_by))
        self.report(header, facts, kept, failed, clean)

    def check_disk(self, doubtful: bool) -> None:
        """Give the slot up where the machine's own disk, not the program, may have run full.

        Raises:
            LostHelperError: the box lies on a disk that has less left than a box may take.
        """
        if doubtful and self.disk_floor and self.slot.box.has_less_than(self.disk_floor):
            raise LostHelperError("the disk that the writable folder lies on is full")

    def start(self, header: Header, data: bytes) -> Facts:
        """Make the descriptors, ask a helper for the process, and watch it."""
        watch = Watch(
            header["cpu"],
            header["wall"],
            header["memory"],
            header["output"],
            header.get("waits", 0.0),
        )
        interactive: list[list[str] | None] = header.get("channels", [])
        driver: int = header.get("driver", EXEC)
        request = Request(
            driver,
            self.resolve(header["argv"]),
            header.get("env") or (self.env if driver == EXEC else []),
            header.get("cwd") or self.slot.box.path,
            Rlimits(*header["rlimits"]),
            bool(header.get("inet")),
            ahead=driver != EXEC and header["lent"] < self.slot.cpus,
        ).pack()
        with self.slot.box.as_owner():
            out_r, out_w = os.pipe2(os.O_CLOEXEC)
            err_r, err_w = os.pipe2(os.O_CLOEXEC)
            fds, outputs = [-1, out_w, err_w], [out_r, err_r]
            self.channels = []
            if interactive or header.get("served"):
                fds = self.open_channels(interactive, header, fds, outputs)
            if fds[0] < 0:
                fds[0] = _memory_file(data if not header.get("spec") else b"")
            if header.get("spec"):
                fds += [_memory_file(data)]
                result_r, result_w = os.pipe2(os.O_CLOEXEC)
                fds.append(result_w)
                outputs.append(result_r)
        assert not header.get("spec") or fds[INPUT_FD] >= 0
        self.active = header["id"]
        early, self.early = self.early, []
        for head, piece in early:
            self.take_input(head, piece)
        helper = self.spawner if driver == EXEC else self.zygote
        self.watched = Supervision(
            self.slot,
            helper,
            watch,
            self.channels,
            self.receive_or_busy,
            self.inp,
            self.forward,
            bool(header.get("keep")),
            self.beat,
        )
        try:
            return self.watched.run(request, fds, outputs)
        finally:
            self.channels, self.watched = [], None
            for fd in outputs:
                if fd >= 0:
                    os.close(fd)

    def open_channels(
        self,
        interactive: list[list[str] | None],
        header: Header,
        fds: list[int],
        outputs: list[int],
    ) -> list[int]:
        """Give the program live streams: its standard ones, descriptors 3 and 4, or named pipes."""
        for names in interactive:
            if names is None:
                in_r, in_w = os.pipe2(os.O_CLOEXEC)
                fds[0] = in_r
                channel = Channel(outputs[0], in_w)
                outputs[0] = -1
            else:
                into, outof = (os.path.join(self.slot.box.path, name) for name in names)
                for path in (into, outof):
                    os.mkfifo(path, 0o600)
                channel = Channel(
                    os.open(outof, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC),
                    os.open(into, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC),
                )
            os.set_blocking(channel.write_fd, False)
            self.channels.append(channel)
        if header.get("served"):
            in_r, in_w = os.pipe2(os.O_CLOEXEC)
            out_r, out_w = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(in_w, False)
            fds += [in_r, out_w]
            self.channels.append(Channel(out_r, in_w))
        return fds

    def receive_or_busy(self) -> bool:
        """Read more frames while a program runs, unless enough of them wait already."""
        if self.queued > _QUEUE_BYTES:
            time.sleep(0.001)
            return True
        return self.receive()

    def forward(self, index: int, data: bytes) -> None:
        """Send what an interactive program wrote; empty at its end."""
        if self.held:
            self.flush()
        write_all(self.out, join(_out_head(index), data))

    def resolve(self, argv: list[str]) -> list[str]:
        """Make the program's path absolute: `@/` stands for the store, names are looked up."""
        first = argv[0]
        argv = [self.store.path + arg[1:] if arg.startswith("@/") else arg for arg in argv]
        if "/" not in first:
            found = shutil.which(first, path=PATH)
            if found is None:
                raise OSError(2, "no such command in the sandbox", first)
            argv[0] = found
        return argv

    def collect(self, header: Header) -> tuple[list[tuple[str, bytes]], list[list[str]]]:
        """Read the files that the client asked for; what cannot be read is named with a reason."""
        kept, failed = [], []
        for name in header.get("collect", []):
            try:
                kept.append((name, self.slot.box.read(name, header["collect_limit"])))
            except OSError as error:
                failed.append([name, error.strerror or str(error)])
        if header.get("store") and kept:
            gone = self.store.put(header["store"], kept, True)
            if gone:
                self.send({"op": "gone", "names": gone})
        return kept, failed

    def report(
        self,
        header: Header,
        facts: Facts,
        kept: list[tuple[str, bytes]],
        failed: list[list[str]],
        clean: bool,
    ) -> None:
        """Send the facts of a run."""
        end = facts.end
        parts = [facts.out, facts.err, facts.result, *(data for _, data in kept)]
        answer: dict[str, Any] = {
            "op": "done",
            "id": header["id"],
            "status": end.status,
            "cpu": round(facts.cpu, 6),
            "wall": round(facts.wall, 6),
            "peak": max(end.peak_kb << 10, facts.peak),
            "sizes": [len(part) for part in parts],
            "written": [facts.out_bytes, facts.err_bytes, facts.result_bytes],
        }
        if end.error:
            answer["error"] = end.error
        for key, value in (
            ("by", facts.killed_by),
            ("oom", facts.oom_kills),
            ("swept", facts.swept),
            ("full", facts.full),
            ("heard", facts.heard_end),
            ("dirty", not clean),
            ("files", [name for name, _ in kept]),
            ("missing", failed),
        ):
            if value:
                answer[key] = value
        self.answer(answer, b"".join(parts))

    def do_read(self, header: Header, body: bytes) -> None:
        """Read a file of the box."""
        data = self.slot.box.read(header["name"], header["limit"])
        self.send({"op": "done", "id": header["id"]}, data)

    def do_write(self, header: Header, body: bytes) -> None:
        """Write a file of the box."""
        self.slot.box.write(header["name"], body, header.get("mode", 0o644))
        self.send({"op": "done", "id": header["id"]})

    def do_snapshot(self, header: Header, body: bytes) -> None:
        """Send the whole box as an archive."""
        self.send({"op": "done", "id": header["id"]}, self.slot.box.pack())

    def do_reset(self, header: Header, body: bytes) -> None:
        """Kill everything, wipe the box, and fill it from an archive if there is one."""
        self.stop_interpreter()
        self.slot.sweep()
        clean = self.slot.box.wipe()
        if body:
            self.slot.box.unpack(body)
        self.send({"op": "done", "id": header["id"], "dirty": not clean})

    def do_interpret(self, header: Header, body: bytes) -> None:
        """Run code in the persistent interpreter, starting one where there is none."""
        if self.interpreter is None or not self.interpreter.alive:
            self.interpreter = Interpreter(self.slot, self.zygote, header["rlimits"])
        answer, output = self.interpreter.execute(
            body, header, self.inp, self.receive_or_busy, self.beat
        )
        self.send({"op": "done", "id": header["id"], **answer}, output)

    def stop_interpreter(self) -> None:
        """End the persistent interpreter."""
        if self.interpreter is not None:
            self.interpreter.close()
            self.interpreter = None


@functools.cache
def _out_head(index: int) -> bytes:
    """The header of what a live stream says: many small frames have the same."""
    return encode({"op": "out", "ch": index})


def _cut(table: list[list[Any]], body: bytes) -> list[tuple[str, bytes]]:
    """Cut the files of a frame out of its body."""
    files, start = [], 0
    for name, size in table:
        files.append((name, body[start : start + size]))
        start += size
    return files


def _memory_file(data: bytes) -> int:
    """A memory file that holds `data`, to be read from its start."""
    if not data:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("input")
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
