"""The warmed interpreter: what its children find, and what they must not find."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cascade.sandboxes import Case, Limits, Program, Sandbox, Status, open_sandbox
from cascade.sandboxes.inside.drivers import CALL
from cascade.sandboxes.link import SlotLostError
from cascade.sandboxes.slot import Run
from cascade.sandboxes.toolchain import HostTools, host_tools
from conftest import ROOT
from sandbox_cases.good import judge_good


def _lines(box: Sandbox, source: str) -> list[str]:
    outcome = box.run(Program("python", source))
    assert outcome.status is Status.ACCEPTED, outcome
    return outcome.stdout.decode().splitlines()


def test_programs_are_started_by_the_compiled_helper(box: Sandbox) -> None:
    with box._pool.slot() as slot:
        assert slot.hello["forker"]
        assert slot.hello["spawner"]


def test_a_program_finds_a_main_module_of_its_own(box: Sandbox) -> None:
    """Nothing of the programs that the zygote ran to warm up."""
    source = (
        "import sys, os, gc\n"
        "print(sorted(n for n in globals() if n[0] != '_'), __name__)\n"
        "print(vars(sys.modules['__main__']) is globals(), sys.argv == [__file__])\n"
        "print(sys.path[0] == os.path.dirname(__file__), sys.path.count(''), gc.isenabled())\n"
        "print(len(os.listdir('/proc/self/fd')))\n"
    )
    expected = ["['gc', 'os', 'sys'] __main__", "True True", "True 0 True", "4"]
    for _ in range(3):
        assert _lines(box, source) == expected


@pytest.mark.parametrize("spec", [None, b"{}"])
def test_a_child_that_cannot_be_confined_loses_the_slot(cell: Sandbox, spec: bytes | None) -> None:
    """With five descriptors as with three: its complaint goes none of their ways."""
    run = Run(("@/p/main.py",), Limits(), driver=CALL, spec=spec, cwd="/nowhere")
    with cell._pool.slot() as slot:
        slot.put("p", (("main.py", b"print(1)"),), executable=False)
        with pytest.raises(SlotLostError, match="cannot confine the child: No such file"):
            slot.run(run)
    assert judge_good(cell).accepted


def test_threads_signals_and_children_work(box: Sandbox) -> None:
    """The zygote's children skip what the interpreter does behind a fork to make locks anew."""
    source = (
        "import os, signal, threading, time\n"
        "seen = []\n"
        "lock = threading.Lock()\n"
        "def add(i):\n"
        "    with lock: seen.append(i)\n"
        "threads = [threading.Thread(target=add, args=(i,)) for i in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(sorted(seen), threading.current_thread() is threading.main_thread())\n"
        "signal.signal(signal.SIGALRM, lambda *_: print('rang'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.3)\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert _lines(box, source) == ["[0, 1, 2, 3, 4, 5, 6, 7] True", "rang", "7"]


@pytest.fixture(scope="module")
def hooked(kind: str, box: Sandbox) -> Iterator[Sandbox]:
    """With modules that register functions to be called around forks."""
    with open_sandbox(kind, workers=1, preload=("logging", "threading")) as opened:
        yield opened


def test_hooks_of_preloaded_modules_are_called(hooked: Sandbox) -> None:
    source = (
        "import logging, random, sys, threading\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "t = threading.Thread(target=logging.warning, args=('hello',)); t.start(); t.join()\n"
        "print(random.random())\n"
    )
    found = [_lines(hooked, source) for _ in range(4)]
    assert {lines[0] for lines in found} == {"hello"}
    assert len({lines[1] for lines in found}) == 4


def test_without_a_compiler_python_programs_run_all_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind != "local":
        pytest.skip("images have a compiler")

    def bare(precompile: bool) -> HostTools:
        return replace(host_tools(precompile), helpers=())

    monkeypatch.setattr("cascade.sandboxes.local.host_tools", bare)
    with open_sandbox("local", workers=1) as box:
        with box._pool.slot() as slot:
            assert not slot.hello["forker"]
        assert judge_good(box).accepted
        assert (
            len({tuple(_lines(box, "import random; print(random.random())")) for _ in "1234"}) == 4
        )
        env = "import os; print(os.environ.get('HOME'), len(os.listdir('/proc/self/fd')))"
        assert _lines(box, env)[0].endswith(" 4")
        report = box.judge(Program("c", "int main(){return 3;}"), [Case()])
        assert report.outcomes[0].exit_code == 3


_MOVES = """
import ctypes, sys
if {disabled}:
    ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE
from cascade.sandboxes.inside import hugetext
before = hugetext._code_region()
print(hugetext.move_code(), before != (0, 0))
print(hugetext._code_region() == before)
import decimal, json, re
print(json.loads(json.dumps([str(decimal.Decimal(1) / 7), re.sub("a", "b", "aha")])))
try:
    raise ValueError("x" * 3)
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("disabled", [False, True])
def test_the_interpreters_code_moves_only_into_huge_pages(disabled: bool) -> None:
    """Otherwise each fork would copy a thousand entries more."""
    done = subprocess.run(
        [sys.executable, "-c", _MOVES.format(disabled=disabled)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    moved, whole, *rest = done.stdout.splitlines()
    offered = "[never]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    assert moved.endswith("True")
    assert moved.startswith("True") <= (offered and not disabled)
    assert whole == str(moved.startswith("False"))
    assert rest == ["['0.1428571428571428571428571429', 'bhb']", "xxx"]
