"""The helpers that fork: driven as the runner does, barely confined, and in a sandbox."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from cascade.sandboxes import Case, Program, Sandbox
from cascade.sandboxes.inside.confine import Confinement, Rlimits, keep_capabilities
from cascade.sandboxes.inside.fork import ChildEnd, Helper, Request, serve
from cascade.sandboxes.inside.forker import load, serve_compiled
from cascade.sandboxes.inside.launch import CAP_KILL, CAP_SETGID, CAP_SETUID
from cascade.sandboxes.toolchain import compile_helpers
from sandbox_cases.good import judge_good

_USERS = 61_000
"""From here on users are nobody else's, so that the processes of one can be counted."""


class Unconfined(Confinement):
    def enter(self, inet: bool = False) -> None:
        """Give nothing up."""


def _execute(kind: int, argv: list[str]) -> NoReturn:
    os.execv(argv[0], argv)


def _started(serving: Callable[[socket.socket, mmap.mmap], NoReturn]) -> Iterator[Helper]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            serving(theirs, shared)
        finally:
            os._exit(1)
    theirs.close()
    ours.settimeout(20)
    made = Helper(pid, ours, shared)
    yield made
    ours.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.PyDLL:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("needs gcc, which makes the compiled helper")
    loaded = load(compile_helpers(gcc, tmp_path_factory.mktemp("helpers"))[1])
    assert loaded is not None
    return loaded


@pytest.fixture
def helper(request: pytest.FixtureRequest, library: ctypes.PyDLL) -> Iterator[Helper]:
    """The compiled one, as a user whose processes the kernel counts, who may still change users."""
    if os.getuid() != 0:
        pytest.skip("needs root, to have programs run as a user of their own")
    most = getattr(request, "param", 99)
    user = _USERS + most
    confinement = Confinement(user)

    def serving(control: socket.socket, shared: mmap.mmap) -> NoReturn:
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        os.setresuid(user, 0, 0)
        keep_capabilities((CAP_KILL, CAP_SETGID, CAP_SETUID))
        serve_compiled(library, control, shared, confinement, _execute, lambda: None)

    yield from _started(serving)


@pytest.fixture(params=["compiled", "plain"])
def either(request: pytest.FixtureRequest) -> Iterator[Helper]:
    """The compiled one, and the one for machines without a compiler."""
    if request.param == "compiled":
        yield request.getfixturevalue("helper")
        return
    yield from _started(
        lambda control, shared: serve(control, shared, Unconfined(os.getuid()), _execute)
    )


def _ask(
    helper: Helper, script: str, *, cwd: str = "/", detach: bool = False, ahead: bool = True
) -> ChildEnd:
    request = Request(
        1, ["/bin/sh", "-c", script], [], cwd, Rlimits(9, -1, -1, -1, -1),
        detach=detach, ahead=ahead,
    )  # fmt: skip
    null = os.open("/dev/null", os.O_RDWR)
    helper.start(request.pack(), [null, null, null])
    os.close(null)
    return helper.end()


def _code(end: ChildEnd) -> int:
    return os.waitstatus_to_exitcode(end.status)


def test_a_child_is_forked_ahead_only_where_that_was_asked_for(helper: Helper) -> None:
    assert _code(_ask(helper, "exit 3", ahead=False)) == 3
    assert helper.spare() == 0
    assert _code(_ask(helper, "exit 3")) == 3
    seen = set()
    for code in (4, 4, 5):
        waits = helper.spare()
        os.kill(waits, 0)
        seen.add(waits)
        assert _code(_ask(helper, f"exit {code}")) == code
        with pytest.raises(ProcessLookupError):
            os.kill(waits, 0)
    assert len(seen) == 3
    assert _code(_ask(helper, "exit 5", ahead=False)) == 5
    assert helper.spare() == 0


