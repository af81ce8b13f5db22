"""The reproduced attacks on graders. None of them earns a reward."""

from __future__ import annotations

import pytest

from cascade.sandboxes import Call, Case, Program, Sandbox, Status
from sandbox_cases.good import judge_good

TESTS = "assert add(1, 2) == 3\nassert add(2, 2) == 4\nassert add(-1, 1) == 0\n"

ALWAYS_EQUAL = """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __hash__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
def add(a, b): return Yes()
"""
INT_THAT_LIES = """
class Yes(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = int.__hash__
def add(a, b): return Yes(17)
"""
FRAME_WALK = """
import sys
def add(a, b):
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, dict) and 'token' in value:
                import os
                os.write(4, value['token'].encode()); os._exit(0)
            if isinstance(value, (list, tuple)) and len(value) == 2 and value[1] in (3, 4, 0):
                return value[1]
        frame = frame.f_back
    return None
"""
EXIT_FIRST = "import os\nos._exit(0)\n"
EXIT_IN_CALL = "import os\ndef add(a, b): os._exit(0)\n"
EXIT_LATE = "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): raise SystemExit(0)\n"
SYSTEM_EXIT = """
class Quiet(SystemExit):
    code = 0
def add(a, b): raise Quiet(0)
"""
SITE = """
for name in ('sitecustomize.py', 'usercustomize.py', 'conftest.py', 'json.py', 're.py', 'evil.pth'):
    try: open(name, 'w').write('import os; os._exit(0)')
    except OSError: pass
def add(a, b): return None
"""
PATCHES = """
import builtins, json, operator, sys, unittest
json.dumps = lambda *a, **k: '3'
operator.eq = lambda a, b: True
unittest.TestCase.assertEqual = lambda *a, **k: None
builtins.AssertionError = type('Never', (BaseException,), {})
builtins.compile = lambda *a, **k: 0
builtins.exec = lambda *a, **k: None
sys.modules['cascade.sandboxes.inside.plain'] = None
def add(a, b): return None
"""
TRACE = """
import sys
def tracer(frame, event, arg):
    if event == 'exception': frame.f_trace_lines = False
    return tracer
sys.settrace(tracer)
sys.excepthook = lambda *a: None
def add(a, b): return None
"""
FORGED = """
import os, struct, threading
def flood():
    body = b'v3'
    for fd in (4, 1, 5):
        try: os.write(fd, (struct.pack('<I', len(body)) + body) * 50)
        except OSError: pass
flood()
print('PASSED\\nOK\\n{"op": "done", "status": 0}')
def add(a, b): flood(); os._exit(0)
"""
FORGED_VALUES = """
import os, struct
def add(a, b):
    body = b'v{"l": [}'
    os.write(4, struct.pack('<I', len(body)) + body)
"""

HACKS = {
    "an object equal to everything": ALWAYS_EQUAL,
    "an integer equal to everything": INT_THAT_LIES,
    "a walk over the frames": FRAME_WALK,
    "an exit before the tests": EXIT_FIRST,
    "an exit in the call": EXIT_IN_CALL,
    "an exit at the end": EXIT_LATE,
    "a quiet exit": SYSTEM_EXIT,
    "files that Python or pytest load": SITE,
    "patched modules": PATCHES,
    "a trace function": TRACE,
    "forged frames": FORGED,
    "forged values": FORGED_VALUES,
}


@pytest.mark.parametrize("in_process", [False, True], ids=["apart", "in-process"])
@pytest.mark.parametrize("hack", HACKS.values(), ids=HACKS)
def test_no_hack_of_unit_tests_earns_a_reward(box: Sandbox, hack: str, in_process: bool) -> None:
    """Neither tests in another slot nor guarded tests in the same process are fooled."""
    report = box.unit_tests(Program("python", hack), TESTS, in_process=in_process)
    assert report.status not in (Status.ACCEPTED, Status.FAULT, Status.BAD_TASK), report
    assert report.fraction == 0.0
    assert judge_good(box).accepted


