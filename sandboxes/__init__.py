"""Run untrusted programs, safely. Knows commands, files and limits; nothing of tasks or models.

::

    from cascade.sandboxes import Case, Limits, Program, open_sandbox

    with open_sandbox("docker", workers=2) as box:
        report = box.judge(
            Program(language="python", source=code),
            [Case(stdin="1 2", expected="3")],
            Limits(cpu_seconds=2, memory_bytes=256 << 20),
        )
    report.status  # Status.ACCEPTED, WRONG_ANSWER, TIME_LIMIT, …
"""

from cascade.sandboxes.asynchronous import AsyncSandbox, AsyncSession, open_sandbox_async
from cascade.sandboxes.compare import (
    Exact,
    Floats,
    JsonValue,
    Lines,
    Same,
    TextCompare,
    Tokens,
    Unordered,
)
from cascade.sandboxes.judges import JUDGE_LIMITS, Checker, Interactor, Manager
from cascade.sandboxes.opening import open_sandbox
from cascade.sandboxes.programs import COMPILE_LIMITS, Call, Case, Limits, Program
from cascade.sandboxes.sandbox import Job, Sandbox
from cascade.sandboxes.sessions import SESSION_LIMITS, Execution, Session
from cascade.sandboxes.settings import SandboxConfig
from cascade.sandboxes.verdicts import Isolation, Outcome, Report, Status

__all__ = [
    "COMPILE_LIMITS",
    "JUDGE_LIMITS",
    "SESSION_LIMITS",
    "AsyncSandbox",
    "AsyncSession",
    "Call",
    "Case",
    "Checker",
    "Exact",
    "Execution",
    "Floats",
    "Interactor",
    "Isolation",
    "Job",
    "JsonValue",
    "Limits",
    "Lines",
    "Manager",
    "Outcome",
    "Program",
    "Report",
    "Same",
    "Sandbox",
    "SandboxConfig",
    "Session",
    "Status",
    "TextCompare",
    "Tokens",
    "Unordered",
    "open_sandbox",
    "open_sandbox_async",
]
