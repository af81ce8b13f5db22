"""Published programs and packages get the verdicts that they are known to deserve.

Subsets that fit into a test run; benchmarks/code_verification.py runs all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cascade.errors import DataError
from cascade.sandboxes import Sandbox
from cascade.verifiers import code
from cascade.verifiers.code.asserts import humaneval_problem, mbpp_problem, truncate_completion
from cascade.verifiers.code.cms import read_cms
from cascade.verifiers.code.compare import DecimalLines
from cascade.verifiers.code.expected import meets
from cascade.verifiers.code.kattis import kattis_problem
from cascade.verifiers.code.livecodebench import LIMITS, PRELUDE, method_name, samples
from cascade.verifiers.code.problem import (
    Checked,
    Communication,
    Function,
    Output,
    Problem,
    ProblemTest,
    Submission,
)
from code_data import kattis_files, opened, read_gz

TIME_FACTOR = 3.0
"""The machine that runs the tests may be busy; limits of the packages are widened by it."""


@pytest.fixture(scope="module", params=("local", "docker"))
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with opened(request.param, memory_bytes=2100 << 20) as sandbox:
        yield sandbox


@pytest.fixture
def verifier(box: Sandbox) -> code.CodeVerifier:
    return code.CodeVerifier(box, time_factor=TIME_FACTOR)


@pytest.fixture(scope="module")
def judge() -> Iterator[code.CodeVerifier]:
    """For packages, which take longer: in Docker where it is, else local."""
    with opened("auto", memory_bytes=2100 << 20) as sandbox:
        yield code.CodeVerifier(sandbox, scoring=code.WeightedGroups(), time_factor=TIME_FACTOR)


def test_codet_programs_get_their_reference_labels(
    box: Sandbox, verifier: code.CodeVerifier, data_dir: Path
) -> None:
    """Every 12th problem, by turns on either back end, every 10th sample; equal programs once."""
    folder = data_dir / "codet_humaneval_n100"
    problems = {
        row["prompt"]: humaneval_problem(row)
        for row in read_gz(folder / "HumanEval_for_code_generation.jsonl.gz")
    }
    solutions = read_gz(folder / "HumanEval_codegen16B_temp0.8_num100.code_solution.jsonl.gz")
    labels = read_gz(folder / "our_labels.json.gz")
    wanted: dict[tuple[str, str], bool] = {}
    for row in solutions[0 if box.isolation().level == "container" else 12 :: 24]:
        problem = problems[row["prompt"]]
        for index in range(0, 100, 10):
            source = truncate_completion(row["samples"][index])
            wanted[problem.id, source] = labels[problem.id][index] == "1"
    by_id = {problem.id: problem for problem in problems.values()}
    pairs = ((f"```python\n{source}\n```", by_id[name]) for name, source in wanted)
    verdicts = code.verify_many(pairs, verifier=verifier)
    differing = [
        (key, verdict.reason)
        for (key, want), verdict in zip(wanted.items(), verdicts, strict=True)
        if verdict.is_fault or (verdict.reward == 1.0) != want
    ]
    assert len(wanted) >= 60
    assert not differing


@pytest.mark.parametrize(
    ("path", "reader", "step"),
    [
        ("humaneval/HumanEval.jsonl.gz", humaneval_problem, 12),
        ("mbpp/mbpp.jsonl.gz", mbpp_problem, 60),
    ],
    ids=["humaneval", "mbpp"],
)  # fmt: skip
def test_canonical_solutions_pass_and_empty_bodies_fail(
    verifier: code.CodeVerifier, data_dir: Path, path: str, reader: object, step: int
) -> None:
    assert callable(reader)
    for row in read_gz(data_dir / path)[::step]:
        problem = reader(row)
        good = verifier.judge(problem, problem.submissions[0])
        assert good.reward == 1.0, (problem.id, good.reason)
        judging = problem.judging
        body = (
            f"{judging.prompt}    pass\n" if judging.prompt else f"def {judging.entry}(*a): pass\n"
        )
        empty = verifier.report(problem, Submission("empty", "python", body))
        assert not empty.accepted, problem.id
        assert not empty.status.is_fault, (problem.id, empty.reason)


def test_tests_that_need_the_programs_classes_run_beside_it(
    verifier: code.CodeVerifier, data_dir: Path
) -> None:
    """MBPP/601 builds `Pair` objects, 126 tests a function named sum, 533 hands over a type."""
    rows = {row["task_id"]: row for row in read_gz(data_dir / "mbpp/mbpp.jsonl.gz")}
    for number in (126, 533, 601):
        problem = mbpp_problem(rows[number])
        assert problem.judging.in_process  # type: ignore[union-attr]
        assert verifier.judge(problem, problem.submissions[0]).reward == 1.0, number


@pytest.mark.parametrize(
    "name", ["kattis_hello", "kattis_oddecho", "kattis_different", "kattis_guess"]
)
def test_kattis_submissions_get_their_folders_verdict(
    judge: code.CodeVerifier, data_dir: Path, name: str
) -> None:
    """Validator, interaction and subtasks; the benchmark also runs Java, Rust and Go."""
    problem = kattis_problem(kattis_files(data_dir / "icpc_kattis_packages" / name), name)
    factor = 1.0 if name == "kattis_different" else TIME_FACTOR
    judged = 0
    differing = {}
    for submission in problem.submissions:
        if submission.language not in ("cpp20", "c", "python") or "slow" in submission.expected:
            continue
        partial = submission.expected == "partially_accepted"
        scoring = code.WeightedGroups() if partial else code.AllTests()
        report = replace(judge, scoring=scoring, time_factor=factor).report(problem, submission)
        assert not report.status.is_fault, (submission.name, report.reason)
        judged += 1
        if not meets(submission.expected, problem, report):
            differing[submission.name] = (report.status, report.reason)
    assert judged >= 3
    assert differing == {}


def test_an_icpc_package_judges_by_its_tolerance_and_its_limit(
    judge: code.CodeVerifier, data_dir: Path
) -> None:
    folder = data_dir / "icpc_kattis_packages/basicbrewing"
    problem = kattis_problem(kattis_files(folder), "basicbrewing")
    for submission in problem.submissions:
        if submission.name in ("paul.cpp", "nathan_add_drops.cpp", "sol_integer.cpp"):
            report = replace(judge, scoring=code.AllTests(), time_factor=1.0).report(
                problem, submission
            )
            assert meets(submission.expected, problem, report), (submission.name, report.reason)


def test_a_missing_time_limit_is_measured(judge: code.CodeVerifier, data_dir: Path) -> None:
    """Five times the slowest accepted submission, whole seconds, at least one."""
    folder = data_dir / "icpc_kattis_packages/kattis_oddecho"
    problem = kattis_problem(kattis_files(folder), "oddecho")
    limited = code.calibrated(problem, judge, languages=("python",))
    assert limited.limits.cpu_seconds == 1.0
    assert limited.time_multiplier is None
    with pytest.raises(DataError, match="no accepted submission"):
        code.calibrated(problem, judge, languages=("rust",))


def test_the_ioi_batch_task_gives_exact_points(judge: code.CodeVerifier, data_dir: Path) -> None:
    problem = quickly_compiled(read_cms(data_dir / "ioi2024_packages/aplusb-CMS.zip"))
    points = {
        submission.name: judge.judge(problem, submission).parts["points"]
        for submission in problem.submissions
    }
    assert points == {
        "solution.cpp": 100,
        "solution-bitwise.cpp": 100,
        "sol10.cpp": 20,
        "solution-b-zero.cpp": 30,
    }


def quickly_compiled(problem: Problem) -> Problem:
    """The same problem, its checker or manager compiled without optimisation: testlib is large."""
    judging = problem.judging
    if isinstance(judging, Checked):
        judging = replace(judging, checker=replace(judging.checker, flags=("-O0",)))
    if isinstance(judging, Communication):
        judging = replace(judging, manager=replace(judging.manager, flags=("-O0",)))
    return replace(problem, judging=judging)


def cut(test: ProblemTest, cases: int) -> ProblemTest:
    """Keep the first cases of a test of `message`: the length, the bits, 31 marks."""
    words = test.input.split()
    end = 1
    for _ in range(min(cases, int(words[0]))):
        end += 1 + int(words[end]) + 31
    kept = b"%d" % min(cases, int(words[0]))
    return replace(test, input=b" ".join([kept, *words[1:end]]) + b"\n")


def test_the_ioi_communication_task_tells_its_solutions_apart(
    judge: code.CodeVerifier, data_dir: Path
) -> None:
    """Two processes, a manager and a stub; the sample and one test of four messages."""
    whole = quickly_compiled(read_cms(data_dir / "ioi2024_packages/message-CMS.zip"))
    tests = [cut(test, 4) for test in whole.tests if test.name in ("0-01", "1-01")]
    problem = whole.only(tests)
    for name, expected in (
        ("mruxim-extra32.cpp", "model_solution"),
        ("mruxim-wa-noanswer.cpp", "incorrect"),
    ):
        submission = next(s for s in problem.submissions if s.name == name)
        assert submission.expected == expected
        report = replace(judge, scoring=code.Fraction()).report(problem, submission)
        assert meets(expected, problem, report), (name, report.reason)


def test_o1_mini_programs_graded_true_pass_their_samples(
    verifier: code.CodeVerifier, data_dir: Path
) -> None:
    """Every 20th of the 602; in all of them none fails but for time (the benchmark shows it)."""
    rows = read_gz(data_dir / "livecodebench_o1/O1-Mini-2024-09-12.eval_all.json.gz")
    failed, judged = [], 0
    for row in [row for row in rows if row["graded_list"][0]][::20]:
        functional = bool(row["starter_code"])
        tests = samples(row["question_content"], functional=functional)
        name = f"Solution.{method_name(row['starter_code'])}"
        judging: Function | Output = Function(name) if functional else Output(DecimalLines())
        problem = Problem(row["question_id"], tests, judging, limits=LIMITS, prelude=PRELUDE)
        verdict = verifier(f"```python\n{row['code_list'][0]}\n```", problem)
        judged += 1
        if verdict.reward < 1.0:
            failed.append((problem.id, verdict.reason))
    assert judged == 31
    assert not failed
