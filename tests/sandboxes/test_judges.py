"""Checkers, interactors and managers: programs of the task, each in a slot of its own."""

from __future__ import annotations

import pytest

from cascade.errors import ConfigError
from cascade.sandboxes import Case, Checker, Interactor, Limits, Manager, Program, Sandbox, Status
from sandbox_cases.good import GOOD, judge_good


def py(source: str) -> Program:
    return Program("python", source)


ICPC = py(
    "import sys\n"
    "data, answer, feedback = sys.argv[1:4]\n"
    "ok = sys.stdin.read().split() == open(answer).read().split()\n"
    "open(feedback + 'judgemessage.txt', 'w').write('compared with ' + open(data).read())\n"
    "sys.exit(42 if ok else 43)\n"
)
TESTLIB = Program(
    "c",
    "#include <stdio.h>\n"
    'int main(int c,char**v){int a,b;FILE*o=fopen(v[2],"r"),*s=fopen(v[3],"r");'
    'if(fscanf(o,"%d",&a)!=1)return 2;fscanf(s,"%d",&b);'
    'if(a==b-1){fprintf(stderr,"points 0.5");return 7;}return a!=b;}',
)
CMS = py(
    "import sys\n"
    "got, want = open(sys.argv[3]).read().split(), open(sys.argv[2]).read().split()\n"
    "print(sum(a == b for a, b in zip(got, want)) / len(want))\n"
    "print('translate:partial', file=sys.stderr)\n"
)


def test_a_checker_judges_in_each_convention(box: Sandbox) -> None:
    """ICPC's exit codes, testlib's points, and the scores of CMS."""
    cases = [Case("1 2", "3"), Case("1 2", "5"), Case("1 2", "4")]
    report = box.judge(GOOD, cases, checker=Checker(ICPC), stop_early=False)
    assert [o.status.value for o in report.outcomes] == ["accepted", "wrong_answer", "wrong_answer"]
    assert report.outcomes[0].reason == "compared with 1 2"
    report = box.judge(GOOD, cases, checker=Checker(TESTLIB, "testlib"), stop_early=False)
    assert [o.score for o in report.outcomes] == [1.0, 0.0, 0.5]
    assert report.outcomes[2].status is Status.PARTIAL
    halves = box.judge(py("print(1, 2)"), [Case("", "1 3")], checker=Checker(CMS, "cms"))
    assert halves.fraction == 0.5
    assert halves.outcomes[0].reason == "translate:partial"


@pytest.mark.parametrize(
    "checker",
    [
        Checker(py("1 / 0")),
        Checker(py("print('not a number')"), "cms"),
        Checker(Program("c", "int main(void) { nonsense }")),
        Checker(py("while True: pass"), limits=Limits(cpu_seconds=0.2)),
    ],
)
def test_a_broken_checker_makes_a_bad_task(box: Sandbox, checker: Checker) -> None:
    """The judge's failure is never the program's."""
    report = box.judge(GOOD, [Case("1 2", "3")], checker=checker)
    assert report.status is Status.BAD_TASK, report
    assert report.fraction == 0.0
    assert judge_good(box).accepted


def test_a_checker_is_not_asked_about_a_crash(box: Sandbox) -> None:
    """A run that failed has its own status."""
    report = box.judge(
        py("1 / 0"), [Case("", "1")], checker=Checker(py("import sys; sys.exit(42)"))
    )
    assert report.status is Status.RUNTIME_ERROR


def test_the_judged_program_cannot_reach_its_checker(box: Sandbox) -> None:
    """The checker, the answer and the feedback lie in another slot."""
    spy = py(
        "import os\n"
        "found = [os.path.join(at, f) for top in ('/tmp', '/cascade', '/dev/shm')\n"
        "         for at, _, files in os.walk(top) for f in files]\n"
        "mine = [f for f in found if 'answer' in f or 'input' in f or 'feedback' in f]\n"
        "print(mine or 7)\n"
    )
    assert box.judge(spy, [Case("", "7")] * 3, checker=Checker(ICPC)).accepted