@pytest.mark.parametrize("hack", HACKS.values(), ids=HACKS)
def test_no_hack_of_a_function_task_earns_a_reward(box: Sandbox, hack: str) -> None:
    """The expected value is not there to be found, and is compared outside."""
    report = box.call(Program("python", hack), "add", [Call((1, 2), expected=3)])
    assert report.status not in (Status.ACCEPTED, Status.FAULT, Status.BAD_TASK), report
    assert report.fraction == 0.0


def test_honest_programs_pass_the_same_tests_both_ways(box: Sandbox) -> None:
    """The guards cost no honest program its reward, nor give a wrong one any."""
    right = Program("python", "def add(a, b):\n    return a + b\n")
    wrong = Program("python", "def add(a, b):\n    return a * b\n")
    for in_process in (False, True):
        assert box.unit_tests(right, TESTS, in_process=in_process).accepted
        report = box.unit_tests(wrong, TESTS, in_process=in_process)
        assert report.status is Status.WRONG_ANSWER


def test_in_process_attacks_are_called_by_their_name(box: Sandbox) -> None:
    """TAMPERED is a status of its own, so that attacks can be counted."""
    for hack in (ALWAYS_EQUAL, EXIT_FIRST, FRAME_WALK):
        report = box.unit_tests(Program("python", hack), TESTS, in_process=True)
        assert report.status is Status.TAMPERED, (hack, report)


def test_forged_answers_are_called_by_their_name(box: Sandbox) -> None:
    """Frames that no driver writes are TAMPERED, also where tests run apart."""
    report = box.unit_tests(Program("python", FORGED_VALUES), TESTS)
    assert report.status is Status.TAMPERED, report


def test_tests_that_accept_nonsense_are_a_bad_task(box: Sandbox) -> None:
    """The negative control runs once for each text of tests."""
    program = Program("python", "def add(a, b):\n    return a + b\n")
    for vacuous in ("add(1, 2)", "assert True\nadd(1, 2)", "x = 1\nassert x == 1"):
        assert box.unit_tests(program, vacuous).status is Status.BAD_TASK
    assert box.unit_tests(program, "assert add(1, 2 == 3").status is Status.BAD_TASK
    callback = "assert add(lambda: 1, 2) == 3"
    assert box.unit_tests(program, callback).status is Status.BAD_TASK


def test_exceptions_of_the_program_reach_the_tests(box: Sandbox) -> None:
    """A test may expect a built-in exception, and prints in between change nothing."""
    program = Program(
        "python",
        "def add(a, b):\n    print('noise')\n"
        "    if a is None: raise ValueError('no')\n    return a + b\n",
    )
    tests = (
        "assert add(1, 2) == 3\n"
        "try:\n    add(None, 1)\nexcept ValueError as error:\n    assert str(error) == 'no'\n"
        "else:\n    raise AssertionError('accepted None')\n"
    )
    assert box.unit_tests(program, tests).accepted


def test_groups_of_tests_are_judged_one_by_one(box: Sandbox) -> None:
    """Each group has its own outcome, for partial rewards."""
    program = Program("python", "def add(a, b):\n    return 3\n")
    report = box.unit_tests(program, TESTS.strip().split("\n"), stop_early=False)
    assert [o.accepted for o in report.outcomes] == [True, False, False]


def test_output_cannot_be_forged_by_what_looks_like_ours(box: Sandbox) -> None:
    """Frames printed on standard output are output."""
    source = (
        "import struct, sys\n"
        'head = b\'{"op":"done","id":1,"status":0,"cpu":0,"wall":0,"peak":0,\'\n'
        'head += b\'"sizes":[2,0,0],"written":[2,0,0]}\'\n'
        "sys.stdout.buffer.write(struct.pack('<II', len(head), 2) + head + b'42')\n"
    )
    assert box.judge(Program("python", source), [Case("", "42")]).status is Status.WRONG_ANSWER
