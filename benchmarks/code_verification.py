"""Judges published programs and packages, and prints what comes out beside what must.

    python benchmarks/code_verification.py codet --every 1
    python benchmarks/code_verification.py icpc ioi humaneval mbpp livecodebench --kind docker

The data folder is CASCADE_DATA. PACKAGES names the packages of `icpc` and `ioi` to run, SUBMISSIONS
their submissions (default all); MESSAGES=4 cuts the tests of IOI's `message` to so many messages of
up to a hundred. Every number is of this machine, with its load at the time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from cascade.sandboxes import Report, open_sandbox
from cascade.verifiers.code import CodeVerifier, Problem, Submission, calibrated
from cascade.verifiers.code.asserts import humaneval_problem, mbpp_problem, truncate_completion
from cascade.verifiers.code.cms import read_cms
from cascade.verifiers.code.compare import DecimalLines
from cascade.verifiers.code.expected import meets
from cascade.verifiers.code.kattis import kattis_problem
from cascade.verifiers.code.livecodebench import LIMITS, PRELUDE, method_name, samples
from cascade.verifiers.code.package_files import linked
from cascade.verifiers.code.problem import Function, Output, ProblemTest
from cascade.verifiers.code.scoring import WeightedGroups
from cascade.verifiers.code.verifier import verdict_of


def rows_of(path: Path) -> Any:
    """Rows of a gzipped JSONL file, or the value of a gzipped JSON file."""
    text = gzip.decompress(path.read_bytes()).decode()
    if path.name.endswith(".jsonl.gz"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)


def judged(
    verifier: CodeVerifier, jobs: Iterable[tuple[Problem, Submission]]
) -> Iterator[tuple[Problem, Submission, Report]]:
    """Judge on all workers, in order."""
    with ThreadPoolExecutor(verifier.sandbox.config.workers) as threads:
        pairs = list(jobs)
        reports = threads.map(lambda pair: verifier.report(*pair), pairs)
        for (problem, submission), report in zip(pairs, reports, strict=True):
            yield problem, submission, report


def pass_at(k: int, counts: Sequence[int], n: int) -> float:
    """The unbiased estimate of pass@k in percent (Chen et al. 2021, equation 1)."""
    values = [1 - math.comb(n - c, k) / math.comb(n, k) for c in counts]
    return 100 * sum(values) / len(values)


def codet(verifier: CodeVerifier, data: Path, every: int) -> None:
    """16,400 programs of CodeGen-16B on HumanEval; equal programs are judged once."""
    folder = data / "codet_humaneval_n100"
    problems = rows_of(folder / "HumanEval_for_code_generation.jsonl.gz")
    solutions = rows_of(folder / "HumanEval_codegen16B_temp0.8_num100.code_solution.jsonl.gz")
    labels = rows_of(folder / "our_labels.json.gz")
    by_prompt = {row["prompt"]: humaneval_problem(row) for row in problems}
    jobs: dict[tuple[str, str], Submission] = {}
    rows = [(by_prompt[row["prompt"]], row["samples"]) for row in solutions[::every]]
    for problem, texts in rows:
        for text in texts:
            cut = truncate_completion(text)
            jobs.setdefault((problem.id, cut), Submission("sample", "python", cut))
    started = time.perf_counter()
    known = {problem.id: problem for problem, _ in rows}
    pairs = ((known[identity], submission) for (identity, _), submission in jobs.items())
    passed: dict[tuple[str, str], bool] = {}
    for problem, submission, report in judged(verifier, pairs):
        if report.status.is_fault:
            print("FAULT", problem.id, report.reason)
        passed[problem.id, submission.source] = report.accepted
        if len(passed) % 500 == 0:
            print(
                f"  {len(passed)} of {len(jobs)}, {time.perf_counter() - started:.0f} s", flush=True
            )
    seconds = time.perf_counter() - started
    counts, differing = [], []
    for problem, texts in rows:
        results = [passed[problem.id, truncate_completion(text)] for text in texts]
        counts.append(sum(results))
        want = labels[problem.id]
        differing += [
            f"{problem.id}[{i}] ours {int(r)}" for i, r in enumerate(results) if int(want[i]) != r
        ]
    total = sum(len(texts) for _, texts in rows)
    print(f"codet: {total} programs, {len(jobs)} different, {seconds:.0f} s, "
          f"{len(jobs) / seconds:.1f} programs/s")  # fmt: skip
    for k, want in ((1, 22.13), (2, 30.82), (5, 42.06), (10, 50.44), (100, 74.39)):
        print(f"  pass@{k}: {pass_at(k, counts, 100):.2f} (reference, all problems: {want})")
    print(f"  labels that differ: {len(differing)}", *differing[:40], sep="\n    ")


def asserts(
    path: str, reader: Callable[[Any], Problem]
) -> Callable[[CodeVerifier, Path, int], None]:
    """Canonical solutions must pass, empty bodies must fail."""

    def run(verifier: CodeVerifier, data: Path, every: int) -> None:
        problems = [reader(row) for row in rows_of(data / path)[::every]]
        for what in ("canonical", "empty"):
            started = time.perf_counter()
            jobs = [
                (p, p.submissions[0] if what == "canonical" else empty_body(p)) for p in problems
            ]
            found: Counter[str] = Counter()
            for problem, _, report in judged(verifier, jobs):
                found[report.status.value] += 1
                if report.accepted != (what == "canonical") or report.status.is_fault:
                    print("  ", what, problem.id, report.status.value, report.reason[-160:])
            print(f"{path} {what}: {dict(found)}, {time.perf_counter() - started:.0f} s")

    return run


def empty_body(problem: Problem) -> Submission:
    """A function that does nothing."""
    entry = getattr(problem.judging, "entry", "") or "f"
    prompt = getattr(problem.judging, "prompt", "")
    body = f"{prompt}    pass\n" if prompt else f"def {entry}(*args):\n    pass\n"
    return Submission("empty", "python", body)


def kattis_files(folder: Path) -> dict[str, bytes]:
    """A package's files, from the packing of the data folder."""
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    files = {name: text.encode() for name, text in package.items()}
    for test in rows_of(folder / "tests.jsonl.gz"):
        files[f"data/{test['name']}.in"] = test["input"].encode()
        files[f"data/{test['name']}.ans"] = test["answer"].encode()
    for entry in rows_of(folder / "submissions.jsonl.gz"):
        files[f"submissions/{entry['expected']}/{entry['file']}"] = entry["source"].encode()
    return dict(linked(files))


