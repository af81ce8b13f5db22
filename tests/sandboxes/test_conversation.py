"""Time in a conversation: what is charged to whom, and who is stopped when nothing happens."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from cascade.sandboxes import (
    Case,
    Interactor,
    Limits,
    Manager,
    Program,
    Sandbox,
    Status,
    open_sandbox,
)
from cascade.sandboxes.inside import turns
from sandbox_cases.good import judge_good
from sandbox_cases.processes import runner_pids


def py(source: str) -> Program:
    return Program("python", source)


ASKED = (
    "import sys, time\n"
    "n = int(open(sys.argv[1]).read())\n"
    "for i in range(n):\n"
    "    print(i, flush=True)\n"
    "    if sys.stdin.readline() != f'{i + 1}\\n': sys.exit(43)\n"
    "sys.exit(42)\n"
)
ANSWER = Program(
    "cpp17",
    "#include <cstdio>\nint main(){int x;"
    'while(scanf("%d",&x)==1){printf("%d\\n",x+1);fflush(stdout);}}',
)


def test_a_turn_begins_with_what_is_sent_and_ends_with_what_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lies between is charged; what is not charged is bounded; work shows by the account."""
    clock = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    mine = turns.Turns(most=5.0)
    mine.begin(clock)
    clock = 102.0
    mine.take()
    assert mine.waited(clock) == 2.0
    clock = 110.0
    mine.take()
    assert mine.waited(clock) == 2.0
    mine.pass_on()
    clock = 111.0
    mine.pass_on()
    assert mine.waited(clock) == 3.0
    assert mine.waited(clock + 60) == 5.0
    assert not mine.is_busy(clock, lambda: 0.0)
    assert mine.is_busy(clock + 1, lambda: 0.5)
    assert not mine.is_busy(clock + 2, lambda: 0.55)
    assert not mine.is_busy(clock + 2.1, lambda: 99.0)
    alone = turns.Turns(most=0.0)
    alone.begin(clock)
    assert alone.waited(clock + 60) == 0.0
    assert not alone.is_busy(clock + 60, lambda: 60.0)


def test_carrying_words_is_not_charged(box: Sandbox) -> None:
    """So many questions take longer on their way than the wall limit."""
    limits = Limits(cpu_seconds=5, wall_seconds=0.8, output_bytes=8 << 20)
    report = box.judge_interactive(ANSWER, [Case("15000")], Interactor(py(ASKED)), limits)
    assert report.accepted, report
    assert report.outcomes[0].wall_seconds > 0.8


PHASES = py(
    "import sys\n"
    "names = sys.argv[1:]\n"
    "for u, m in zip(names[::2], names[1::2]):\n"
    "    with open(m, 'w') as to, open(u) as back:\n"
    "        for i in range(6000):\n"
    "            print(i, file=to, flush=True)\n"
    "            assert back.readline() == f'{i + 1}\\n'\n"
    "print(1.0)\n"
)


def test_a_copy_waits_for_the_others_without_a_charge(box: Sandbox) -> None:
    """The second copy is not spoken to before the first has answered everything."""
    limits = Limits(cpu_seconds=5, wall_seconds=0.8, output_bytes=8 << 20)
    manager = Manager(PHASES, processes=2)
    assert box.judge_interactive(ANSWER, [Case("")], manager, limits).accepted


def test_a_judge_that_computes_is_waited_for(box: Sandbox) -> None:
    """Only its own limits bound it."""
    judge = py(
        "import sys, time\n"
        "while time.process_time() < 2: pass\n"
        "print(7, flush=True)\n"
        "sys.exit(42 if input() == '7' else 43)\n"
    )
    limits = Limits(cpu_seconds=0.5, wall_seconds=1)
    report = box.judge_interactive(py("print(input())"), [Case("")], Interactor(judge), limits)
    assert report.accepted, report


LINES = py(
    "import sys\n"
    "for i in range(8):\n"
    "    print('?', flush=True)\n"
    "    if not sys.stdin.readline().endswith('\\n'): sys.exit(43)\n"
    "sys.exit(42)\n"
)


@pytest.mark.parametrize(
    "source",
    [
        "import time\nwhile True: input(); time.sleep(0.4); print(flush=True)",
        "import time\nwhile True: print(end='.', flush=True); time.sleep(0.4)",
        "import time\nwhile input(): print(end='.', flush=True); time.sleep(0.8); print()",
        "import time\ntime.sleep(60)",
        "import sys\nfor line in sys.stdin: print(line)",
        "import os\ninput(); os.close(1); os.close(0)\nwhile True: os.sched_yield()",
    ],
    ids=["slow", "never a line", "lines held back", "asleep", "not flushed", "gone but busy"],
)
def test_a_program_that_wastes_the_time_of_its_judge_is_stopped(box: Sandbox, source: str) -> None:
    """Neither short sleeps nor half a line now and then make the judge the one at fault."""
    limits = Limits(cpu_seconds=0.9, wall_seconds=1)
    judge = Interactor(LINES, limits=Limits(cpu_seconds=1, wall_seconds=2))
    report = box.judge_interactive(py(source), [Case("")], judge, limits)
    busy = "sched_yield" in source
    right = {Status.TIME_LIMIT, Status.WRONG_ANSWER} if busy else {Status.WALL_LIMIT}
    assert report.status in right, report
    if "in sys.stdin" in source:
        assert "flushed" in report.reason
    assert judge_good(box).accepted


@pytest.mark.parametrize(
    ("judge", "right"),
    [
        ("input(); os.close(0); time.sleep(60)", Status.BAD_TASK),
        ("input(); time.sleep(60)", Status.WRONG_ANSWER),
    ],
)
def test_a_judge_that_hangs_alone_is_stopped_by_its_own_limit(
    box: Sandbox, judge: str, right: Status
) -> None:
    """Where it still held its input when the program ended, it may have hoped for more."""
    brief = py("import time\nprint(7, flush=True)\ntime.sleep(0.3)")
    hung = Interactor(py(f"import os, time\n{judge}"), limits=Limits(wall_seconds=1.5))
    started = time.monotonic()
    report = box.judge_interactive(brief, [Case("")], hung, Limits(wall_seconds=1))
    assert report.status is right, report
    assert time.monotonic() - started < 30


def test_one_stuck_runner_is_noticed_while_the_other_lives() -> None:
    """The slot is lost and the conversation repeated; the program is not to blame."""
    asked = Interactor(py(ASKED.replace("    print(i", "    time.sleep(0.02); print(i")))
    with open_sandbox("local", workers=1, retries=2, silence_seconds=2.0, spare=False) as box:
        first = set(runner_pids())
        assert box.judge_interactive(ANSWER, [Case("1")], asked).accepted
        [judge] = set(runner_pids()) - first
        timer = threading.Timer(0.5, os.kill, (judge, signal.SIGSTOP))
        timer.start()
        report = box.judge_interactive(ANSWER, [Case("100")], asked, Limits(wall_seconds=20))
        assert report.accepted, report
        assert report.retries >= 1
