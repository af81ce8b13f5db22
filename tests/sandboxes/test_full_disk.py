"""A disk that runs full under the sandbox is a FAULT or an error that says so, never a verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade.errors import SandboxError
from cascade.sandboxes import Case, Job, Limits, Program, Sandbox, SandboxConfig, Status
from cascade.sandboxes.inside import landlock
from cascade.sandboxes.opening import open_backend
from conftest import unavailable
from sandbox_cases.good import judge_good

HELLO = '#include <stdio.h>\nint main(void){puts("held");return 0;}\n'


@pytest.fixture(scope="module")
def cramped(kind: str) -> Iterator[Sandbox]:
    """A box of 64 KiB and a store of 8 KiB, which no compiler can do with."""
    config = SandboxConfig(workers=1, disk_bytes=64 << 10, store_bytes=8 << 10)
    try:
        backend = open_backend(kind, config)
    except SandboxError as error:
        unavailable(str(error))
        raise
    with Sandbox(backend) as opened:
        yield opened


def test_a_compiler_without_space_does_not_blame_the_program(cramped: Sandbox) -> None:
    """The limit that ended the compiler is named, and the result is not remembered."""
    big = Program("c", f"char x[1 << 20] = {{1}};\n{HELLO}")
    report = cramped.judge(big, [Case("", "held")])
    assert report.status is Status.COMPILE_MEMORY_LIMIT, report.reason
    assert "no space" in report.reason
    again = cramped.judge(big, [Case("", "held")])
    assert again.compilation is not None
    assert judge_good(cramped).accepted


def test_a_full_store_is_an_error_that_says_so(cramped: Sandbox) -> None:
    """A compiled program that the store cannot hold gets no verdict."""
    with pytest.raises(SandboxError, match="the store holds"):
        cramped.judge(Program("c", HELLO), [Case("", "held")])
    ((_, report),) = cramped.judge_many([Job(Program("c", HELLO), [Case("", "held")])])
    assert report.status is Status.FAULT
    assert judge_good(cramped).accepted


def test_a_test_that_does_not_fit_is_an_error_that_says_so(cramped: Sandbox) -> None:
    """Files of a case that the box cannot hold: the program is not even started."""
    reader = Program("python", "print(len(open('data').read()))")
    good = Case("", "9", files={"data": "x" * 9})
    large = Case("", str(1 << 20), files={"data": "x" * (1 << 20)})
    with pytest.raises(SandboxError, match="No space left"):
        cramped.judge(reader, [good, large, good])
    ((_, report),) = cramped.judge_many([Job(reader, [large])])
    assert report.status is Status.FAULT
    assert cramped.judge(reader, [good]).accepted


def test_a_program_that_fills_its_own_box_is_judged(cramped: Sandbox) -> None:
    """That is a verdict: the box was empty when it began."""
    writer = Program("python", "open('data', 'w').write('x' * (1 << 20))\nprint('held')")
    limits = Limits(file_bytes=2 << 20)
    assert cramped.judge(writer, [Case("", "held")], limits).status is Status.FILE_LIMIT


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        unavailable("no file system can be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def run(code: str, folder: Path, **environment: str) -> str:
    """Run `code` with the folder as its argument, as a process with an environment of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


LANDLOCK = """
import os, sys
from cascade.errors import SandboxError
from cascade.sandboxes import Case, Job, Limits, Program, open_sandbox
writer = Program("python", "open('data', 'w').write('x' * (2 << 20))\\nprint('held')")
careless = Program("python", '''
import os
try: open('data', 'w').write('x' * (2 << 20))
except OSError: pass
print(os.path.getsize('data'))
''')
jobs = [Job(writer, [Case("", "held")]), Job(careless, [Case("", str(2 << 20))])]
with open_sandbox("local", level="landlock", workers=1, spare=False, disk_bytes=8 << 20) as box:
    print(*(report.status.value for _, report in box.judge_many(jobs, ordered=True)))
    with open(sys.argv[1] + "/fill", "wb") as file:
        free = os.statvfs(sys.argv[1])
        file.write(bytes(free.f_bfree * free.f_frsize - (1 << 20)))
    print(*(report.status.value for _, report in box.judge_many(jobs, ordered=True)))
    try: box.judge(writer, [Case("", "held")])
    except SandboxError as error: print(error)
    os.remove(sys.argv[1] + "/fill")
    print(*(report.status.value for _, report in box.judge_many(jobs, ordered=True)))
"""


def test_the_machines_own_disk_may_run_full(small_disk: Path) -> None:
    """Under Landlock the box lies on a disk of the machine; what is short there is no verdict."""
    if landlock.abi() < 1:
        unavailable("the kernel has no Landlock")
    good, full, error, again = run(LANDLOCK, small_disk, TMPDIR=str(small_disk)).splitlines()
    assert good == again == "accepted accepted"
    assert full == "fault fault"
    assert "MiB free" in error


CACHE = """
import sys
from cascade.errors import SandboxError
from cascade.sandboxes import open_sandbox
with open(sys.argv[1] + "/fill", "wb") as file:
    try:
        while True: file.write(bytes(1 << 16)); file.flush()
    except OSError: pass
    try: open_sandbox("local", workers=1)
    except SandboxError as error: print(error)
"""


def test_a_full_cache_is_named(small_disk: Path) -> None:
    """Compiled helpers are kept on disk; where they cannot be, the message says where."""
    shown = run(CACHE, small_disk, CASCADE_CACHE=str(small_disk / "cache"))
    assert f"{small_disk}/cache" in shown
    assert "CASCADE_CACHE" in shown