def chosen(variable: str, name: str) -> bool:
    """Whether an environment variable names something, or is not set."""
    return name in os.environ.get(variable, name).split()


def icpc(verifier: CodeVerifier, data: Path, every: int) -> None:
    """Every submission must get its folder's verdict, within the package's time limit."""
    languages = verifier.sandbox.languages()
    good = total = 0
    for folder in sorted((data / "icpc_kattis_packages").iterdir()):
        if not folder.is_dir() or not chosen("PACKAGES", folder.name):
            continue
        problem = kattis_problem(kattis_files(folder), folder.name)
        limited = calibrated(problem, verifier)
        print(f"{folder.name}: {limited.limits.cpu_seconds:g} s")
        for submission in limited.submissions[::every]:
            if not chosen("SUBMISSIONS", submission.name):
                continue
            if submission.language not in languages:
                print(f"   {submission.name}: no language {submission.language} here")
                continue
            whole = replace(verifier, scoring=WeightedGroups())
            judge = whole if submission.expected == "partially_accepted" else verifier
            report = judge.report(limited, submission)
            right = meets(submission.expected, limited, report)
            good, total = good + right, total + 1
            mark = "" if right else "DIFFERS "
            print(
                f"   {mark}{submission.expected} {submission.name}: {report.status.value}",
                flush=True,
            )
    print(f"icpc: {good} of {total} submissions get their folder's verdict")


