"""The interpreter's code moved into huge pages.

A forked child shares the zygote's memory, but maps the pages of files anew, as it comes upon them:
some fifty faults for a short program, and a thousand pages to let go of at its end. Code in a huge
page is anonymous memory, which a fork hands on with one entry for two megabytes.
"""

from __future__ import annotations

import ctypes
import mmap

from cascade.sandboxes.inside.confine import libc

__all__ = ["move_code"]

_HUGE = 2 << 20
_MADV_HUGEPAGE = 14
_MREMAP_MAYMOVE, _MREMAP_FIXED = 1, 2


def move_code() -> bool:
    """Move what lies between whole huge pages; False where the kernel gives none.

    Costs the moved size in memory (4 MiB for Debian's interpreter). Only before threads start.
    """
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    start, end = _code_region()
    start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
    size = end - start
    if size <= 0:
        return False
    room = libc.mmap(
        None, _long(size + _HUGE), mmap.PROT_READ | mmap.PROT_WRITE,
        mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, _long(0),
    )  # fmt: skip
    if room in (None, ctypes.c_void_p(-1).value):
        return False
    copy = -(-room // _HUGE) * _HUGE
    libc.madvise(_pointer(copy), _long(size), _MADV_HUGEPAGE)
    ctypes.memmove(copy, start, size)
    if _huge_bytes(copy) < size or libc.mprotect(
        _pointer(copy), _long(size), mmap.PROT_READ | mmap.PROT_EXEC
    ):
        libc.munmap(_pointer(room), _long(size + _HUGE))
        return False
    # This very call returns to code that has moved: it is the same, at the same place.
    moved = libc.mremap(
        _pointer(copy), _long(size), _long(size), _MREMAP_MAYMOVE | _MREMAP_FIXED, _pointer(start)
    )
    return bool(moved == start)


def _code_region() -> tuple[int, int]:
    """Bounds of the interpreter's code with the constants around it; equal if it is no file's."""
    inside = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value or 0
    start = end = 0
    found = ""
    for low, high, access, path in _mappings():
        if not found or path != found or "w" in access or low != end:
            if start <= inside < end:
                break
            start, found = low, path if "w" not in access else ""
        end = high
    return (start, end) if found else (0, 0)


def _mappings() -> list[tuple[int, int, str, str]]:
    """Start, end, access and file of everything mapped, in the order of addresses."""
    found = []
    with open("/proc/self/maps") as file:
        for line in file:
            bounds, access, _, _, _, *path = line.split(None, 5)
            low, high = bounds.split("-")
            found.append((int(low, 16), int(high, 16), access, "".join(path).rstrip("\n")))
    return found


def _huge_bytes(address: int) -> int:
    """How much of the mapping that starts at `address` lies in huge pages."""
    head = f"{address:x}-"
    here = False
    with open("/proc/self/smaps") as file:
        for line in file:
            if "-" in line.partition(" ")[0]:
                here = line.startswith(head)
            elif here and line.startswith("AnonHugePages:"):
                return int(line.split()[1]) << 10
    return 0


def _long(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


def _pointer(value: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(value)
