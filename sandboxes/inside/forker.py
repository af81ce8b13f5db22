"""The compiled helper in the zygote: `spawner.c` as a library, which does what `fork.serve` does.

Python code that runs between the fork and the program writes to many pages, if only to count
references, and each is copied. The library comes back to Python in the child, confined, when the
program is about to start.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
from collections.abc import Callable
from typing import NoReturn

from cascade.sandboxes.inside.confine import Confinement, FilterProgram
from cascade.sandboxes.inside.fork import MAX_MESSAGE, Runner, begin

__all__ = ["load", "serve_compiled"]

PATH = "/opt/cascade/forker.so"
_LAYOUT = 1
_HOOKS = ("PyOS_BeforeFork", "PyOS_AfterFork_Parent", "PyOS_AfterFork_Child")


class _Config(ctypes.Structure):
    _fields_ = [
        ("uid", ctypes.c_long),
        ("landlock", ctypes.c_int),
        ("drop", ctypes.c_int),
        ("filters", FilterProgram * 2),
    ]


def load(brought: bytes | None) -> ctypes.PyDLL | None:
    """Load the library, the client's or the image's; None if there is none for this machine."""
    memory = -1
    path = PATH
    if brought is not None:
        memory = os.memfd_create("forker", os.MFD_CLOEXEC)
        os.write(memory, brought)
        path = f"/proc/self/fd/{memory}"
    try:
        library = ctypes.PyDLL(path)
        layout = ctypes.c_int.in_dll(library, "forker_layout").value
    except (OSError, ValueError):
        return None
    finally:
        if memory >= 0:
            os.close(memory)
    return library if layout == _LAYOUT else None


def serve_compiled(
    library: ctypes.PyDLL,
    control: socket.socket,
    shared: mmap.mmap,
    confinement: Confinement,
    run: Runner,
    seed: Callable[[], object] | None,
) -> NoReturn:
    """Fork for the runner until it goes away.

    Args:
        library: from `load`.
        control: where requests come from.
        shared: a page that the runner sees too: the child that runs and the one that waits.
        confinement: of the children.
        run: runs drivers.
        seed: what a child must call; None: the interpreter's own hooks, around each fork.
    """
    page = (ctypes.c_int * 2).from_buffer(shared)
    uid = -1 if confinement.uid is None else confinement.uid
    filters = [FilterProgram(len(code or b"") // 8, code) for code in confinement.filters]
    config = _Config(
        uid, confinement.landlock, confinement.drop_capabilities, (FilterProgram * 2)(*filters)
    )
    hooks = (ctypes.c_void_p * 3)()
    if seed is None:
        for index, name in enumerate(_HOOKS):
            hooks[index] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    place = ctypes.c_void_p.in_dll(library, "forker_request").value
    assert place is not None
    request = memoryview((ctypes.c_char * MAX_MESSAGE).from_address(place)).cast("B")
    shared.madvise(mmap.MADV_DONTFORK)
    size = library.forker_serve(control.fileno(), page, ctypes.byref(config), hooks)
    if seed is not None:
        seed()
    begin(bytes(request[:size]), run)
    raise AssertionError("a driver came back")
