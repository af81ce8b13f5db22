"""Nothing outlives its owner, and no fault of the infrastructure becomes a verdict."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from cascade.errors import SandboxError
from cascade.sandboxes import (
    Case,
    Job,
    Limits,
    Program,
    Sandbox,
    SandboxConfig,
    Status,
    open_sandbox,
)
from cascade.sandboxes.docker import IMAGE, LABEL, DockerBackend, Owner, connect, reap
from cascade.sandboxes.local import LocalBackend
from cascade.sandboxes.pool import Backend
from conftest import unavailable
from sandbox_cases.good import GOOD, judge_good
from sandbox_cases.ordinary_user import run_as_nobody
from sandbox_cases.processes import runner_pids


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """A client of the Docker engine."""
    try:
        client = connect()
    except SandboxError as error:
        unavailable(str(error))
        raise
    yield client
    client.close()


def open_backend(kind: str, **settings: Any) -> Backend:
    config = SandboxConfig(**settings)
    try:
        return DockerBackend(config) if kind == "docker" else LocalBackend(config)
    except SandboxError as error:
        unavailable(str(error))
        raise


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def slots_of(pid: int, kind: str, engine: Any) -> list[str]:
    """What belongs to the process: its containers, or its descendants' and their namespaces'."""
    if kind == "docker":
        found = engine.api.containers(all=True, filters={"label": LABEL})
        return [c["Id"] for c in found if f"/{pid}/" in c["Labels"][LABEL]]
    mark = f"CASCADE_TEST_OWNER={pid}".encode()
    return [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and mark in _environ(entry)
    ]


def _environ(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes()
    except OSError:
        return b""


OWNER = """
import os, sys, threading
from cascade.sandboxes import Case, Limits, Program, open_sandbox
from cascade.sandboxes import settings
settings.ENVIRONMENT["CASCADE_TEST_OWNER"] = str(os.getpid())
with open_sandbox(sys.argv[1], workers=2) as box:
    source = "import os, time\\nif not os.fork(): os.setsid()\\n"
    program = Program("python", source + "time.sleep(60)")
    limits = Limits(cpu_seconds=60, wall_seconds=60)
    threading.Thread(target=box.judge, args=(program, [Case("")], limits), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_a_killed_owner_leaves_nothing_after_a_second(kind: str, engine: Any) -> None:
    """SIGKILL the client with programs under way: no container and no process is left."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        assert wait_for(lambda: len(slots_of(owner.pid, kind, engine)) >= 3, 10)
        time.sleep(0.3)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        # A second on an idle machine; a busy one may be slow to collect what is dead already.
        gone = wait_for(lambda: not slots_of(owner.pid, kind, engine), 8)
        assert gone, slots_of(owner.pid, kind, engine)


def test_containers_of_a_dead_owner_are_reaped(engine: Any) -> None:
    """What a crash of the engine could leave is removed when the next sandbox opens."""
    ghost = Owner.current()._replace(pid=2**22 - 1, started="1")
    stranger = ghost._replace(boot="another machine")
    made = [
        engine.api.create_container(IMAGE, ["true"], labels={LABEL: str(owner)})["Id"]
        for owner in (ghost, stranger, Owner.current())
    ]
    try:
        reap(engine)
        alive = {c["Id"] for c in engine.api.containers(all=True, filters={"label": LABEL})}
        assert made[0] not in alive
        assert {made[1], made[2]} <= alive, "only what is certainly dead may be removed"
    finally:
        for ident in made[1:]:
            engine.api.remove_container(ident, force=True)


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_closing_leaves_nothing(kind: str, engine: Any) -> None:
    """After `close`, no container, process or cgroup of this sandbox is left."""
    backend = open_backend(kind, workers=2)
    before = slots_of(os.getpid(), "docker", engine)
    box = Sandbox(backend)
    assert judge_good(box).accepted
    box.close()
    box.close()
    assert wait_for(lambda: len(slots_of(os.getpid(), "docker", engine)) <= len(before), 5)
    folders = Path("/sys/fs/cgroup/memory/cascade")
    if kind == "local" and folders.is_dir():
        mine = f"{os.getpid()}-"
        held = [f for f in folders.iterdir() if f.name.startswith(mine)]
        assert all((f / "cgroup.procs").read_text() for f in held), "an empty cgroup was left"
    with pytest.raises(SandboxError, match="closed"):
        judge_good(box)


@pytest.mark.parametrize("how", ["remove", "kill"])
def test_a_container_removed_under_way_is_survived(engine: Any, how: str) -> None:
    """The run is repeated on a fresh slot, and the verdict is the program's own."""
    with Sandbox(open_backend("docker", workers=1)) as box:
        killer = threading.Thread(target=_end_busy, args=(engine, how))
        killer.start()
        slow = Program("python", "import time\ntime.sleep(3)\nprint(input())")
        report = box.judge(slow, [Case("a", "a")], Limits(wall_seconds=20))
        killer.join()
        assert report.accepted, report.reason
        assert report.retries >= 1
        assert judge_good(box).accepted


def _end_busy(engine: Any, how: str) -> None:
    """End the first container in which a program runs beside the runner and its two helpers."""

    def ended() -> bool:
        for container in slots_of(os.getpid(), "docker", engine):
            with contextlib.suppress(APIError):  # it only just starts
                if len(engine.api.top(container)["Processes"]) >= 4:
                    end = engine.api.kill if how == "kill" else engine.api.remove_container
                    end(container, **({} if how == "kill" else {"force": True}))
                    return True
        return False

    assert wait_for(ended, 15)


class Faulty:
    """A back end whose slots break on purpose: a fault before a share of the frames."""

    def __init__(self, inner: Backend, share: float, seed: int) -> None:
        self.inner, self.share, self.random = inner, share, random.Random(seed)
        self.name, self.config, self.versions = inner.name, inner.config, inner.versions
        self.faults = 0
        self.lock = threading.Lock()

    def open(self) -> Any:
        link = self.inner.open()
        send = link.send_raw

        def breaking(data: bytes) -> None:
            with self.lock:
                broken = b'"op":"run"' in data[:60] and self.random.random() < self.share
                self.faults += broken
            if broken:
                link.place.destroy()
            send(data)

        link.send_raw = breaking  # type: ignore[method-assign]
        return link

    def isolation(self, hello: dict[str, Any]) -> Any:
        return self.inner.isolation(hello)

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_injected_faults_never_change_a_verdict(kind: str) -> None:
    """Slots are destroyed under a share of the runs; every verdict that comes is right.

    The long form, 1,000 runs with a share of 5 %, is benchmarks/sandbox_soak.py.
    """
    faulty = Faulty(open_backend(kind, workers=2, retries=4), 0.08, 7)
    right, wrong = GOOD, Program("python", "print(0)")
    with Sandbox(faulty) as box:
        jobs = [
            Job(program, [Case("1 2", "3")], key=program is right)
            for program in (right, wrong)
            for _ in range(40)
        ]
        for job, report in box.judge_many(jobs):
            if report.status is Status.FAULT:
                continue
            assert report.accepted == job.key, report
    assert faulty.faults > 0, "nothing was tested"


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_a_slot_that_always_breaks_is_a_fault_and_no_verdict(kind: str) -> None:
    """After its retries the run is FAULT, with a reason, and the fraction is no reward."""
    with Sandbox(Faulty(open_backend(kind, workers=1, retries=1), 1.0, 1)) as box:
        report = box.judge(GOOD, [Case("1 2", "3")])
        assert report.status is Status.FAULT
        assert report.status.is_fault
        assert report.retries == 2
        assert "slot lost" in report.reason


def test_a_stalled_engine_ends_in_a_fault_and_not_in_a_hang() -> None:
    """A runner that says nothing is given up after `silence_seconds`."""
    backend = open_backend("local", workers=1, retries=0, silence_seconds=2.0, spare=False)
    with Sandbox(backend) as box:
        assert judge_good(box).accepted
        for pid in runner_pids():
            os.kill(pid, signal.SIGSTOP)
        start = time.monotonic()
        report = box.judge(GOOD, [Case("1 2", "3")])
        assert report.status is Status.FAULT
        assert time.monotonic() - start < 30
        assert judge_good(box).accepted


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_a_long_run_is_not_taken_for_a_lost_slot(kind: str) -> None:
    """A busy runner shows that it lives, so only silence counts as loss."""
    with Sandbox(open_backend(kind, workers=1, silence_seconds=4, spare=False)) as box:
        slow = Program("python", "import time\ntime.sleep(6)\nprint(input())")
        report = box.judge(slow, [Case("a", "a")], Limits(wall_seconds=20))
        assert report.accepted
        assert report.retries == 0
        with box.session() as session:
            assert session.python("import time; time.sleep(6)").state == "ok"


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_worn_out_slots_are_replaced_behind_the_callers(kind: str) -> None:
    """Recycling after so many runs loses no run."""
    with Sandbox(open_backend(kind, workers=1, runs_per_slot=5)) as box:
        for i in range(20):
            report = box.judge(GOOD, [Case(f"{i} 1", str(i + 1))])
            assert report.accepted
            assert report.retries == 0


def test_a_helper_that_dies_costs_the_slot_and_no_verdict() -> None:
    """The zygote is killed from outside; the run goes to a fresh slot."""
    with Sandbox(open_backend("local", workers=1)) as box:
        assert judge_good(box).accepted
        for runner in runner_pids():
            for pid in Path(f"/proc/{runner}/task/{runner}/children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        report = judge_good(box)
        assert report.accepted, report.reason


def _children(pid: int | str) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_dead(pid: int) -> bool:
    return ") Z " in Path(f"/proc/{pid}/stat").read_text()


def test_a_child_that_dies_before_its_request_costs_nothing() -> None:
    """The child that was forked ahead is killed from outside; the run goes to another."""
    with Sandbox(open_backend("local", workers=1, spare=False)) as box:
        for _ in range(3):
            assert judge_good(box).accepted
            waiting = [
                grandchild
                for runner in runner_pids()
                for helper in _children(runner)
                for grandchild in _children(helper)
            ]
            if not waiting:
                pytest.skip("none is forked ahead: no user of their own, or one processor")
            for pid in waiting:  # other open sandboxes of this process may have one as well
                os.kill(pid, signal.SIGKILL)
                assert wait_for(partial(_is_dead, pid), 5)
            report = judge_good(box)
            assert report.accepted, report.reason
            assert report.retries == 0


def test_the_engine_may_vanish_and_return(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no slot can be opened the callers are told so; afterwards all is well again."""
    backend = open_backend("docker", workers=1, spare=False, retries=0)
    assert isinstance(backend, DockerBackend)
    with Sandbox(backend) as box:
        assert judge_good(box).accepted
        real = backend.image
        backend.image = "cascade-no-such-image:0"
        for container in slots_of(os.getpid(), "docker", engine):
            engine.api.remove_container(container, force=True)
        assert box.judge(GOOD, [Case("1 2", "3")]).status is Status.FAULT
        with pytest.raises(SandboxError, match="cannot start a slot"):
            box.judge(GOOD, [Case("1 2", "3")])
        backend.image = real
        assert wait_for(lambda: _accepted(box), 20)


def _accepted(box: Sandbox) -> bool:
    try:
        return judge_good(box).accepted
    except SandboxError:
        return False


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_a_sandbox_that_cannot_start_leaves_no_socket_open(kind: str) -> None:
    """Neither a slot's connection nor the engine's stays behind, whatever failed."""
    backend = open_backend(kind, workers=1)
    before = _sockets()
    if isinstance(backend, DockerBackend):
        backend.close()
        backend = DockerBackend(backend.config)
        backend.image = "cascade-no-such-image:0"
    else:
        object.__setattr__(backend.config, "preload", ("no_such_module",))
    with pytest.raises(SandboxError, match=r"no_such|no-such"):
        Sandbox(backend)
    gc.collect()
    assert len(_sockets()) <= len(before)


PLAIN_USE = """
import gc, sys
from cascade.sandboxes import Case, Program, open_sandbox
with open_sandbox(sys.argv[1], workers=1, spare=False) as box:
    print(box.judge(Program("python", "print(input())"), [Case("1", "1")]).status.value)
gc.collect()
"""


@pytest.mark.parametrize("kind", ["docker", "local"])
def test_pythons_development_mode_finds_nothing_left_open(kind: str) -> None:
    """It reports what closes badly or not at all, which Python otherwise keeps to itself."""
    open_backend(kind, workers=1).close()
    command = [sys.executable, "-X", "dev", "-c", PLAIN_USE, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("accepted\n", "")


@pytest.mark.parametrize("call", ["inspect_image", "containers"])
def test_an_engine_that_dies_while_opening_is_an_error_that_says_so(
    engine: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It answered a moment ago."""

    def die(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("hung up")

    monkeypatch.setattr(type(engine.api), call, die)
    with pytest.raises(SandboxError, match="engine failed: hung up"):
        open_sandbox("docker")


class Unforeseen:
    """A back end that fails in a way that nobody thought of, from its n-th slot on."""

    def __init__(self, inner: Backend, good: int) -> None:
        self._inner, self._good = inner, good
        self.name, self.config, self.versions = inner.name, inner.config, inner.versions
        self.isolation, self.close = inner.isolation, inner.close

    def open(self) -> Any:
        """Open a slot, or fail."""
        self._good -= 1
        if self._good < 0:
            raise RuntimeError("can't start new thread")
        return self._inner.open()


@pytest.mark.parametrize("good", [0, 1])
def test_nobody_waits_for_a_slot_that_does_not_come(good: int) -> None:
    """Neither at the start nor under way: an error that names the cause, and no hang."""
    backend = Unforeseen(open_backend("local", workers=1, spare=False, runs_per_slot=1), good)
    with pytest.raises(SandboxError, match="can't start new thread"):
        _judge_twice(backend)


def _judge_twice(backend: Backend) -> None:
    with Sandbox(backend) as box:
        assert judge_good(box).accepted
        judge_good(box)


def _sockets() -> set[str]:
    return {
        link
        for entry in Path("/proc/self/fd").iterdir()
        if (link := _link(entry)).startswith("socket:")
    }


def _link(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except OSError:
        return ""


def test_opening_reports_what_is_wrong(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    """Each error says what to do; nothing is left running."""
    with pytest.raises(SandboxError, match="cascade-sandbox build"):
        open_sandbox("docker", image="cascade-no-such-image:0")
    monkeypatch.setattr("cascade.sandboxes.docker.IMAGE_VERSION", "0")
    with pytest.raises(SandboxError, match=r"version '\d+', .* needs '0'"):
        open_sandbox("docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxError, match=r"apt-get install docker.io[\s\S]*local"):
        open_sandbox("docker")


def test_a_socket_without_permission_is_named(tmp_path: Path) -> None:
    """The message tells of the group, and of the back end that needs no Docker."""
    socket_path = tmp_path / "docker.sock"
    code = (
        "from cascade.errors import SandboxError\n"
        "from cascade.sandboxes import open_sandbox\n"
        f"os.environ['DOCKER_HOST'] = 'unix://{socket_path}'\n"
        "try: open_sandbox('docker')\n"
        "except SandboxError as error: print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest's own: the next is /tmp
        folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(socket_path))
        listening.listen()
        socket_path.chmod(0o600)
        done = run_as_nobody(code)
    assert "no permission" in done.stdout, done
    assert 'group "docker"' in done.stdout
