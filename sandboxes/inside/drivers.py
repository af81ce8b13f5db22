"""What a forked Python child does: run a script, call a function, run tests, answer calls.

Everything a driver needs afterwards is captured before the program's first line runs, because
that line may replace any module. What a driver writes can still be forged by the program in the
same process: only what is compared outside, or confirmed by a control, is believed.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import struct
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from cascade.sandboxes.inside.plain import NotPlainError, decode, encode
from cascade.sandboxes.inside.repl import KIND as REPL
from cascade.sandboxes.inside.repl import converse
from cascade.sandboxes.inside.tester import KIND as TESTER
from cascade.sandboxes.inside.tester import run_tests

__all__ = [
    "CALL",
    "REPL",
    "SCRIPT",
    "SERVE",
    "TESTER",
    "TESTS",
    "drive",
    "prepare_main",
    "run_driver",
]

SCRIPT, CALL, TESTS, SERVE = 1, 2, 3, 4
INPUT_FD, RESULT_FD = 3, 4
_SIZE = struct.Struct("<I")


def prepare_main() -> None:
    """Make what a program finds as its main module, in the zygote and not in each child."""
    main = types.ModuleType("__main__")
    main.__file__ = ""
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    sys.argv = [""]
    sys.path.insert(0, "")


def run_driver(kind: int, argv: list[str]) -> NoReturn:
    """Run the driver `kind` on the program argv[0]; ends the process."""
    gc.enable()
    finish(lambda: drive(kind, argv))


def drive(kind: int, argv: list[str]) -> None:
    """Run the driver `kind` on the program argv[0]."""
    main = sys.modules["__main__"]
    main.__file__ = sys.argv[0] = argv[0]
    sys.argv += argv[1:]
    sys.path[0] = argv[0].rpartition("/")[0]
    _DRIVERS[kind](main, argv)


def finish(body: Callable[[], None]) -> NoReturn:
    """Run `body` and end the process as the interpreter would, without tearing it down."""
    code = 0
    try:
        body()
    except SystemExit as error:
        code = _exit_code(error.code)
    except BaseException as error:  # noqa: BLE001 - this is the top of a program's stack
        code = 1
        _print_error(error)
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001 - likewise
        _print_error(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120
    os._exit(code)


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _print_error(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith("<cascade"):
        trace = trace.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException:  # noqa: BLE001 - a program may have replaced the hook by anything
        os.write(2, b"error in sys.excepthook\n")


def _load(path: str, namespace: dict[str, Any]) -> None:
    # Not by `open`: a buffered file would touch, and so copy, ten pages more. In small pieces:
    # for a large one the C library maps memory and unmaps it again, 0.1 ms in all.
    fd = os.open(path, os.O_RDONLY)
    parts = []
    while part := os.read(fd, 1 << 14):
        parts.append(part)
    os.close(fd)
    exec(compile(b"".join(parts), path, "exec", dont_inherit=True), namespace)


def _script(main: types.ModuleType, argv: list[str]) -> None:
    _load(argv[0], main.__dict__)


def _read_spec() -> Any:
    with open(INPUT_FD, "rb") as file:
        return decode(file.read())


def _lookup(main: types.ModuleType, name: str) -> Any:
    """Find `f`, or `C.f` as a method of a new C()."""
    owner, _, method = name.rpartition(".")
    if not owner:
        return getattr(main, name)
    return getattr(getattr(main, owner)(), method)


def _call(main: types.ModuleType, argv: list[str]) -> None:
    """Load the program, call one function, send the value as plain data."""
    spec = _read_spec()
    write, close = os.write, os.close
    pack, dumps = encode, json.dumps
    main.__name__ = spec["module"]
    _load(argv[0], main.__dict__)
    value = _lookup(main, spec["function"])(*spec["args"], **spec["kwargs"])
    try:
        data = b"v" + pack(value, dumps)
    except NotPlainError as error:
        data = b"x" + str(error).encode("utf-8", "replace")
    view = memoryview(data)
    while view:
        view = view[write(RESULT_FD, view) :]
    close(RESULT_FD)


def _tests(main: types.ModuleType, argv: list[str]) -> None:
    """Load the program, then test code in the same namespace; send the token at the end.

    The token comes last and only once, so a program that ends the process early has none to show.
    """
    spec = _read_spec()
    write, run, build = os.write, exec, compile
    _load(argv[0], main.__dict__)
    main.__dict__["__twist__"] = twist
    run(build(spec["tests"], "<tests>", "exec", dont_inherit=True), main.__dict__)
    write(RESULT_FD, spec["token"].encode())


def twist(value: Any) -> Any:
    """Return a value of the same type that differs; for negative controls."""
    kind = type(value)
    if kind is bool:
        return not value
    if kind in (int, float, complex):
        return value * 2 + 13
    if kind in (str, bytes):
        return value + (b"~twist" if kind is bytes else "~twist")
    if kind in (list, tuple):
        return value + kind(["~twist"])
    if kind in (set, frozenset):
        return value | {"~twist"}
    if kind is dict:
        return {**value, "~twist": 0}
    return "~twist" if value is None else None


def _serve(main: types.ModuleType, argv: list[str]) -> None:
    """Load the program, then answer calls that come over the input, one frame for one frame.

    The caller sits in another sandbox and holds the tests; here only arguments are seen.
    """
    read, write = os.read, os.write
    pack, unpack, dumps = encode, decode, json.dumps
    frame = _SIZE

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = read(INPUT_FD, count - len(data))
            if not more:
                os._exit(0)
            data += more
        return data

    def answer(data: bytes) -> None:
        view = memoryview(frame.pack(len(data)) + data)
        while view:
            view = view[write(RESULT_FD, view) :]

    try:
        _load(argv[0], main.__dict__)
    except BaseException as error:
        answer(b"e" + pack([type(error).__name__, str(error)[:500]], dumps))
        raise
    answer(b"r")
    while True:
        name, args, kwargs = unpack(exactly(frame.unpack(exactly(4))[0]))
        try:
            value = _lookup(main, name)(*args, **kwargs)
            data = b"v" + pack(value, dumps)
        except NotPlainError as error:
            data = b"x" + str(error).encode("utf-8", "replace")
        except Exception as error:  # noqa: BLE001 - travels to the tests, which may expect it
            data = b"e" + pack([type(error).__name__, str(error)[:500]], dumps)
        answer(data)


_DRIVERS: dict[int, Callable[[types.ModuleType, list[str]], None]] = {
    SCRIPT: _script,
    CALL: _call,
    TESTS: _tests,
    SERVE: _serve,
    REPL: converse,
    TESTER: run_tests,
}
