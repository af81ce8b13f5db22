"""The parts that need no sandbox: data, comparisons, encoding, frames, filters, settings."""

from __future__ import annotations

import math
import os
import pickle
import signal
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cascade.errors import ConfigError, SandboxError, UnknownNameError
from cascade.sandboxes import (
    Call,
    Case,
    Exact,
    Floats,
    JsonValue,
    Limits,
    Lines,
    Outcome,
    Program,
    Report,
    Same,
    SandboxConfig,
    Status,
    Tokens,
    Unordered,
    open_sandbox,
)
from cascade.sandboxes.classify import classify
from cascade.sandboxes.inprocess import make_control
from cascade.sandboxes.inside.plain import NotPlainError, decode, encode
from cascade.sandboxes.inside.seccomp import (
    build_common_filter,
    build_filter,
    build_socket_filter,
)
from cascade.sandboxes.inside.wire import Inbox, pack
from cascade.sandboxes.languages import LANGUAGES, find_language
from cascade.sandboxes.link import Demultiplexer
from cascade.sandboxes.slot import Raw
from cascade.sandboxes.verdicts import worst


@pytest.mark.parametrize(
    ("arguments", "said"), [(((1,), 2), "expected=…"), ((1,), "must be a tuple, got 1")]
)
def test_arguments_of_a_call_in_the_wrong_place_are_named(
    arguments: tuple[Any, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        Call(*arguments)


A, W, PE = Status.ACCEPTED, Status.WRONG_ANSWER, Status.PRESENTATION_ERROR


@pytest.mark.parametrize(
    ("compare", "expected", "actual", "status"),
    [
        (Tokens(), b"1 2\n", b"1\t2", A),
        (Tokens(), b"1 2", b"12", W),
        (Tokens(), b"Yes", b"yes", W),
        (Tokens(), b"", b"\n", A),
        (Tokens(), b"1", b"", W),
        (Tokens(), b"1", b"1\x001", W),
        (Exact(), b"a\n", b"a\n", A),
        (Exact(), b"a\n", b"a", PE),
        (Exact(), b"a", b"b", W),
        (Lines(), b"a \nb\n\n", b"a\nb", A),
        (Lines(), b"a b", b"a  b", W),
        (Floats(abs=1e-6), b"1.0 x", b"1.0000005 x", A),
        (Floats(abs=1e-6), b"1.0", b"1.00001", W),
        (Floats(rel=1e-6), b"1e9", b"1000000500", A),
        (Floats(abs=1e9), b"nan", b"0", W),
        (Floats(abs=1e9), b"0", b"nan", W),
        (Floats(abs=1e9), b"0", b"inf", W),
        (Floats(abs=1e9), b"1", b"0x1", W),
        (Floats(abs=1e9), b"1", b"1_0", W),
        (Floats(abs=1), b"1", b"1 1", W),
        (Unordered(), b"b\na\na", b"a\nb\na\n", A),
        (Unordered(), b"a\nb", b"a\na", W),
        (Unordered(words=True), b"a b\nc", b"c a b", A),
        (JsonValue(), b'{"a": [1, 2.0]}', b'{ "a" : [1,2] }', A),
        (JsonValue(), b"[1]", b"[true]", W),
        (JsonValue(), b"[1]", b"[1", W),
        (JsonValue(), b"[1]", b"[" * 100_000, W),
        (JsonValue(abs=0.1), b"[1]", b"[1.05]", A),
    ],
)
def test_outputs_are_compared_as_the_task_says(
    compare: Any, expected: bytes, actual: bytes, status: Status
) -> None:
    assert compare(expected, actual) is status


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, None, True),
        ([1, 2], (1, 2), False),
        ({1: [2]}, {1: [2]}, True),
        ({1: 2}, {True: 2}, True),
        (math.nan, math.nan, False),
        ("a", b"a", False),
        ({1, 2}, {2, 1}, True),
        ({1}, frozenset({1}), False),
        (10**400, 1.0, False),
        (2**60 + 1, 2**60, False),
    ],
)
def test_values_are_the_same_only_in_kind_and_content(
    expected: object, actual: object, equal: bool
) -> None:
    assert Same()(expected, actual) is equal


