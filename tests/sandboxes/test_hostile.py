"""Every attack gets its verdict, and leaves the slot and the machine as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cascade.sandboxes import Case, Limits, Program, Sandbox, Status
from sandbox_cases.isolation import COMPILER, ISOLATION
from sandbox_cases.programs import FILES, MEMORY, OUTPUT, PROCESSES, TIME, Hostile

PROBE = Program(
    "python",
    "import os\n"
    "print(sorted(os.listdir('/tmp')), sorted(os.listdir('/dev/shm')))\n"
    "mine = []\n"
    "for pid in os.listdir('/proc'):\n"
    "    if pid.isdigit():\n"
    "        try:\n"
    "            if os.stat('/proc/' + pid).st_uid == os.getuid(): mine.append(int(pid))\n"
    "        except OSError: pass\n"
    "print(len(mine))\n"
    "print(sum(map(int, input().split())))\n",
)
CLEAN = "[] []\n1\n5\n"


def host_state() -> tuple[object, ...]:
    """What an escape would change: folders of the machine, and the users' message queues."""
    watched = ("/", "/etc", "/usr", "/usr/bin", "/root", "/var/tmp")
    return (
        *((name, sorted(os.listdir(name))) for name in watched if os.access(name, os.R_OK)),
        os.uname().nodename,
        Path("/proc/sysvipc/shm").read_text().count("\n"),
    )


@pytest.mark.parametrize(
    "attack", [*TIME, *MEMORY, *PROCESSES, *OUTPUT, *FILES, *ISOLATION], ids=str
)
def test_an_attack_gets_its_verdict_and_leaves_nothing(cell: Sandbox, attack: Hostile) -> None:
    """Right verdict, same slot alive and clean, next good program accepted, host unchanged."""
    before = host_state()
    earlier = cell.judge(PROBE, [Case("SECRET-INPUT-OF-THE-LAST-TEST 1")])
    assert earlier.status is Status.RUNTIME_ERROR
    report = cell.judge(
        Program(attack.language, attack.source),
        [Case(attack.stdin, attack.expected)],
        attack.limits,
    )
    assert report.status in attack.right, (report.reason, report.outcomes)
    assert report.retries == 0, "the slot did not survive"
    after = cell.judge(PROBE, [Case("2 3", CLEAN)])
    assert after.accepted, (after.reason, after.outcomes[0].stdout, after.outcomes[0].stderr)
    assert after.retries == 0
    assert host_state() == before


@pytest.mark.parametrize(
    ("source", "right"),
    [(source, right) for _, source, right in COMPILER],
    ids=[name for name, _, _ in COMPILER],
)
def test_a_compiler_cannot_be_turned_against_the_machine(
    cell: Sandbox, source: str, right: tuple[str, ...]
) -> None:
    """The compiler runs under limits of its own, in the same confinement as the program."""
    limits = Limits(
        cpu_seconds=1.5, wall_seconds=6, memory_bytes=384 << 20, output_bytes=64 << 10,
        processes=64, file_bytes=64 << 20, open_files=256,
    )  # fmt: skip
    report = cell.judge(Program("cpp", source), [Case("")], compile_limits=limits)
    assert report.status.value in right, report.reason
    if report.compilation is not None:
        assert b"root:" not in report.compilation.stderr
    after = cell.judge(PROBE, [Case("2 3", CLEAN)])
    assert after.accepted, (after.reason, after.outcomes)


def test_a_file_named_like_an_option_is_only_a_file(cell: Sandbox) -> None:
    """Names of extra files never become arguments of the compiler."""
    program = Program("c", "int main(void){return 0;}", files={"-o": "x", "-fplugin=x.so": "y"})
    assert cell.judge(program, [Case("")]).accepted


def test_the_search_for_another_tests_input_can_find_one(cell: Sandbox) -> None:
    """The program of attack 62 finds what is there: here, in its own input."""
    search = next(attack for attack in ISOLATION if attack.number == 62)
    source = f"import sys\nkept = sys.stdin.read()\n{search.source}"
    report = cell.judge(
        Program("python", source), [Case("SECRET-INPUT-OF-THE-LAST-TEST", "held")], search.limits
    )
    assert report.status is Status.WRONG_ANSWER, report
