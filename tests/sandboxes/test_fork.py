"""The helper that forks: driven as the runner does, unconfined, and in a sandbox."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cascade.sandboxes import Case, Program, Sandbox
from cascade.sandboxes.inside.confine import Confinement, Rlimits
from cascade.sandboxes.inside.fork import EXEC, ChildEnd, Helper, Request, serve
from sandbox_cases.good import judge_good

_REFUSE = 100
"""Where in the shared page a test says that no process can be made any more."""


class Unconfined(Confinement):
    def enter(self, inet: bool = False) -> None:
        """Give nothing up."""


def _serve(control: socket.socket, shared: mmap.mmap) -> None:
    fork = os.fork

    def counted() -> int:
        if shared[_REFUSE]:
            shared[_REFUSE] -= 1
            raise BlockingIOError(11, "no more processes")
        return fork()

    os.fork = counted
    serve(control, shared, Unconfined(os.getuid()), None)


@pytest.fixture
def helper() -> Iterator[Helper]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            _serve(theirs, shared)
        finally:
            os._exit(1)
    theirs.close()
    ours.settimeout(20)
    made = Helper(pid, ours, shared)
    yield made
    ours.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _ask(helper: Helper, script: str, *, detach: bool = False, ahead: bool = True) -> ChildEnd:
    request = Request(
        EXEC, ["/bin/sh", "-c", script], [], "/", Rlimits(9, -1, -1, -1, -1),
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


def test_a_killed_program_has_its_own_end(helper: Helper) -> None:
    _ask(helper, "exit 0")
    for _ in range(2):
        assert _code(_ask(helper, "kill -9 $$")) == -9


def test_where_none_can_be_forked_ahead_the_next_request_forks_its_own(helper: Helper) -> None:
    _ask(helper, "exit 0")
    helper._shared[_REFUSE] = 1
    assert _code(_ask(helper, "exit 9")) == 9
    assert helper.spare() == 0
    assert _code(_ask(helper, "exit 10")) == 10
    assert helper.spare() != 0


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