def test_values_may_differ_where_the_task_allows_it() -> None:
    assert Same(tuples_are_lists=True)([(1, [2])], [[1, (2,)]])
    assert Same(unordered=True)([1, 2, 2], (2, 1, 2))
    assert not Same(unordered=True)([1, 2, 2], [1, 1, 2])
    assert Same(abs=0.1)([1.0, {"a": 2.0}], [1.05, {"a": 2.0}])
    assert not Same(abs=0.1)([1], [2])


@pytest.mark.parametrize("bad", [{"rel": -1.0}, {"abs": math.inf}, {"rel": math.nan}, {}])
def test_meaningless_tolerances_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Floats(**bad)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
@example(-0.0)
def test_plain_data_survives_the_wall(value: object) -> None:
    """What goes through comes out equal, and of the same exact types."""
    assert decode(encode(value)) == value
    assert repr(decode(encode(value))) == repr(value)


def test_only_the_data_of_an_object_crosses_the_wall() -> None:
    """A subclass leaves as the builtin under it, whatever its methods say."""

    class Liar(list):  # type: ignore[type-arg]
        __class__ = dict  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

        def __iter__(self) -> Any:
            return iter([42])

        __hash__ = None

    sent = decode(encode(Liar([1, 2])))
    assert type(sent) is list
    assert sent == [1, 2]
    for foreign in (object(), lambda: 1, iter([]), range(3), Exception()):
        with pytest.raises(NotPlainError):
            encode(foreign)
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotPlainError, match="deep"):
        encode(loop)


@given(st.binary(max_size=60))
def test_forged_bytes_are_refused_and_never_crash(data: bytes) -> None:
    try:
        decode(data)
    except NotPlainError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"[1]",
        b'{"l":',
        b'{"z":1}',
        b'{"l":[{}]}',
        b"[" * 100_000,
        b'{"i":"x"}',
        b'{"s":[{"l":[]}]}',
    ],
)
def test_what_encode_never_makes_is_refused(data: bytes) -> None:
    with pytest.raises(NotPlainError):
        decode(data)


@given(
    st.lists(st.tuples(st.dictionaries(st.text(), st.integers()), st.binary()), max_size=5),
    st.integers(1, 30),
)
def test_frames_survive_any_cutting_of_the_stream(frames: list[Any], size: int) -> None:
    stream = b"".join(pack(header, body) for header, body in frames)
    inbox, found = Inbox(), []
    for start in range(0, len(stream), size):
        found += inbox.feed(stream[start : start + size])
    assert found == frames


def test_absurd_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frame"):
        Inbox().feed(struct.pack("<II", 1 << 31, 0))
    with pytest.raises(ValueError, match="Expecting"):
        Inbox().feed(struct.pack("<II", 3, 0) + b"abc")


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary()), max_size=8), st.integers(1, 20))
def test_dockers_stream_is_taken_apart(parts: list[tuple[int, bytes]], size: int) -> None:
    stream = b"".join(struct.pack(">B3xI", kind, len(body)) + body for kind, body in parts)
    taken = Demultiplexer()
    out = b"".join(taken.feed(stream[i : i + size]) for i in range(0, len(stream), size))
    assert out == b"".join(body for kind, body in parts if kind == 1)
    assert taken.stderr == b"".join(body for kind, body in parts if kind == 2)[-4096:]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"cpu_seconds": 0}, "cpu_seconds"),
        ({"cpu_seconds": math.nan}, "cpu_seconds"),
        ({"wall_seconds": -1}, "wall_seconds"),
        ({"memory_bytes": 1000}, "memory_bytes"),
        ({"output_bytes": 0}, "output_bytes"),
        ({"processes": 0}, "processes"),
        ({"open_files": 1}, "open_files"),
        ({"file_bytes": -1}, "file_bytes"),
    ],
)
def test_contradictory_limits_are_refused(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Limits(**bad)


def test_the_wall_limit_leaves_room_for_the_cpu_limit() -> None:
    assert Limits(cpu_seconds=2).wall == 6
    assert Limits(cpu_seconds=0.1).wall == 2.1
    assert Limits(cpu_seconds=2, wall_seconds=1).wall == 1


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", "a\0b", "./x", "a//b"])
def test_file_names_cannot_leave_their_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="file name"):
        Program("c", "", files={name: ""})
    with pytest.raises(ConfigError, match="file name"):
        Case(files={name: ""})