GUESS = Interactor(
    py(
        "import sys\n"
        "secret = int(open(sys.argv[1]).read())\n"
        "for _ in range(12):\n"
        "    guess = int(input())\n"
        "    if guess == secret:\n"
        "        print('yes', flush=True); sys.exit(42)\n"
        "    print('less' if secret < guess else 'more', flush=True)\n"
        "print('no', flush=True); sys.exit(43)\n"
    )
)
BISECT = Program(
    "cpp17",
    "#include <bits/stdc++.h>\nusing namespace std;\n"
    "int main(){int lo=1,hi=1000;while(true){int m=(lo+hi)/2;cout<<m<<endl;string s;cin>>s;"
    'if(s=="yes"||s=="no")return 0;if(s=="less")hi=m-1;else lo=m+1;}}',
)


def test_an_interactor_talks_with_the_program(box: Sandbox) -> None:
    """Each reads what the other writes; the interactor's exit code is the verdict."""
    cases = [Case(str(n)) for n in (1, 500, 1000)]
    assert box.judge_interactive(BISECT, cases, GUESS).accepted
    liar = py("for _ in range(12):\n    print(1, flush=True)\n    input()\n")
    report = box.judge_interactive(liar, [Case("7")], GUESS)
    assert report.status is Status.WRONG_ANSWER


@pytest.mark.parametrize(
    ("source", "right"),
    [
        ("1 / 0", {Status.RUNTIME_ERROR}),
        ("print(1, flush=True)", {Status.WRONG_ANSWER}),
        (
            "print('nonsense', flush=True); input(); input()",
            {Status.BAD_TASK, Status.RUNTIME_ERROR},
        ),
        ("input()", {Status.WALL_LIMIT}),
        ("while True: pass", {Status.TIME_LIMIT}),
        ("while True: print(5)", {Status.WRONG_ANSWER, Status.OUTPUT_LIMIT, Status.TIME_LIMIT}),
        (
            "import os; os.close(1); os.close(0)\nimport time; time.sleep(9)",
            {Status.WALL_LIMIT, Status.WRONG_ANSWER},
        ),
        ("x = b'x' * (300 << 20)", {Status.MEMORY_LIMIT}),
    ],
)
def test_a_program_that_breaks_off_a_conversation_gets_its_own_status(
    box: Sandbox, source: str, right: set[Status]
) -> None:
    """Neither side waits for ever for the other."""
    limits = Limits(cpu_seconds=0.4, wall_seconds=1.2, memory_bytes=128 << 20)
    judge = Interactor(GUESS.program, limits=Limits(cpu_seconds=2, wall_seconds=3))
    report = box.judge_interactive(py(source), [Case("7")], judge, limits)
    assert report.status in right, report
    assert judge_good(box).accepted


@pytest.mark.parametrize(
    ("judge", "right"),
    [
        ("print('hi', flush=True); input(); sys.exit(9)", Status.BAD_TASK),
        ("print('hi', flush=True); os.close(1); int(input())", Status.WRONG_ANSWER),
        ("print('hi', flush=True); int(sys.stdin.read() or 'nothing')", Status.WRONG_ANSWER),
    ],
)
def test_a_broken_judge_is_told_from_one_left_without_an_answer(
    box: Sandbox, judge: str, right: Status
) -> None:
    """The program ends as soon as the judge does, or the judge as soon as the program does."""
    waits = "while True:\n    if not sys.stdin.readline(): break\n"
    first = "print()\n" if right is Status.BAD_TASK else ""
    program = py(f"import sys\n{first}sys.stdout.flush()\n{waits if first else ''}")
    interactor = Interactor(py(f"import os, sys\n{judge}"))
    found = {box.judge_interactive(program, [Case("7")], interactor).status for _ in range(40)}
    assert found == {right}