def ioi(verifier: CodeVerifier, data: Path, every: int) -> None:
    """Every solution must show its class in some test; the points of its subtasks are printed."""
    whole = replace(verifier, scoring=WeightedGroups())
    cases = int(os.environ.get("MESSAGES", "1000"))
    good = total = 0
    for name in ("aplusb", "message"):
        if not chosen("PACKAGES", name):
            continue
        problem = read_cms(data / f"ioi2024_packages/{name}-CMS.zip")
        if name == "message":
            cut = tuple(cut_message(test, cases) for test in problem.tests)
            problem = replace(problem, tests=cut)
        for submission in problem.submissions[::every]:
            if not chosen("SUBMISSIONS", submission.name):
                continue
            started = time.perf_counter()
            report = whole.report(problem, submission)
            parts = dict(verdict_of(problem, report, WeightedGroups()).parts)
            found = Counter(outcome.status.value for outcome in report.outcomes)
            singly = (replace(report, status=outcome.status) for outcome in report.outcomes)
            right = any(meets(submission.expected, problem, one) for one in (report, *singly))
            good, total = good + right, total + 1
            print(
                f"   {'' if right else 'DIFFERS '}{submission.expected} {submission.name}: {parts} "
                f"{dict(found)}, {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    print(f"ioi: {good} of {total} solutions show their class")


def cut_message(test: ProblemTest, cases: int) -> ProblemTest:
    """Keep the first cases of a test: each is a message, and which positions are controlled."""
    words = test.input.split()
    kept = min(cases, int(words[0]))
    end = 1
    for _ in range(kept):
        end += 1 + int(words[end]) + 31
    return replace(test, input=b" ".join([b"%d" % kept, *words[1:end]]) + b"\n")


def livecodebench(verifier: CodeVerifier, data: Path, every: int) -> None:
    """Programs graded True must pass the samples of their statements."""
    rows = rows_of(data / "livecodebench_o1/O1-Mini-2024-09-12.eval_all.json.gz")
    jobs = []
    for row in rows[::every]:
        functional = bool(row["starter_code"])
        tests = samples(row["question_content"], functional=functional)
        if row["graded_list"][0] and tests:
            name = f"Solution.{method_name(row['starter_code'])}"
            judging: Function | Output = Function(name) if functional else Output(DecimalLines())
            problem = Problem(row["question_id"], tests, judging, limits=LIMITS, prelude=PRELUDE)
            jobs.append((problem, Submission("o1-mini", "python", row["code_list"][0])))
    started = time.perf_counter()
    good = 0
    for problem, _, report in judged(verifier, jobs):
        good += report.accepted
        if not report.accepted:
            print("  ", problem.id, report.status.value, report.reason[:120])
    print(f"livecodebench: {good} of {len(jobs)} pass their samples, "
          f"{time.perf_counter() - started:.0f} s")  # fmt: skip


SETS: dict[str, Callable[[CodeVerifier, Path, int], None]] = {
    "codet": codet,
    "humaneval": asserts("humaneval/HumanEval.jsonl.gz", humaneval_problem),
    "mbpp": asserts("mbpp/mbpp.jsonl.gz", mbpp_problem),
    "icpc": icpc,
    "ioi": ioi,
    "livecodebench": livecodebench,
}


def main() -> None:
    """Run the sets that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="+", choices=sorted(SETS))
    parser.add_argument("--kind", default="auto", help="docker, local or auto")
    parser.add_argument("--image", help="Docker image; default: that of cascade-sandbox build")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=1, help="take every n-th item")
    parser.add_argument("--time-factor", type=float, default=1.0)
    options = parser.parse_args()
    data = Path(os.environ.get("CASCADE_DATA", "../shared/data"))
    with open_sandbox(
        options.kind,
        workers=options.workers,
        memory_bytes=2100 << 20,
        silence_seconds=120,
        image=options.image,
    ) as box:
        print(f"{box.kind}, {box.isolation()}, {options.workers} workers, "
              f"time factor {options.time_factor:g}")  # fmt: skip
        verifier = CodeVerifier(box, time_factor=options.time_factor)
        for name in options.sets:
            SETS[name](verifier, data, options.every)


if __name__ == "__main__":
    main()
