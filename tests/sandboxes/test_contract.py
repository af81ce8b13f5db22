"""What both back ends promise alike: verdicts, limits, comparisons, streams of jobs."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest

from cascade.errors import ConfigError, SandboxError, UnknownNameError
from cascade.sandboxes import (
    AsyncSandbox,
    Call,
    Case,
    Exact,
    Floats,
    Job,
    Limits,
    Program,
    Same,
    Sandbox,
    Status,
)
from cascade.sandboxes.slot import Run
from sandbox_cases.good import GOOD, judge_good

CPP = Program(
    "cpp17",
    "#include <bits/stdc++.h>\nint main(){int a,b;std::cin>>a>>b;std::cout<<a+b<<std::endl;}",
)


def python(source: str) -> Program:
    return Program("python", source)


def test_a_right_program_is_accepted_on_every_test(box: Sandbox) -> None:
    """ACCEPTED needs every test; the report names the level and the versions."""
    report = judge_good(box)
    assert report.accepted
    assert report.passed == 2
    assert report.fraction == 1.0
    assert report.isolation.level in ("container", "namespaces")
    assert {"pid", "net", "mount", "cgroup", "seccomp"} <= set(report.isolation.features)
    assert "image" in report.versions


def test_the_first_failure_decides_and_the_rest_is_skipped(box: Sandbox) -> None:
    """The program's status is that of its first failed test."""
    cases = [Case("1 2", "3"), Case("1 2", "4"), Case("x", "1")]
    early = box.judge(GOOD, cases)
    assert [o.status for o in early.outcomes] == [
        Status.ACCEPTED,
        Status.WRONG_ANSWER,
        Status.SKIPPED,
    ]
    full = box.judge(GOOD, cases, stop_early=False)
    assert full.outcomes[2].status is Status.RUNTIME_ERROR
    assert early.status is full.status is Status.WRONG_ANSWER
    assert full.fraction == pytest.approx(1 / 3)


def test_a_crash_carries_its_traceback_and_exit_code(box: Sandbox) -> None:
    """The traceback names the program's own lines and none of ours."""
    outcome = box.run(python("def f():\n    return 1 / 0\nf()\n"))
    assert outcome.status is Status.RUNTIME_ERROR
    assert outcome.exit_code == 1
    lines = outcome.stderr.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "line 2, in f" in outcome.stderr.decode()
    assert "cascade" not in outcome.stderr.decode().replace("/cascade/", "")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("raise SystemExit", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('text')", 1),
        ("import os; os._exit(5)", 5),
        ("import atexit; atexit.register(print, 'late')", 0),
        ("exit()", 0),
    ],
)
def test_python_ends_as_the_interpreter_would_end(box: Sandbox, source: str, code: int) -> None:
    """Exit codes are Python's own, though the interpreter is forked and not torn down."""
    outcome = box.run(python(source))
    assert outcome.exit_code == code
    assert outcome.status is (Status.ACCEPTED if code == 0 else Status.RUNTIME_ERROR)
    if "late" in source:
        assert outcome.stdout == b"late\n"


@pytest.mark.parametrize(
    "source",
    [
        "import sys; print(sum(int(x) for x in sys.stdin.read().split()))",
        "import sys; print(sum(int(x) for l in sys.stdin for x in l.split()))",
        "import sys; print(sum(map(int, sys.stdin.buffer.readline().split())) + int(input()))",
        "print(sum(int(x) for x in open(0).read().split()))",
        "print(sum(int(x) for x in open('/dev/stdin').read().split()))",
        "import os; print(sum(int(x) for x in os.read(0, 100).split()))",
        "import sys\nwith open('/dev/stdout', 'w') as f: f.write('6')",
        "import threading\nt = threading.Thread(target=lambda: print(6)); t.start()",
        "if __name__ == '__main__': print(6)",
    ],
)
def test_every_way_to_read_and_write_works(box: Sandbox, source: str) -> None:
    """Programs may use any of Python's ways to their standard streams."""
    report = box.judge(python(source), [Case("1 2\n3\n", "6")])
    assert report.accepted, report.outcomes


def test_the_hash_seed_is_fixed(box: Sandbox) -> None:
    """Two runs of one program see the same order of a set of strings."""
    program = python("print(hash('cascade'), list({'a', 'b', 'c', 'd'}))")
    assert len({box.run(program).stdout for _ in range(4)}) == 1


def test_random_numbers_differ_from_run_to_run(box: Sandbox) -> None:
    """Forked children do not share the state of the random generator."""
    program = python("import random; print(random.random())")
    assert len({box.run(program).stdout for _ in range(4)}) == 4