STRICT = Interactor(
    py("import sys\nline = sys.stdin.readline().strip()\nsys.exit(42 if line == '7' else 43)\n")
)


@pytest.mark.parametrize(
    ("source", "right"),
    [
        ("print(-1, flush=True)\nwhile True: pass", Status.WRONG_ANSWER),
        ("print(-1, flush=True)\ninput()", Status.WRONG_ANSWER),
        ("import os; os._exit(42)", Status.RUNTIME_ERROR),
        ("while True: pass", Status.TIME_LIMIT),
        ("print(7, flush=True)\nwhile True: pass", Status.TIME_LIMIT),
        ("print(7, flush=True)\ninput()", Status.RUNTIME_ERROR),
    ],
)
def test_a_rejection_stands_whatever_follows_and_what_came_before_it_counts(
    box: Sandbox, source: str, right: Status
) -> None:
    """As problemtools has it: what counts is which of the two stopped first."""
    limits = Limits(cpu_seconds=0.3, wall_seconds=2)
    found = {
        box.judge_interactive(py(source), [Case("7")], STRICT, limits).status for _ in range(6)
    }
    assert found == {right}


MANAGER = py(
    "import sys\n"
    "names = sys.argv[1:]\n"
    "pairs = [(open(m, 'w'), open(u)) for u, m in zip(names[::2], names[1::2])]\n"
    "n = int(input())\n"
    "assert int(open('input.txt').read()) == n\n"
    "total = 0\n"
    "for to, back in pairs:\n"
    "    print(n, file=to, flush=True)\n"
    "    total += int(back.readline())\n"
    "print(1.0 if total == 2 * n * len(pairs) else 0.25)\n"
    "print('counted', file=sys.stderr)\n"
)
STUB = {
    "stub.cpp": '#include <iostream>\n#include "task.h"\nint main(){int n;std::cin>>n;'
    "std::cout<<twice(n)<<std::endl;}",
    "task.h": "int twice(int n);\n",
}


@pytest.mark.parametrize("count", [1, 2])
def test_a_manager_talks_with_copies_of_the_program(box: Sandbox, count: int) -> None:
    """IOI's communication task: stub and program in one, the manager apart."""
    right = Program(
        "cpp17", '#include "task.h"\nint twice(int n){return 2*n;}', STUB, ("stub.cpp",)
    )
    wrong = Program("cpp17", '#include "task.h"\nint twice(int n){return n;}', STUB, ("stub.cpp",))
    manager = Manager(MANAGER, processes=count)
    assert box.judge_interactive(right, [Case("7"), Case("8")], manager).accepted
    report = box.judge_interactive(wrong, [Case("7")], manager)
    assert report.status is Status.PARTIAL
    assert report.fraction == 0.25
    assert report.outcomes[0].reason == "counted"


def test_a_manager_may_use_named_pipes(box: Sandbox) -> None:
    """Some tasks give the copies two pipes in their arguments."""
    program = py(
        "import sys\n"
        "n = int(open(sys.argv[1]).readline())\n"
        "print(2 * n, file=open(sys.argv[2], 'w'), flush=True)\n"
    )
    assert box.judge_interactive(program, [Case("7")], Manager(MANAGER, io="fifo")).accepted


def test_interactive_tasks_without_tests_are_bad(box: Sandbox) -> None:
    """An empty list proves nothing here either."""
    assert box.judge_interactive(BISECT, [], GUESS).status is Status.BAD_TASK


def test_the_scale_of_a_score_is_the_tasks(box: Sandbox) -> None:
    """A checker that gives points out of 100 says so."""
    checker = Checker(
        py("import sys\nprint('points 40', file=sys.stderr)\nsys.exit(7)"),
        "testlib",
        best_score=100,
    )
    assert box.judge(GOOD, [Case("1 2", "3")], checker=checker).fraction == 0.4
    with pytest.raises(ConfigError):
        box.judge(GOOD, [Case("1 2", "3")], Limits(memory_bytes=8 << 30), checker=checker)