def test_inputs_have_a_largest_size() -> None:
    with pytest.raises(ConfigError, match="at most"):
        Program("python", "x" * ((16 << 20) + 1))
    with pytest.raises(ConfigError, match="at most"):
        Case(b"x" * ((256 << 20) + 1))


@pytest.mark.parametrize("bad", [{"workers": 0}, {"memory_bytes": 1}, {"retries": -1}])
def test_impossible_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SandboxConfig(**bad)


def test_opening_names_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match='"docker", "local" or "auto"'):
        open_sandbox("podman")
    with pytest.raises(ConfigError, match="wrokers"):
        open_sandbox("local", wrokers=2)
    with pytest.raises(ConfigError, match="not both"):
        open_sandbox("local", config=SandboxConfig(), workers=2)
    with pytest.raises(SandboxError, match="levels are"):
        open_sandbox("local", level="strongest")


def raw(**changes: Any) -> Raw:
    """A run that ended well, but for `changes`."""
    base: dict[str, Any] = {
        "status": 0, "cpu": 0.1, "wall": 0.2, "peak": 1 << 20, "stdout": b"", "stderr": b"",
        "result": b"", "written": (0, 0, 0),
    }  # fmt: skip
    return Raw(**{**base, **changes})


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Status.ACCEPTED),
        ({"status": 256}, Status.RUNTIME_ERROR),
        ({"status": 137 << 8}, Status.RUNTIME_ERROR),
        ({"status": signal.SIGKILL}, Status.RUNTIME_ERROR),
        ({"status": signal.SIGSYS, "oom_kills": 1}, Status.SECURITY_VIOLATION),
        ({"status": signal.SIGKILL, "oom_kills": 1, "killed_by": "cpu"}, Status.MEMORY_LIMIT),
        ({"status": 0, "peak": 1 << 40}, Status.MEMORY_LIMIT),
        ({"status": 256, "stderr": b"...\nMemoryError"}, Status.MEMORY_LIMIT),
        ({"status": 0, "stderr": b"MemoryError"}, Status.ACCEPTED),
        ({"status": 9, "killed_by": "cpu"}, Status.TIME_LIMIT),
        ({"status": signal.SIGXCPU}, Status.TIME_LIMIT),
        ({"status": 9, "killed_by": "wall"}, Status.WALL_LIMIT),
        ({"status": 9, "killed_by": "output"}, Status.OUTPUT_LIMIT),
        ({"status": 256, "full": True}, Status.FILE_LIMIT),
        ({"status": signal.SIGXFSZ}, Status.FILE_LIMIT),
        ({"status": 0, "error": 8}, Status.RUNTIME_ERROR),
    ],
)
def test_what_was_observed_decides_in_the_stated_order(
    changes: dict[str, Any], status: Status
) -> None:
    assert classify(raw(**changes), Limits())[0] is status


def test_a_programs_status_is_its_first_failure_but_faults_come_first() -> None:
    def of(*statuses: Status) -> Status:
        return worst([Outcome(status) for status in statuses])

    assert of() is Status.BAD_TASK
    assert of(Status.SKIPPED) is Status.BAD_TASK
    assert of(A, A) is A
    assert of(A, Status.SKIPPED) is A
    assert of(A, W, Status.TIME_LIMIT) is W
    assert of(W, Status.FAULT) is Status.FAULT
    assert of(W, Status.TAMPERED, A) is Status.TAMPERED


