"""The worker process of `pool`: reads requests from stdin, writes replies to stdout.

Run as ``python -m cascade.verifiers.symbolic_worker``, never imported by the caller. Frames are a
4-byte big-endian length and UTF-8 JSON. The first frame sent says "ready", so that the time to
start and import is nobody's deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

MEMORY_BYTES = 2 << 30
"""Address space of a worker: an answer that needs more kills it, not the machine."""
RETIRE_BYTES = 1 << 30
"""A worker that has grown beyond this ends after its reply and is replaced."""


def main() -> None:
    """Serve requests until stdin closes, which also happens when the caller dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing a library prints may reach the replies
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from cascade.verifiers import symbolic  # noqa: F401 - imported before "ready", on no deadline

    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.RLIM_INFINITY))
    _write(replies, {"ready": True})
    while (request := _read(sys.stdin.buffer)) is not None:
        _limit_cpu(request["timeout_seconds"])
        _write(replies, _answer(request))
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > RETIRE_BYTES:
            return


def _limit_cpu(timeout_seconds: float) -> None:
    """Have the kernel end this process if nobody is left to do it at the deadline.

    A computation in C holds the interpreter, so neither a watching thread nor the end of stdin
    would be noticed; CPU time is counted whatever runs.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(usage.ru_utime + usage.ru_stime + timeout_seconds) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from cascade.verifiers.policy import Policy
    from cascade.verifiers.symbolic import GoldTooLarge, compare

    try:
        difference = compare(request["gold"], request["answer"], Policy(**request["policy"]))
    except GoldTooLarge as error:
        return {"fault": str(error)}
    except MemoryError:
        return {"fault": f"the comparison needs more than {MEMORY_BYTES >> 20} MiB"}
    except RecursionError:
        return {"fault": "the comparison is nested too deeply"}
    except Exception as error:  # noqa: BLE001 - the process boundary: a library's failure is a FAULT
        return {"fault": f"the comparison failed: {type(error).__name__}: {str(error)[:200]}"}
    return {"difference": difference}


def _read(stream: BinaryIO) -> dict[str, Any] | None:
    header = stream.read(4)
    if len(header) < 4:
        return None
    (length,) = struct.unpack(">I", header)
    body = stream.read(length)
    return json.loads(body) if len(body) == length else None


def _write(stream: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


if __name__ == "__main__":
    main()