def test_compiled_programs_are_compiled_once(box: Sandbox) -> None:
    """The second judgement takes the program from the cache, also on another slot."""
    source = str(CPP.source) + "// once\n"
    program = Program("cpp17", source)
    first = box.judge(program, [Case("1 2", "3")])
    again = [box.judge(program, [Case("1 2", "3")]) for _ in range(3)]
    assert first.accepted
    assert first.compilation is not None
    assert all(report.accepted and report.compilation is None for report in again)


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("c", '#include <stdio.h>\nint main(){int a,b;scanf("%d %d",&a,&b);printf("%d",a+b);}'),
        ("cpp17", CPP.source),
        (
            "cpp20",
            "#include <bits/stdc++.h>\n#include <ranges>\nint main(){int a,b;std::cin>>a>>b;"
            "for(int i:std::views::single(a+b))std::cout<<i;}",
        ),
        (
            "java",
            "import java.util.*;\npublic class Add {\n  public static void main(String[] a) {\n"
            "    Scanner s = new Scanner(System.in);\n"
            "    System.out.println(s.nextInt() + s.nextInt());\n  }\n}\n",
        ),
        (
            "javascript",
            "const t = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\n"
            "console.log(t[0] + t[1]);",
        ),
        (
            "rust",
            "use std::io::*;\nfn main(){let mut s=String::new();stdin().read_to_string(&mut s)"
            '.unwrap();println!("{}",s.split_whitespace().map(|x|x.parse::<i32>().unwrap())'
            ".sum::<i32>());}",
        ),
        (
            "go",
            'package main\nimport "fmt"\nfunc main(){var a,b int;fmt.Scan(&a,&b);fmt.Println(a+b)}',
        ),
    ],
)
def test_each_language_runs_or_is_named_as_missing(
    box: Sandbox, language: str, source: str
) -> None:
    """A language that the image lacks is an error that names it, never a verdict."""
    limits = Limits(cpu_seconds=10, wall_seconds=30, memory_bytes=768 << 20, processes=64)
    program = Program(language, source)
    if language not in box.languages():
        with pytest.raises(SandboxError, match=language):
            box.judge(program, [Case("1 2", "3")], limits)
        return
    report = box.judge(program, [Case("1 2", "3"), Case("5 6", "11")], limits)
    assert report.accepted, (report.reason, report.compilation)


def test_a_compile_error_shows_the_diagnostics(box: Sandbox) -> None:
    """COMPILE_ERROR, all tests skipped, the compiler's words kept."""
    report = box.judge(Program("c", "int main(void) { return x; }"), [Case(""), Case("")])
    assert report.status is Status.COMPILE_ERROR
    assert [o.status for o in report.outcomes] == [Status.SKIPPED] * 2
    assert report.compilation is not None
    assert b"undeclared" in report.compilation.stderr


def test_programs_may_have_more_files(box: Sandbox) -> None:
    """Headers for a compiler, modules for Python, files for a test."""
    header = Program("c", '#include "a/x.h"\nint main(){return X;}', files={"a/x.h": "#define X 0"})
    assert box.judge(header, [Case("")]).accepted
    module = Program("python", "import extra\nprint(extra.x)", files={"extra.py": "x = 7"})
    assert box.judge(module, [Case("", "7")]).accepted
    reader = python("import sys\nprint(open('data/in.txt').read() + sys.argv[1])")
    case = Case("", "ab", files={"data/in.txt": "a"}, args=("b",))
    assert box.judge(reader, [case, case]).accepted


def test_files_that_were_asked_for_come_back(box: Sandbox) -> None:
    """Only regular files are read back; links are not followed."""
    program = python(
        "import os\nopen('out.txt', 'w').write('made')\nos.symlink('/etc/passwd', 'link')"
    )
    report = box.judge(program, [Case("")], collect=("out.txt", "link", "none"))
    assert dict(report.outcomes[0].files) == {"out.txt": b"made"}


def test_comparison_is_by_tokens_unless_the_task_says_otherwise(box: Sandbox) -> None:
    """White space is free by default, and exact where asked; floats only with a tolerance."""
    program = python("print(' 1.0000001   x')")
    case = [Case("", "1.0 x")]
    assert box.judge(program, case).status is Status.WRONG_ANSWER
    assert box.judge(program, case, compare=Floats(abs=1e-6)).accepted
    spaced = [Case("", "1.0000001 x\n")]
    assert box.judge(program, spaced).accepted
    assert box.judge(program, spaced, compare=Exact()).status is Status.PRESENTATION_ERROR


