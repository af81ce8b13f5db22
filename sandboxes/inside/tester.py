"""Unit tests that reach the program they test only by messages.

The tests run here, in a sandbox of their own; each name they use but do not define is a proxy
for a function of the program, which sits in another sandbox and receives plain arguments. What
comes back is plain data too, so no object of the program ever meets an assertion.
"""

from __future__ import annotations

import builtins
import os
import struct
import sys
import types
from typing import TYPE_CHECKING, Any, NoReturn

from cascade.sandboxes.inside.plain import NotPlainError, decode, encode

if TYPE_CHECKING:  # imported where tests run: the zygote would carry it into every program
    import ast

__all__ = ["CODES", "KIND", "run_tests"]

KIND = 6
CODES = {"failed": 10, "no_calls": 11, "not_plain": 12, "tampered": 13, "ended": 14, "broken": 15}
"""Exit codes of the tests' process; 0 means that they passed."""
_SIZE = struct.Struct("<I")


class _StopError(BaseException):
    """Ends the tests with one of `CODES`; no `except Exception` of a test catches it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Remote:
    """The program on the other end of the wire."""

    def __init__(self) -> None:
        self.calls = 0

    def receive(self) -> bytes:
        head = self._exactly(_SIZE.size)
        size = _SIZE.unpack(head)[0]
        if size > 1 << 28:
            raise _StopError("tampered", f"a frame of {size} bytes")
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            data = os.read(3, min(count, 1 << 20))
            if not data:
                raise _StopError("ended", "the program ended before its tests did")
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            data = encode((name, list(args), kwargs))
        except NotPlainError as error:
            raise _StopError("not_plain", f"the tests pass {error}") from None
        view = memoryview(_SIZE.pack(len(data)) + data)
        self.calls += 1
        try:
            while view:
                view = view[os.write(4, view) :]
        except OSError:
            raise _StopError("ended", "the program ended before its tests did") from None
        return self._value(self.receive())

    def _value(self, answer: bytes) -> Any:
        kind, body = answer[:1], answer[1:]
        if kind == b"x":
            raise AssertionError("the function returned no plain data: " + body.decode())
        try:
            if kind == b"v":
                return decode(body)
            if kind == b"e":
                name, text = decode(body)
                raise _exception(name)(text)
        except NotPlainError as error:
            raise _StopError("tampered", f"a forged answer: {error}") from None
        raise _StopError("tampered", f"a forged answer {answer[:40]!r}")


def _exception(name: str) -> type[Exception]:
    """The built-in exception of that name, so that tests may expect it; else RuntimeError."""
    found = getattr(builtins, str(name), None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            found("")
        except TypeError:
            return RuntimeError
        return found
    return RuntimeError


def _proxy(remote: _Remote, name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        return remote.call(name, args, kwargs)

    call.__name__ = call.__qualname__ = name
    return call


def _free_names(tree: ast.AST) -> set[str]:
    """Names that the tests load and nowhere define."""
    import ast

    loaded: set[str] = set()
    bound = set(dir(builtins)) | {"__name__", "__file__", "__doc__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return loaded - bound


def run_tests(main: types.ModuleType, argv: list[str]) -> None:
    """In the child: run the tests in argv[0] against the program behind descriptors 3 and 4."""
    import ast
    import traceback

    remote = _Remote()
    try:
        with open(argv[0], "rb") as file:
            tree = ast.parse(file.read(), "<tests>")
        code = compile(tree, "<tests>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        _end("broken", f"the tests do not parse: {error}")
    try:
        first = remote.receive()
        if first[:1] == b"e":
            _end("ended", "the program failed while it was loaded")
        if first != b"r":
            _end("tampered", f"a forged greeting {first[:40]!r}")
        for name in _free_names(tree):
            main.__dict__[name] = _proxy(remote, name)
        exec(code, main.__dict__)
    except _StopError as error:
        _end(error.code, str(error))
    except BaseException:  # noqa: BLE001 - any failure of a test is its verdict
        text = traceback.format_exc(limit=-3)
        _end("failed", text)
    if not remote.calls:
        _end("no_calls", "the tests never called the program")


def _end(code: str, text: str) -> NoReturn:
    sys.stdout.flush()
    os.write(2, text.encode("utf-8", "replace")[-4000:])
    os._exit(CODES[code])
