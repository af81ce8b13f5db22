"""LiveCodeBench's own grader beside ours, on the same published programs and tests.

    python benchmarks/livecodebench_peer.py TESTING_UTIL [--programs 400] [--without ID …]

TESTING_UTIL is lcb_runner/evaluation/testing_util.py of LiveCodeBench/LiveCodeBench (it is not part
of this project). Programs are those of o1-mini in CASCADE_DATA; tests are the samples of the
statements, since the hidden ones are not published. The original runs a program in a forked process
without any isolation, so all of it runs inside one sandbox here; ours gives every run a slot of its
own. Every difference of verdicts is printed, to be judged.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from cascade.sandboxes import open_sandbox
from cascade.sandboxes.programs import Case, Limits, Program
from cascade.verifiers.code import AllTests, CodeVerifier, Problem, Submission
from cascade.verifiers.code.compare import DecimalLines
from cascade.verifiers.code.livecodebench import COMPARE, LIMITS, PRELUDE, method_name, samples
from cascade.verifiers.code.problem import Function, Output

DRIVER = """
import json, multiprocessing, sys, time
from testing_util import run_test

def grade(pipe, job):
    results, about = run_test({"input_output": json.dumps(job["tests"])}, job["code"])
    pipe.send([value is True or value == 1 for value in results])

def start(job):
    ours, theirs = multiprocessing.Pipe(False)
    child = multiprocessing.Process(target=grade, args=(theirs, job))
    child.start()
    return child, ours, time.monotonic() + 7 * len(job["tests"]["inputs"]) + 5

def main():
    asked = json.load(sys.stdin)
    jobs, workers = asked["jobs"], asked["workers"]
    started = time.monotonic()
    verdicts, running, left = {}, {}, list(enumerate(jobs))[::-1]
    while left or running:
        while left and len(running) < workers:
            index, job = left.pop()
            running[index] = start(job)
        for index, (child, pipe, deadline) in list(running.items()):
            if pipe.poll(0.001):
                try:
                    verdicts[index] = pipe.recv()
                except EOFError:
                    verdicts[index] = [False]
            elif child.is_alive() and time.monotonic() < deadline:
                continue
            child.kill()
            child.join()
            verdicts.setdefault(index, [False])
            del running[index]
    good = [all(verdicts[i]) and len(verdicts[i]) == len(jobs[i]["tests"]["inputs"])
            for i in range(len(jobs))]
    print(json.dumps({"good": good, "seconds": time.monotonic() - started}))

main()
"""


def jobs_of(data: Path, count: int) -> list[tuple[Problem, Submission, dict[str, Any]]]:
    """The first programs with samples, as ours and as the original takes them."""
    with gzip.open(data / "livecodebench_o1/O1-Mini-2024-09-12.eval_all.json.gz") as file:
        rows = json.load(file)
    found = []
    for row in rows:
        functional = bool(row["starter_code"])
        tests = samples(row["question_content"], functional=functional)
        code = row["code_list"][0]
        if not tests or not code.strip():
            continue
        name = method_name(row["starter_code"]) if functional else None
        judging: Function | Output = (
            Function(f"Solution.{name}", COMPARE) if functional else Output(DecimalLines())
        )
        problem = Problem(row["question_id"], tests, judging, limits=LIMITS, prelude=PRELUDE)
        given: dict[str, Any] = {"inputs": [t.input for t in tests],
                                 "outputs": [t.answer for t in tests]}  # fmt: skip
        if functional:
            given = {
                "inputs": ["\n".join(map(json.dumps, t.input)) for t in tests],
                "outputs": [json.dumps(t.answer) for t in tests],
                "fn_name": name,
            }
        found.append((problem, Submission("o1-mini", "python", code), given))
        if len(found) == count:
            break
    return found


def original(
    util: Path, jobs: list[tuple[Problem, Submission, dict[str, Any]]], workers: int
) -> tuple[list[bool], float]:
    """Grade by the original, inside one sandbox; return verdicts and seconds."""
    source = util.read_text(encoding="utf-8").replace("import numpy as np\n", "")
    asked = {
        "workers": workers,
        "jobs": [{"code": program.source, "tests": tests} for _, program, tests in jobs],
    }
    program = Program("python", DRIVER, files={"testing_util.py": source})
    limits = Limits(
        cpu_seconds=1500, wall_seconds=1500, memory_bytes=3 << 30, output_bytes=4 << 20,
        processes=64,
    )  # fmt: skip
    with open_sandbox("local", workers=1, spare=False, memory_bytes=3 << 30) as box:
        outcome = box.run(program, Case(json.dumps(asked).encode()), limits)
    lines = outcome.stdout.decode(errors="replace").strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        sys.exit(f"the original did not end well: {outcome.describe()}\n{outcome.stderr[-1500:]!r}")
    said = json.loads(lines[-1])
    return said["good"], said["seconds"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("testing_util", type=Path)
    parser.add_argument("--programs", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="ID",
        help="leave problems out, such as one whose program takes as long as all others",
    )  # fmt: skip
    args = parser.parse_args()
    jobs = jobs_of(Path(os.environ["CASCADE_DATA"]), args.programs)
    jobs = [job for job in jobs if job[0].id not in args.without]
    theirs, seconds = original(args.testing_util, jobs, args.workers)
    print(f"original: {len(jobs) / seconds:.2f} programs a second ({seconds:.0f} s)")
    from concurrent.futures import ThreadPoolExecutor

    with open_sandbox("local", workers=args.workers, spare=True, memory_bytes=1 << 30) as box:
        verifier = CodeVerifier(box, AllTests())
        started = time.perf_counter()
        with ThreadPoolExecutor(args.workers) as threads:
            reports = list(threads.map(lambda job: verifier.report(job[0], job[1]), jobs))
        ours_seconds = time.perf_counter() - started
    print(f"ours:     {len(jobs) / ours_seconds:.2f} programs a second ({ours_seconds:.0f} s), "
          f"{seconds / ours_seconds:.2f} times the original")  # fmt: skip
    different = [
        (problem.id, report.accepted, good, report.reason)
        for (problem, _, _), report, good in zip(jobs, reports, theirs, strict=True)
        if report.accepted != good
    ]
    print(f"verdicts equal: {len(jobs) - len(different)} of {len(jobs)}")
    for name, ours, good, reason in different:
        print(f"  {name}: ours {ours}, original {good}: {reason[:120]}")


if __name__ == "__main__":
    main()
