"""Sessions for agents: commands, files, a persistent interpreter, snapshots."""

from __future__ import annotations

import pytest

from cascade.errors import ConfigError, SandboxError
from cascade.sandboxes import Limits, Sandbox, Status
from sandbox_cases.good import judge_good


def test_commands_run_one_after_another_on_the_same_files(box: Sandbox) -> None:
    """Files stay from command to command, and are gone in the next session."""
    with box.session() as session:
        assert session.exec("mkdir -p a/b && echo hello > a/b/c.txt").accepted
        assert session.exec(["cat", "a/b/c.txt"]).stdout == b"hello\n"
        assert session.exec("cat", stdin="typed").stdout == b"typed"
        assert session.exec("echo $COLOUR; pwd", env={"COLOUR": "red"}, cwd="a").stdout == (
            b"red\n/tmp/a\n"
        )
        failed = session.exec("echo no >&2; exit 3")
        assert (failed.status, failed.exit_code) == (Status.RUNTIME_ERROR, 3)
        assert failed.stderr == b"no\n"
    for _ in range(3):
        with box.session() as session:
            assert session.exec("ls -A").stdout == b""
    assert judge_good(box).accepted


def test_files_go_in_and_out(box: Sandbox) -> None:
    """Regular files only; links are not followed, names cannot leave the folder."""
    with box.session() as session:
        session.write("deep/er/file.bin", b"\0\xff" * 1000)
        assert session.read("deep/er/file.bin") == b"\0\xff" * 1000
        session.write("run.sh", "#!/bin/sh\necho ran\n", executable=True)
        assert session.exec("./run.sh").stdout == b"ran\n"
        session.exec("ln -s /etc/passwd link; mkfifo pipe; mkdir folder")
        for name in ("link", "pipe", "folder", "missing"):
            with pytest.raises(SandboxError, match="refused"):
                session.read(name)
        with pytest.raises(SandboxError, match="refused"):
            session.write("link", "x")
        for name in ("/etc/passwd", "../x", "a//b", ""):
            with pytest.raises(ConfigError, match="relative"):
                session.read(name)
        with pytest.raises(SandboxError, match="larger"):
            session.read("deep/er/file.bin", limit=10)
        with pytest.raises(SandboxError, match="no such command"):
            session.exec(["no-such-command"])


def test_a_command_keeps_its_limits_and_spares_the_session(box: Sandbox) -> None:
    """What one command exceeds ends that command; files and background processes stay."""
    busy = Limits(cpu_seconds=0.5, wall_seconds=20, memory_bytes=128 << 20)
    short = Limits(cpu_seconds=5, wall_seconds=1, memory_bytes=128 << 20)
    with box.session() as session:
        session.exec("echo kept > kept; sleep 300 & echo $! > pid")
        assert session.exec("while :; do :; done", limits=busy).status is Status.TIME_LIMIT
        assert session.exec("sleep 60", limits=short).status is Status.WALL_LIMIT
        flood = session.exec("yes", limits=busy)
        assert flood.status is Status.OUTPUT_LIMIT
        assert session.read("kept") == b"kept\n"
        assert session.exec("kill -0 $(cat pid)").accepted, "the background process was killed"
        session.reset()
        assert session.exec("ls -A").stdout == b""


def test_snapshots_bring_a_folder_back(box: Sandbox) -> None:
    """Also in another session, with modes and links."""
    with box.session() as session:
        session.write("a/run", "#!/bin/sh\necho one\n", executable=True)
        session.exec("ln -s a/run link; mkfifo pipe")
        saved = session.snapshot()
        session.exec("echo 'echo two' > a/run; rm link; touch new")
        session.reset(saved)
        assert session.exec("./link; ls").stdout == b"one\na\nlink\n"
    with box.session() as session:
        session.reset(saved)
        assert session.exec("a/run").stdout == b"one\n"
        with pytest.raises(SandboxError):
            session.reset(b"this is no archive")


def test_the_interpreter_keeps_its_variables(box: Sandbox) -> None:
    """Output, the last value and the traceback come back; state stays from call to call."""
    with box.session() as session:
        first = session.python("import math\nx = 41\nprint('hello')\nx + 1")
        assert (first.state, first.output) == ("ok", "hello\n42\n")
        assert session.python("x").output == "41\n"
        assert session.python("None").output == ""
        assert session.python("def f(n):\n    return n * math.pi\n").state == "ok"
        error = session.python("f('a' / 2)")
        assert error.state == "error"
        assert "TypeError: unsupported operand" in error.output
        assert "cascade" not in error.output
        assert session.python("(").output.endswith("SyntaxError: '(' was never closed\n")
        assert session.python("exit()").state == "error"
        assert session.python("x").output == "41\n"
        assert session.python("open('made', 'w').write('y')").output == "1\n"
        assert session.exec("cat made").stdout == b"y"


def test_the_interpreter_is_interrupted_and_survives(box: Sandbox) -> None:
    """Out of time, the call gets KeyboardInterrupt; only code that catches it loses its state."""
    with box.session() as session:
        session.python("x = 1")
        late = session.python("while True: pass", seconds=0.5)
        assert (late.state, late.variables_kept) == ("interrupted", True)
        assert session.python("x").output == "1\n"
        stubborn = (
            "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass"
        )
        lost = session.python(stubborn, seconds=0.5)
        assert (lost.state, lost.variables_kept) == ("timeout", False)
        assert "NameError" in session.python("x").output


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("import os; os._exit(1)", "died"),
        ("import os; os.kill(os.getpid(), 9)", "died"),
        ("x = b'x' * (1 << 30)", "memory"),
        ("while True: print('x' * 10000)", "output"),
        ("import os; os.close(4)", "died"),
    ],
)
def test_an_interpreter_that_is_lost_is_replaced(box: Sandbox, code: str, state: str) -> None:
    """The call says what happened, and the next one has a fresh interpreter."""
    limits = Limits(cpu_seconds=20, wall_seconds=10, memory_bytes=256 << 20, processes=64)
    with box.session(limits) as session:
        session.python("y = 1")
        assert session.python(code, output_bytes=4096).state == state
        assert "NameError" in session.python("y").output
        assert session.python("1 + 1").output == "2\n"
    assert judge_good(box).accepted


def test_long_output_is_cut_and_says_so(box: Sandbox) -> None:
    """The beginning is kept."""
    with box.session() as session:
        result = session.python("print('a' * 5000)", output_bytes=1000)
        assert result.truncated
        assert result.output == "a" * 1000
        assert result.state == "ok"


def test_loopback_works_in_a_session_and_leads_nowhere_else(box: Sandbox) -> None:
    """Servers of an agent's tests may listen; the world stays out of reach."""
    code = (
        "import socket\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname())\n"
        "c.sendall(b'hi'); print(s.accept()[0].recv(2))\n"
        "try: socket.create_connection(('1.1.1.1', 80), 0.5)\n"
        "except OSError as error: print('no way')\n"
    )
    with box.session() as session:
        assert session.python(code).output == "b'hi'\nno way\n"


def test_an_error_in_the_block_does_not_harm_the_pool(box: Sandbox) -> None:
    """The slot is thrown away, and others serve on."""
    with pytest.raises(ConfigError), box.session() as session:  # noqa: PT012 - the block is the case
        session.exec("sleep 100 & touch left")
        session.read("/etc/passwd")
    with box.session() as session:
        assert session.exec("ls -A").stdout == b""
    assert judge_good(box).accepted