def test_the_request_goes_to_the_child_that_waits(helper: Helper) -> None:
    _ask(helper, "exit 0")
    waits = helper.spare()
    end = _ask(helper, "sleep 60", detach=True)
    assert end.user_us == waits
    assert helper.child() == 0
    assert helper.spare() == 0
    os.kill(waits, signal.SIGKILL)
    helper.wait(waits)
    assert _code(_ask(helper, "exit 6")) == 6


def test_one_that_died_while_it_waited_is_replaced(helper: Helper) -> None:
    _ask(helper, "exit 0")
    for code in (7, 8):
        dead = helper.spare()
        os.kill(dead, signal.SIGKILL)
        assert _wait_for_end(dead) == "Z"
        assert _code(_ask(helper, f"exit {code}")) == code
        assert helper.spare() not in {0, dead}


@pytest.mark.parametrize("detach", [False, True])
def test_one_that_died_with_its_request_untaken_is_no_end_of_a_program(
    helper: Helper, detach: bool
) -> None:
    """Stopped, so that the request is sent before the kill."""
    _ask(helper, "exit 0")
    doomed = helper.spare()
    os.kill(doomed, signal.SIGSTOP)
    killer = threading.Timer(0.2, os.kill, (doomed, signal.SIGKILL))
    killer.start()
    with pytest.raises(EOFError, match="child"):
        _ask(helper, "exit 7", detach=detach)
    killer.join()


def test_a_killed_program_has_its_own_end(either: Helper) -> None:
    _ask(either, "exit 0")
    for _ in range(2):
        assert _code(_ask(either, "kill -9 $$")) == -9


def test_a_detached_child_is_reaped_when_it_was_killed(either: Helper) -> None:
    pid = _ask(either, "sleep 60", detach=True, ahead=False).user_us
    assert either.child() == 0
    os.kill(pid, signal.SIGKILL)
    either.wait(pid)
    assert _state(pid) == ""
    assert _code(_ask(either, "exit 6")) == 6


def test_a_child_has_its_descriptors_and_no_others(either: Helper) -> None:
    for _ in range(2):
        assert _code(_ask(either, "exit $(ls /proc/$$/fd | wc -l)", ahead=False)) in (3, 4)


def test_a_child_that_cannot_be_confined_is_no_end_of_a_program(either: Helper) -> None:
    for ahead in (False, True):
        with pytest.raises(EOFError, match=r"cannot confine the child: .*No such file"):
            _ask(either, "exit 0", cwd="/nowhere", ahead=ahead)
        either.end()


@pytest.mark.parametrize("helper", [2], indirect=True)
def test_where_none_can_be_forked_ahead_each_request_forks_its_own(helper: Helper) -> None:
    for code in (9, 10):
        assert _code(_ask(helper, f"exit {code}")) == code
        assert helper.spare() == 0


@pytest.mark.parametrize("helper", [1], indirect=True)
def test_where_no_child_can_be_forked_the_slot_is_at_fault(helper: Helper) -> None:
    with pytest.raises(EOFError, match="temporarily unavailable"):
        _ask(helper, "exit 0")


def test_it_ends_with_the_runner_and_so_does_the_child_that_waits(helper: Helper) -> None:
    _ask(helper, "exit 0")
    waits = helper.spare()
    helper.control.shutdown(socket.SHUT_RDWR)
    assert _wait_for_end(waits) in {"", "Z"}


_STOPS_ALL = """
import os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        for number in (signal.SIGSTOP, signal.SIGKILL):
            try:
                os.kill(int(name), number)
                print("sent to", name)
            except OSError:
                pass
"""


def test_a_program_cannot_reach_the_child_that_waits_for_the_next_request(cell: Sandbox) -> None:
    """It has another user until its request comes."""
    for _ in range(3):
        report = cell.judge(Program("python", _STOPS_ALL), [Case("", "")])
        assert report.accepted, report.outcomes
        assert judge_good(cell).accepted


def _wait_for_end(pid: int) -> str:
    for _ in range(2000):
        if _state(pid) in {"", "Z"}:
            break
        time.sleep(0.005)
    return _state(pid)


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