def test_functions_are_called_with_plain_data(box: Sandbox) -> None:
    """Values cross the wall by what they hold; prints do not disturb them."""
    program = python(
        "from collections import Counter\n"
        "class Solution:\n"
        "    def twice(self, xs): print('noise'); return [x * 2 for x in xs]\n"
        "def same(x, *, y=None): return (x, y)\n"
        "def count(s): return Counter(s)\n"
    )
    values = [None, True, -1, 2**200, 1.5, "é\ud800", b"\0", [1, [2]], (1,), {1: {2}}]
    calls = [Call((v,), {"y": v}, expected=(v, v)) for v in values]
    assert box.call(program, "same", calls).accepted
    report = box.call(program, "Solution.twice", [Call(([1, 2],), expected=[2, 4])])
    assert report.accepted
    assert report.outcomes[0].value == [2, 4]
    assert report.outcomes[0].stdout == b"noise\n"
    assert box.call(program, "count", [Call(("aab",), expected={"a": 2, "b": 1})]).accepted
    wrong = box.call(program, "same", [Call((1,), expected=[1, None])])
    assert wrong.status is Status.WRONG_ANSWER
    loose = Same(tuples_are_lists=True)
    assert box.call(program, "same", [Call((1,), expected=[1, None])], compare=loose).accepted
    missing = box.call(program, "nothing", [Call()])
    assert missing.status is Status.RUNTIME_ERROR


def test_many_jobs_stream_through_all_workers(box: Sandbox) -> None:
    """An endless stream is taken only as far as it is needed."""
    taken = itertools.count()

    def endless() -> object:
        while True:
            i = next(taken)
            yield Job(GOOD, [Case(f"{i} 1", str(i + 1))], key=i)

    reports = box.judge_many(endless(), ordered=True, ahead=4)  # type: ignore[arg-type]
    first = list(itertools.islice(reports, 10))
    reports.close()  # type: ignore[attr-defined]
    assert [job.key for job, _ in first] == list(range(10))
    assert all(report.accepted for _, report in first)
    assert next(taken) <= 15
    unordered = {
        job.key for job, _ in box.judge_many(Job(GOOD, [Case("1 1", "2")], key=i) for i in range(9))
    }
    assert unordered == set(range(9))


def test_threads_share_a_sandbox(box: Sandbox) -> None:
    """More threads than workers wait for a slot; each gets its own verdict."""
    results: dict[int, bool] = {}

    def work(i: int) -> None:
        results[i] = box.judge(GOOD, [Case(f"{i} {i}", str(2 * i))]).accepted

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == dict.fromkeys(range(8), True)


async def test_the_asynchronous_twin_gives_the_same(box: Sandbox) -> None:
    """Awaited calls run side by side."""
    twin = AsyncSandbox(box)
    reports = await asyncio.gather(
        *(twin.judge(GOOD, [Case(f"{i} 1", str(i + 1))]) for i in range(6))
    )
    assert all(report.accepted for report in reports)
    jobs = [Job(GOOD, [Case("1 2", "3")], key=i) for i in range(5)]
    assert {job.key async for job, _ in twin.judge_many(jobs)} == set(range(5))
    called = await twin.call(python("def f(x): return x + 1"), "f", [Call((1,), expected=2)])
    assert called.accepted
    async with twin.session() as session:
        assert (await session.exec("echo hi")).stdout == b"hi\n"
        assert (await session.python("1 + 1")).output == "2\n"


def test_a_call_that_cannot_be_sent_costs_no_slot(cell: Sandbox) -> None:
    """Runs are sent several at a time: what was sent is not confused with what was not."""
    program = Program("python", "def same(x):\n    return x\n")
    for position in (0, 3, 5, 9):
        calls = [Call((i,), expected=i) for i in range(12)]
        calls[position] = Call((object(),))
        start = time.monotonic()
        with pytest.raises((TypeError, ValueError)):
            cell.call(program, "same", calls)
        assert time.monotonic() - start < 10
        good = cell.call(program, "same", [Call((i,), expected=i) for i in range(12)])
        assert good.accepted
        assert good.retries == 0


def test_a_long_run_holds_no_answer_back(cell: Sandbox) -> None:
    """Answers of short runs travel together, but never wait for the end of a long one."""
    with cell._pool.slot() as slot:
        code = "import sys, time; time.sleep(float(sys.argv[1]))"
        runs = [
            Run(("/usr/bin/python3", "-c", code, seconds), Limits(wall_seconds=20))
            for seconds in ("0", "0", "3")
        ]
        start = time.monotonic()
        answers = slot.run_many(runs)
        assert [next(answers).status, next(answers).status] == [0, 0]
        assert time.monotonic() - start < 2.5
        assert next(answers).status == 0
        assert time.monotonic() - start > 2.5