def test_reports_without_a_verdict_give_no_reward() -> None:
    good = Outcome(A, score=1.0)
    for status in (Status.FAULT, Status.BAD_TASK, Status.TAMPERED):
        assert Report(status, (good, good)).fraction == 0.0
    assert Report(W, (good, Outcome(W))).fraction == 0.5
    assert pickle.loads(pickle.dumps(Report(A, (good,)))).fraction == 1.0


@pytest.mark.parametrize("inet", [False, True])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_program_the_kernel_takes(machine: str, inet: bool) -> None:
    """Every jump lands inside, and the last instruction returns."""
    code = build_filter(inet, machine)
    assert code is not None
    instructions = list(struct.iter_unpack("<HBBI", code))
    assert instructions[-1][0] == 0x06
    for at, (op, yes, no, _) in enumerate(instructions):
        if op & 0x07 == 0x05:
            assert at + 1 + max(yes, no) < len(instructions)
    assert build_filter(machine="riscv64") is None
    assert build_filter(True, machine) != build_filter(False, machine)


def _answer(code: bytes | None, call: dict[int, int]) -> int:
    """What the kernel would do with a call, given as 32-bit words by their offset."""
    assert code is not None
    instructions = list(struct.iter_unpack("<HBBI", code))
    at = register = 0
    while True:
        op, yes, no, value = instructions[at]
        if op == 0x06:
            return int(value)
        if op == 0x20:
            register = call.get(value, 0)
        else:
            true = {0x15: register == value, 0x35: register >= value, 0x45: register & value}[op]
            at += yes if true else no
        at += 1


@pytest.mark.parametrize("inet", [False, True])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_two_parts_of_the_filter_refuse_what_the_whole_refuses(
    machine: str, inet: bool
) -> None:
    """The kernel asks both parts, and takes the harder answer: killing, then errors, then leave."""
    whole = build_filter(inet, machine)
    parts = (build_common_filter(machine), build_socket_filter(inet, machine))
    hardness = {0x80000000: 2, 0x7FFF0000: 0}
    arguments = (0, 1, 2, 10, 16, 0x11, 0x10000000, 0x5412, 0x541C)
    refused = 0
    for arch in (0xC000003E, 0xC00000B7, 0x40000003):
        for number in (*range(470), 0x40000001):
            for argument in arguments:
                call = {0: number, 4: arch, 16: argument, 24: argument}
                answers = [_answer(part, call) for part in parts]
                expected = _answer(whole, call)
                assert max(answers, key=lambda answer: hardness.get(answer, 1)) == expected
                refused += expected != 0x7FFF0000
    assert refused > 1000
    assert build_common_filter("riscv64") is build_socket_filter(inet, "riscv64") is None


def test_languages_are_found_by_their_names_and_aliases() -> None:
    assert find_language("C++").name == "cpp17"
    assert find_language("python3").name == "python"
    with pytest.raises(UnknownNameError, match="rust"):
        find_language("rusty")
    java = LANGUAGES["java"].rename
    assert java is not None
    assert java(b"public final class Foo {}") == "Foo.java"
    assert (
        java(b"class Helper {} class App { public static void main(String[] a) {} }") == "App.java"
    )
    assert java(b"") == "Main.java"


def test_a_control_falsifies_one_assertion() -> None:
    """Honest programs fail it; tests that do not parse have none."""
    import random

    tests = "def f(x): return x\nassert f(1) == 1\nassert f([1])\n"
    seen = {make_control(tests, random.Random(i)).source for i in range(8)}  # type: ignore[union-attr]
    assert len(seen) == 2
    for source in seen:
        with pytest.raises(AssertionError):
            exec(source, {"__twist__": lambda value: value + 1})
    bare = make_control("f(1)", random.Random(0))
    assert bare is not None
    assert "assert" in bare.source
    assert make_control("assert (", random.Random(0)) is None


def test_importing_the_package_is_quick_and_starts_nothing() -> None:
    """No Docker client, no process and no thread before a sandbox is opened."""
    import subprocess
    import sys

    code = (
        "import sys, threading, cascade.sandboxes\n"
        "print('docker' in sys.modules, 'torch' in sys.modules, threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout.split() == ["False", "False", "1"]