def test_no_tests_are_a_bad_task(box: Sandbox) -> None:
    """An empty list of tests never accepts."""
    assert box.judge(GOOD, []).status is Status.BAD_TASK
    assert box.call(GOOD, "f", []).status is Status.BAD_TASK
    assert box.unit_tests(GOOD, []).status is Status.BAD_TASK
    assert box.unit_tests(GOOD, "  \n").status is Status.BAD_TASK
    assert box.judge(GOOD, []).fraction == 0.0


def test_ten_thousand_tests_of_one_program_are_judged(box: Sandbox) -> None:
    """A long list costs no more than the tests that are run before the verdict stands."""
    cases = [Case("1 2", "3")] * 300 + [Case("1 2", "4")] + [Case("1 2", "3")] * 9_699
    program = Program(
        "c", '#include <stdio.h>\nint main(){int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}'
    )
    report = box.judge(program, cases)
    assert len(report.outcomes) == 10_000
    assert report.passed == 300
    assert report.status is Status.WRONG_ANSWER


def test_a_test_of_fifty_megabytes_passes_through(box: Sandbox) -> None:
    """Input of any size up to the limit arrives whole, and is not charged to the program."""
    data = b"x" * (50 << 20)
    program = python(
        "import sys\nn = 0\nwhile b := sys.stdin.buffer.read(1 << 20): n += len(b)\nprint(n)"
    )
    limits = Limits(cpu_seconds=5, memory_bytes=64 << 20)
    report = box.judge(program, [Case(data, str(len(data)))] * 2, limits)
    assert report.accepted, report.reason


def test_a_program_of_five_megabytes_runs(box: Sandbox) -> None:
    """Large sources are stored once and run like any other."""
    program = python("x = '" + "y" * (5 << 20) + "'\nprint(len(x))")
    assert box.judge(program, [Case("", str(5 << 20))] * 2).accepted


@pytest.mark.parametrize("source", ["print('a\0b')", "print('\ud800')", "\0"])
def test_sources_that_are_no_text_fail_as_programs(box: Sandbox, source: str) -> None:
    """NUL bytes and lone surrogates are the program's error, not the sandbox's."""
    report = box.judge(python(source), [Case("", "a")])
    assert report.status is Status.RUNTIME_ERROR
    assert b"Error" in report.outcomes[0].stderr
    assert judge_good(box).accepted


def test_inputs_that_are_no_text_arrive_as_they_are(box: Sandbox) -> None:
    """Bytes go through unchanged; lone surrogates take the form that Python gives them."""
    program = python("import sys\nprint(list(sys.stdin.buffer.read()))")
    assert box.run(program, Case(b"\0\xff\r\n")).stdout == b"[0, 255, 13, 10]\n"
    assert box.run(program, Case("\ud800")).stdout == b"[237, 160, 128]\n"


def test_arguments_with_nul_bytes_are_refused(box: Sandbox) -> None:
    """No system could start such a process; the slot lives on."""
    with pytest.raises(SandboxError, match="NUL"):
        box.judge(GOOD, [Case("1 2", "3", args=("a\0b",))])
    assert judge_good(box).accepted


def test_unknown_languages_are_named(box: Sandbox) -> None:
    """The message lists near names."""
    with pytest.raises(UnknownNameError, match="cpp17"):
        box.judge(Program("cpp71", ""), [Case("")])


def test_limits_above_the_sandbox_are_refused(box: Sandbox) -> None:
    """A run cannot be promised more than its slot has."""
    with pytest.raises(ConfigError, match="memory_bytes"):
        box.judge(GOOD, [Case("1 2", "3")], Limits(memory_bytes=4 << 30))
    with pytest.raises(ConfigError, match="processes"):
        box.judge(GOOD, [Case("1 2", "3")], Limits(processes=100_000))
    assert judge_good(box).accepted


def test_small_limits_work_as_well_as_large_ones(box: Sandbox) -> None:
    """One byte of output is too much for a limit of one byte less."""
    assert box.run(python("print('ab', end='')"), None, Limits(output_bytes=2)).accepted
    cut = box.run(python("print('abc', end='')"), None, Limits(output_bytes=2))
    assert cut.status is Status.OUTPUT_LIMIT
    assert cut.stdout == b"ab"
    assert cut.truncated
